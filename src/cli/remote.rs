//! Asking the relay that runs over its API: where it is, and by which token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use url::Url;

use crate::cli::{ConfigPath, Failure};
use crate::config::configuration::Config;
use crate::domain::delivery::{OutgoingRequest, Reply};
use crate::send::client::{Client, SendPolicy};
use crate::template::diagnostic::Problem;

/// How the relay is reached.
#[derive(Args)]
pub struct Remote {
    #[command(flatten)]
    config: ConfigPath,
    /// Where its API is [default: `admin_listen`, else `listen`, else with TLS `public_url`; with TLS `admin_listen`
    /// is asked by the name in `public_url`]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file with the token [default: the first of the configuration that may change things]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// How long a relay may look through all its records, in milliseconds.
const SEARCH_MS: u64 = 60 * 60 * 1000;

/// The address of the API, and where to connect for its name, if that is not where the name leads.
struct ServerAddress {
    server: String,
    at: Option<(String, SocketAddr)>,
}

/// The result of asking.
pub enum ServerReply {
    /// The status, and the document.
    Answered(u16, Value),
    /// Nothing answers at this address, for this reason.
    NotThere { server: String, reason: String },
}

impl Remote {
    /// The configuration, or all its problems as bad usage.
    pub fn load(&self) -> Result<Config, Failure> {
        self.config.load()
    }

    /// Posts to a path of the API, without a body.
    ///
    /// # Errors
    /// Where there is no token to ask by, or what answers is no relay.
    pub async fn post(&self, config: &Config, path: &str) -> Result<ServerReply, Failure> {
        self.ask(config, "POST", path, Vec::new()).await
    }

    /// Asks for a path of the API; with a body of JSON, where it is not empty.
    ///
    /// # Errors
    /// As of [`Remote::post`].
    pub async fn ask(
        &self,
        config: &Config,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ServerReply, Failure> {
        let token = self.token(config)?;
        let ServerAddress { server, at } = self.place(config);
        let policy = SendPolicy { allow_private_network: true, ..SendPolicy::default() };
        // What is sent is looked for among all records.
        let timeout_ms = if body.is_empty() { policy.timeout_ms } else { SEARCH_MS };
        let policy = SendPolicy { timeout_ms, ..policy };
        let client = match &at {
            Some((name, address)) => Client::to(policy, name, *address),
            None => Client::new(policy),
        };
        let client = client.map_err(|error| Failure::running(Problem::new(error.to_string(), "")))?;
        let request = OutgoingRequest {
            method: method.to_owned(),
            url: format!("{server}{path}"),
            headers: [("authorization".to_owned(), format!("Bearer {token}"))]
                .into_iter()
                .chain((!body.is_empty()).then(|| ("content-type".to_owned(), "application/json".to_owned())))
                .collect(),
            body,
            secrets: vec![token],
        };
        match client.send(&request).await {
            Reply::Answer(answer) => match serde_json::from_slice(&answer.body) {
                Ok(document) => Ok(ServerReply::Answered(answer.status, document)),
                Err(_) => {
                    let what = format!("what answers at {server} is not the API of Postbridge");
                    Err(Failure::running(Problem::new(what, "name its address: --server URL")))
                }
            },
            Reply::Failed(reason) => Ok(ServerReply::NotThere { server, reason: reason.to_string() }),
            Reply::Forbidden(reason) => {
                let what = format!("{server} cannot be asked: {reason}");
                Err(Failure::usage(vec![Problem::new(what, "name an http or https address: --server URL")]))
            }
        }
    }

    /// Whether the person named the address: then nothing else is meant.
    pub fn is_named(&self) -> bool {
        self.server.is_some()
    }

    fn place(&self, config: &Config) -> ServerAddress {
        if let Some(server) = &self.server {
            return ServerAddress { server: server.trim_end_matches('/').to_owned(), at: None };
        }
        let server = &config.server;
        // A certificate names a host, not an address.
        match (server.admin_listen.map(reachable), &server.tls) {
            (None, Some(_)) => ServerAddress { server: server.public_url.clone(), at: None },
            (Some(admin), Some(_)) => match certified_name(&server.public_url) {
                Some(name) => ServerAddress {
                    server: format!("https://{name}:{}", admin.port()),
                    at: Some((name, admin)),
                },
                None => ServerAddress { server: format!("https://{admin}"), at: None },
            },
            (admin, None) => {
                let address = admin.unwrap_or_else(|| reachable(server.listen));
                ServerAddress { server: format!("http://{address}"), at: None }
            }
        }
    }

    fn token(&self, config: &Config) -> Result<String, Failure> {
        if let Some(file) = &self.token_file {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let problem = Problem::new(format!("the token cannot be read: {error}"), "");
                Failure::usage(vec![problem.in_file(&file.display().to_string())])
            })?;
            return Ok(text.trim().to_owned());
        }
        let mut tokens = config.api.tokens.iter();
        let token = tokens.find(|token| token.rights.may_change_all()).ok_or_else(|| {
            let hint = "add one with rights = [\"network\"], or name a file with one: --token-file FILE";
            Failure::usage(vec![Problem::new("no token of [api] may change things", hint)])
        })?;
        Ok(token.token.reveal().to_owned())
    }
}

/// The name in a public URL, where it is one and no address.
fn certified_name(public_url: &str) -> Option<String> {
    Url::parse(public_url).ok()?.domain().map(str::to_owned)
}

/// From this machine one that listens on every interface is reached by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The error that the API answered, as a command's own.
pub fn refusal(status: u16, document: &Value) -> Failure {
    let text = |name: &str| document.pointer(name).and_then(Value::as_str).unwrap_or_default();
    let (message, hint) = (text("/error/message"), text("/error/hint"));
    let what = if message.is_empty() { format!("the relay answered {status}") } else { message.to_owned() };
    Failure::running(Problem::new(what, hint))
}
