//! Addresses to listen on: `host:port` or `unix:/path`. Bound before anything is served, so the port can be told.
//!
//! A Unix socket's file gets mode 0660: the proxy beside us shares our user or our group (in a pod: `fsGroup`).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::fault::{Fault, Kind};
use crate::listen::peer::Peer;
use crate::listen::socket::Socket;

const SOCKET_MODE: u32 = 0o660;

/// How many connections may wait to be accepted; the kernel grants up to `net.core.somaxconn`. Where a crowd comes at once, a
/// client beyond it tries again a second later, and on a Unix socket is refused. tokio asks for 128.
const QUEUE: i32 = 4096;

/// Where to listen, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or address with a port; port 0 takes a free one.
    Tcp(String),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, BindError> {
        let wrong = || BindError::Malformed(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(wrong()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        if host.is_empty() { Err(wrong()) } else { Ok(Self::Tcp(text.to_owned())) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a listener could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("`{0}` is not an address to listen on; write host:port or unix:/path")]
    Malformed(String),
    #[error("cannot listen on {address}")]
    Refused { address: String, source: io::Error },
    #[error("another process answers on {0}")]
    Taken(String),
    #[error("{0} exists and is not a socket")]
    NotASocket(String),
}

impl BindError {
    /// Whether another process has the address.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Taken(_) => true,
            Self::Refused { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            Self::Malformed(_) | Self::NotASocket(_) => false,
        }
    }
}

impl Fault for BindError {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
    fn code(&self) -> &'static str {
        "bind_failed"
    }
}

/// A bound listener, not serving yet; see [`crate::listen::serve`].
#[derive(Debug)]
pub struct Listener(Bound);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds what `listen.*` says. A socket file nobody answers on is a leftover and replaced.
    ///
    /// # Errors
    /// When the text is no address, or the address can't be had.
    pub async fn bind(text: &str) -> Result<Self, BindError> {
        let address: Address = text.parse()?;
        let refused = |source| BindError::Refused { address: address.to_string(), source };
        match &address {
            Address::Tcp(name) => {
                let listener = TcpListener::bind(name).await.map_err(refused)?;
                SockRef::from(&listener).listen(QUEUE).map_err(refused)?;
                let at = listener.local_addr().map_err(refused)?;
                Ok(Self(Bound::Tcp(listener, at)))
            }
            Address::Unix(path) => {
                clear_leftover(path, &address).await?;
                let listener = UnixListener::bind(path).map_err(refused)?;
                SockRef::from(&listener).listen(QUEUE).map_err(refused)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE)).map_err(refused)?;
                let file = SocketFile::made_at(path).map_err(refused)?;
                Ok(Self(Bound::Unix(listener, file)))
            }
        }
    }

    /// The address as bound, with the port that was taken.
    pub fn local_addr(&self) -> Address {
        match &self.0 {
            Bound::Tcp(_, at) => Address::Tcp(at.to_string()),
            Bound::Unix(_, file) => Address::Unix(file.path.clone()),
        }
    }

    /// The TCP address as bound; `None` for a Unix socket.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Bound::Tcp(_, at) => Some(*at),
            Bound::Unix(..) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.0 {
            Bound::Tcp(listener, _) => {
                let (stream, from) = listener.accept().await?;
                // An answer is one small write: waiting to fill a segment would only delay it.
                let _ = stream.set_nodelay(true);
                Ok((Socket::Tcp(stream), Peer::Tcp(from)))
            }
            Bound::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), Peer::Unix))
            }
        }
    }
}

async fn clear_leftover(path: &Path, address: &Address) -> Result<(), BindError> {
    let refused = |source| BindError::Refused { address: address.to_string(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(address.to_string())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(refused),
        Err(error) => Err(refused(error)),
        Ok(_) => Err(BindError::Taken(address.to_string())),
    }
}

/// The socket's file, removed with the listener; known by its inode, so that a successor's file at the same path stays.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn made_at(path: &Path) -> io::Result<Self> {
        let made = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), inode: (made.dev(), made.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_socket_path() {
        for text in ["127.0.0.1:9191", "[::1]:0", "localhost:80", "unix:/run/doorward/check.sock"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for text in ["", "9191", ":9191", "host:", "host:99999", "unix:", "unix:relative", "/run/x.sock"] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
