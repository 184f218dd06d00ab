//! Where an endpoint leads right now.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::time::{Instant, timeout_at};

use crate::config::types::Upstream;

/// Something to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// Most addresses of one name that are used; a name with more is a mistake or an attack.
const MAX_ADDRESSES: usize = 16;

impl Address {
    /// All addresses of an upstream in the resolver's order, without repetitions; never empty.
    ///
    /// A lookup that outlives its deadline keeps a thread of the blocking pool until the system's
    /// resolver gives up. There is at most one for each connection attempt, and attempts are paced.
    ///
    /// # Errors
    /// Why the name cannot be resolved in time.
    pub(super) async fn resolve(
        upstream: &Upstream,
        deadline: Instant,
    ) -> Result<Vec<Self>, String> {
        let (host, port) = match upstream {
            Upstream::Unix(path) => return Ok(vec![Self::Unix(path.clone())]),
            Upstream::Tcp { host, port } => (host.as_str(), *port),
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![Self::Tcp(SocketAddr::new(ip, port))]);
        }
        let unresolvable =
            |why: &dyn fmt::Display| format!("the name {host} cannot be resolved: {why}");
        let found = match timeout_at(deadline, tokio::net::lookup_host((host, port))).await {
            Err(_) => return Err(unresolvable(&"no answer within connect_timeout")),
            Ok(Err(error)) => return Err(unresolvable(&error)),
            Ok(Ok(found)) => found,
        };
        let mut addresses = Vec::new();
        for address in found.map(Self::Tcp) {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(unresolvable(&"it has no addresses"));
        }
        Ok(addresses)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix socket {}", path.display()),
        }
    }
}
