//! The addresses that a relay listens on: bound before anything else is touched, closed at a stop.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::app::open_files;
use crate::config::configuration::Config;
use crate::http1::ConnectionLimits;
use crate::template::diagnostic::Problem;
use crate::web::listen::{self, ListenSettings};
use crate::web::tls::TlsSettings;
use crate::web::{ListenerSide, WebListener};

/// How long a stop waits for requests and deliveries on their way.
pub const GRACE: Duration = Duration::from_secs(25);

/// The listeners.
pub struct Listeners {
    /// Where networks and visitors come in.
    pub address: SocketAddr,
    /// Where pages, API and metrics are, if they are elsewhere.
    pub admin_address: Option<SocketAddr>,
    /// The certificate that they have, if they have one.
    pub tls: Option<TlsSettings>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

/// Listeners that are bound and not yet served.
pub struct BoundListeners {
    listener: TcpListener,
    admin: Option<TcpListener>,
}

impl BoundListeners {
    /// Binds what is configured. Where the system chose the port (0), printed URLs name it.
    ///
    /// # Errors
    /// An address that cannot be listened on, with what to do about it.
    pub async fn bind(config: &mut Config) -> Result<BoundListeners, Problem> {
        let listener = bind("listen", config.server.listen).await?;
        if let Some(host) = config.server.public_url.strip_suffix(":0") {
            config.server.public_url = format!("{host}:{}", address_of(&listener)?.port());
        }
        let admin = match config.server.admin_listen {
            Some(admin) => Some(bind("admin_listen", admin).await?),
            None => None,
        };
        Ok(BoundListeners { listener, admin })
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// A certificate or key that cannot be used.
    pub fn open(self, config: &Config, web: &WebListener) -> Result<Listeners, Problem> {
        let tls = tls(config)?;
        let settings = listen_settings(config, tls.clone());
        let (stop, stopping) = watch::channel(false);
        let address = address_of(&self.listener)?;
        let mut listeners = vec![listen_on(self.listener, web.clone(), settings.clone(), stopping.clone())];
        let mut admin_address = None;
        if let Some(listener) = self.admin {
            admin_address = Some(address_of(&listener)?);
            listeners.push(listen_on(listener, web.on_side(ListenerSide::Admin), settings, stopping));
        }
        Ok(Listeners { address, admin_address, tls, stop, listeners })
    }
}

impl Listeners {
    /// Accepts nothing more, and waits for what is on its way.
    pub async fn close(self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            // A listener that panicked has nothing left to finish.
            let _ = listener.await;
        }
    }
}

/// What is configured of TLS, with the certificate as its file is now.
///
/// # Errors
/// As [`TlsSettings::load`].
pub fn tls(config: &Config) -> Result<Option<TlsSettings>, Problem> {
    config.server.tls.as_ref().map(|tls| TlsSettings::load(&tls.certificate, &tls.key)).transpose()
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::PermissionDenied if address.port() < FREE_PORTS => low_port(key),
            ErrorKind::AddrNotAvailable => format!(
                "no interface of this machine has that address: change `[server] {key}`, \"0.0.0.0:{}\" is all of them",
                address.port()
            ),
            _ => format!("stop what listens there, or change `[server] {key}`"),
        };
        Problem::new(format!("cannot listen on {address}: {error}"), hint)
    })
}

/// Ports from here on are for everyone.
const FREE_PORTS: u16 = 1024;

fn low_port(key: &str) -> String {
    let program =
        std::env::current_exe().map_or_else(|_| "postbridge".into(), |path| path.display().to_string());
    format!(
        "ports under {FREE_PORTS} need a capability: sudo setcap cap_net_bind_service=+ep {program}; in a systemd \
         unit AmbientCapabilities=CAP_NET_BIND_SERVICE; or change `[server] {key}` and put a proxy in front"
    )
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, Problem> {
    let unknown = |error| Problem::new(format!("the listener has no address: {error}"), "start again");
    listener.local_addr().map_err(unknown)
}

fn listen_on(
    listener: TcpListener,
    web: WebListener,
    settings: ListenSettings,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move { listen::serve(listener, settings, Arc::new(web), stop).await })
}

fn listen_settings(config: &Config, tls: Option<TlsSettings>) -> ListenSettings {
    let server = &config.server;
    let limits = ConnectionLimits {
        body_bytes: server.max_body_bytes,
        head: Duration::from_millis(server.head_timeout_ms),
        body: Duration::from_millis(server.body_timeout_ms),
        idle: Duration::from_millis(server.idle_timeout_ms),
        ..ConnectionLimits::default()
    };
    let (connections, lowered) = open_files::connections(config, open_files::raise());
    if let Some(lowered) = lowered {
        warn!(hint = lowered.hint, "{}", lowered.what);
    }
    ListenSettings { limits, connections, tls, grace: GRACE }
}
