//! Binds TCP ports and unix sockets, and says what to do when it cannot.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::time::timeout;

use crate::listener::holder;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The host means nothing.
    #[error(
        "{key_path}.endpoint: cannot resolve {address}; write an address of this host, such as \
         0.0.0.0:4317 or localhost:4317 [listen_resolve]"
    )]
    Resolve {
        /// The server block.
        key_path: String,
        /// `host:port`.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Someone else has the port.
    #[error(
        "{key_path}.endpoint: {address} is taken by {holder}; stop that process or set another \
         `endpoint` there [listen_taken]"
    )]
    Taken {
        /// The server block.
        key_path: String,
        /// `host:port` or the socket file.
        address: String,
        /// Who, if it is known.
        holder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The port is not for everyone.
    #[error(
        "{key_path}.endpoint: no permission to listen on {address}; take a port above 1023, or \
         grant CAP_NET_BIND_SERVICE; for a socket file: the right to write to its folder \
         [listen_forbidden]"
    )]
    Forbidden {
        /// The server block.
        key_path: String,
        /// `host:port` or the socket file.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address is another host's.
    #[error(
        "{key_path}.endpoint: {address} is no address of this host; use 0.0.0.0 for all of them \
         (`ip address` lists them) [listen_not_local]"
    )]
    NotLocal {
        /// The server block.
        key_path: String,
        /// `host:port`.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of another kind stands where the socket should be.
    #[error(
        "{key_path}.endpoint: {} exists and is not a socket; remove it or choose another path \
         [listen_not_a_socket]", path.display()
    )]
    NotASocket {
        /// The server block.
        key_path: String,
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{key_path}.endpoint: cannot listen on {address} [listen_failed]")]
    Failed {
        /// The server block.
        key_path: String,
        /// `host:port` or the socket file.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Binds `host:port`. An empty host is every address of both families, as in Go; a name with
/// addresses of both means IPv4.
pub(super) async fn tcp(key_path: &str, address: &str) -> Result<TcpListener, BindError> {
    let target = match resolve(address).await {
        Ok(target) => target,
        Err(source) => {
            let (key_path, address) = (key_path.to_owned(), address.to_owned());
            return Err(BindError::Resolve { key_path, address, source });
        }
    };
    let bound = match open(target) {
        // A kernel without IPv6.
        Err(error) if is_every_address(address) && !is_taken(&error) => {
            open((Ipv4Addr::UNSPECIFIED, target.port()).into())
        }
        bound => bound,
    };
    bound.map_err(|source| failed(key_path, address, Some(target.port()), source))
}

/// Binds a socket file, or an abstract name after `@`. A file that nobody answers on is removed.
pub(super) fn unix(key_path: &str, path: &Path) -> Result<UnixListener, BindError> {
    let shown = path.display().to_string();
    let bound = match shown.strip_prefix('@') {
        Some(name) => {
            UnixAddr::from_abstract_name(name).and_then(|address| UnixListener::bind_addr(&address))
        }
        None => {
            remove_stale(key_path, path)?;
            UnixListener::bind(path)
        }
    };
    let bound = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.map_err(|source| failed(key_path, &shown, None, source))
}

async fn resolve(address: &str) -> io::Result<SocketAddr> {
    if is_every_address(address) {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        return Ok((Ipv6Addr::UNSPECIFIED, port).into());
    }
    let found = timeout(RESOLVE_DEADLINE, tokio::net::lookup_host(address)).await??;
    found
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn is_every_address(address: &str) -> bool {
    address.starts_with(':') || address.starts_with("[::]:")
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart need not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these two.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(10))
            .with_retries(3),
    )?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn remove_stale(key_path: &str, path: &Path) -> Result<(), BindError> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    if !found.file_type().is_socket() {
        let (key_path, path) = (key_path.to_owned(), path.to_owned());
        return Err(BindError::NotASocket { key_path, path });
    }
    match UnixStream::connect(path) {
        Ok(_answered) => Err(BindError::Taken {
            key_path: key_path.to_owned(),
            address: path.display().to_string(),
            holder: "another process".to_owned(),
            source: io::ErrorKind::AddrInUse.into(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
                .map_err(|source| failed(key_path, &path.display().to_string(), None, source))
        }
        // Binding says what is wrong.
        Err(_) => Ok(()),
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn failed(key_path: &str, address: &str, port: Option<u16>, source: io::Error) -> BindError {
    let (key_path, address) = (key_path.to_owned(), address.to_owned());
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = port.and_then(holder::of_port);
            let holder = holder
                .unwrap_or_else(|| "another process (`ss -ltnp` as root shows which)".to_owned());
            BindError::Taken { key_path, address, holder, source }
        }
        io::ErrorKind::PermissionDenied => BindError::Forbidden { key_path, address, source },
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal { key_path, address, source },
        _ => BindError::Failed { key_path, address, source },
    }
}

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
