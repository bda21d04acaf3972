//! What the service manager that started the process is informed of, by the protocol of systemd's `sd_notify`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::warn;

/// What the process does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// It opens its store, and asks for more time than the manager's limit for a start: two minutes from now on, if the
    /// limit is over by then.
    Opening,
    /// It listens, and reads its configuration no more.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It was asked to end.
    Stopping,
}

impl ServiceState {
    fn message(self) -> &'static [u8] {
        match self {
            ServiceState::Opening => b"EXTEND_TIMEOUT_USEC=120000000",
            ServiceState::Ready => b"READY=1",
            ServiceState::Reloading => b"RELOADING=1",
            ServiceState::Stopping => b"STOPPING=1",
        }
    }
}

/// Informs the service manager, where `NOTIFY_SOCKET` says that there is one. One that cannot be reached is
/// logged: the process does its work without it.
pub fn notify(state: ServiceState) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return };
    if let Err(error) = send(&socket, state.message()) {
        warn!(%error, ?state, "the service manager could not be informed");
    }
}

/// A name that begins with `@` is no file.
fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address).map(drop)
}

/// A name that is no file: Linux alone has them.
#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;

    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
