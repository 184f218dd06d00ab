//! A bound socket and its accept loop.
//!
//! Guarantees that the loop never ends on its own, that no more connections are open than
//! configured, and that a full descriptor table is waited out. Knows nothing of TLS and HTTP.

mod bind;
mod descriptors;
mod errors;
mod holder;
mod sources;

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::config::sections::ServerLimits;
use crate::config::types::ListenAddress;
use crate::listener::errors::{Backoff, Class};
use crate::listener::sources::{Place, Sources};
use crate::metrics::Metrics;
use crate::shutdown::Draining;
use crate::telemetry::{Repeats, Verdict};

pub(crate) use bind::BindError;
pub(crate) use descriptors::Descriptors;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Listener {
    key_path: String,
    address: String,
    socket: Socket,
    open: Arc<Semaphore>,
    descriptors: Descriptors,
    max_connections: usize,
    /// `None`: each may have all there are.
    sources: Option<Sources>,
    repeats: Repeats,
    metrics: Metrics,
    /// Held so that there is a descriptor left to turn peers away with.
    reserve: Option<File>,
}

/// A connection as it came from the kernel, not yet of any runtime.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The socket, in non-blocking mode.
    pub(crate) stream: RawStream,
    /// The peer's address, for messages.
    pub(crate) peer: Arc<str>,
    /// Counts as open for as long as it lives.
    pub(crate) permit: Permit,
}

/// A place within `max_connections`, within the limit of open files, and within its source's share.
#[derive(Debug)]
pub(crate) struct Permit(
    #[expect(dead_code, reason = "held to be dropped")] OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held to be dropped")] OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held to be dropped")] Option<Place>,
);

/// An accepted socket.
#[derive(Debug)]
pub(crate) enum RawStream {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A unix socket.
    Unix(std::os::unix::net::UnixStream),
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// The file goes with the listener.
    Unix(UnixListener, #[expect(dead_code, reason = "held to be dropped")] Option<SocketFile>),
}

impl Listener {
    /// Binds `listen`; connections wait in the kernel until [`Self::run`]. `key_path` is the
    /// server block. Must be called within a runtime.
    ///
    /// # Errors
    /// Why not, who holds the address, and what to do.
    pub(crate) async fn bind(
        key_path: &str,
        listen: &ListenAddress,
        limits: &ServerLimits,
        metrics: Metrics,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError::Failed {
            key_path: key_path.to_owned(),
            address: String::new(),
            source,
        };
        let (socket, address) = match listen {
            ListenAddress::Tcp(address) => {
                let listener = bind::tcp(key_path, address).await?;
                let bound = listener.local_addr().map_err(failed)?;
                (Socket::Tcp(TcpListener::from_std(listener).map_err(failed)?), bound.to_string())
            }
            ListenAddress::Unix(path) => {
                let listener = bind::unix(key_path, path)?;
                let shown = path.display().to_string();
                let file = (!shown.starts_with('@')).then(|| SocketFile(path.clone()));
                (Socket::Unix(UnixListener::from_std(listener).map_err(failed)?, file), shown)
            }
        };
        let max_connections = limits.max_connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            key_path: key_path.to_owned(),
            address,
            socket,
            open: Arc::new(Semaphore::new(max_connections)),
            descriptors: Descriptors::default(),
            max_connections,
            sources: limits.max_connections_per_source.map(Sources::new),
            repeats: Repeats::default(),
            metrics,
            reserve: File::open(RESERVE).ok(),
        })
    }

    /// The same, sharing with others what the process may have open.
    pub(crate) fn sharing(self, descriptors: Descriptors) -> Self {
        Self { descriptors, ..self }
    }

    /// The bound address or socket file.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Accepts and hands over until the drain begins; then the socket is closed.
    pub(crate) async fn run(mut self, mut draining: Draining, hand_over: impl Fn(Accepted)) {
        // Both branches are cancel-safe: an accepted socket is handed over within its branch.
        tokio::select! {
            () = draining.begun() => {}
            () = self.accept_all(&hand_over) => {}
        }
    }

    async fn accept_all(&mut self, hand_over: &impl Fn(Accepted)) {
        let mut backoff = Backoff::default();
        loop {
            match self.socket.accept().await {
                Ok(arrival) => {
                    if backoff.is_waiting() {
                        backoff.reset();
                        info!(listener = %self.key_path, "accepting connections again");
                    }
                    self.admit(arrival, hand_over);
                }
                Err(failure) => {
                    let class = Class::of(&failure);
                    self.metrics.accept_error(class.reason());
                    if class == Class::Peer {
                        debug!(listener = %self.key_path, error = %failure, "peer gone before accept");
                    } else {
                        self.report(&failure, class, &backoff);
                        self.turn_one_away().await;
                        sleep(backoff.next()).await;
                    }
                }
            }
            // A flood of connections must not keep this thread from anything else.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Accepting and closing, other than not accepting, lets peers know at once and keeps the
    /// kernel's queue from hiding the overload.
    fn admit(&self, Arrival { stream, peer, ip }: Arrival, hand_over: &impl Fn(Accepted)) {
        let Ok(permit) = Arc::clone(&self.open).try_acquire_owned() else {
            return self.tell_full();
        };
        let Some(descriptor) = self.descriptors.take() else {
            return self.tell_no_files();
        };
        let place = match self.sources.as_ref().zip(ip).map(|(sources, ip)| sources.take(ip)) {
            Some(None) => return self.tell_source_full(&peer),
            place => place.flatten(),
        };
        hand_over(Accepted { stream, peer, permit: Permit(permit, descriptor, place) });
    }

    /// Counts and tells that as many connections are open as may be.
    fn tell_full(&self) {
        const REASON: &str = "max_connections";
        let Some((repeated, others_not_logged)) = self.turned_away(REASON, "") else { return };
        warn!(
            listener = %self.key_path,
            max_connections = self.max_connections,
            reason = REASON,
            repeated,
            others_not_logged,
            help = "raise max_connections there if these are all wanted",
            "closing new connections: as many are open as max_connections allows"
        );
    }

    /// Counts and tells that the process may have no more files open for connections.
    fn tell_no_files(&self) {
        const REASON: &str = "open_files";
        let Some((repeated, others_not_logged)) = self.turned_away(REASON, "") else { return };
        warn!(
            listener = %self.key_path,
            room = self.descriptors.room(),
            reason = REASON,
            repeated,
            others_not_logged,
            help = "raise the limit of open files (LimitNOFILE, ulimit -n), or find who opens so \
                    many connections",
            "closing new connections: the other files that this process may have open are needed \
             to reach upstreams and to read certificates"
        );
    }

    /// Counts and tells that a peer's source has as many connections as it may.
    fn tell_source_full(&self, peer: &str) {
        const REASON: &str = "max_connections_per_source";
        let Some((repeated, others_not_logged)) = self.turned_away(REASON, peer) else { return };
        warn!(
            listener = %self.key_path,
            peer,
            max_connections_per_source = self.sources.as_ref().map(Sources::most),
            reason = REASON,
            repeated,
            others_not_logged,
            help = "find out why it opens so many; raise max_connections_per_source there if \
                    many senders share this address",
            "closing new connections of one source: as many are open as it may have"
        );
    }

    /// Counts a connection that is closed at once; how many lines were left out, of the same and of
    /// others, if one may be said of it: whoever opens and closes at the limit could bring about any
    /// number.
    fn turned_away(&self, reason: &'static str, peer: &str) -> Option<(u64, u64)> {
        self.metrics.accept_error(reason);
        match self.repeats.weigh(reason, "", peer) {
            Verdict::Say { repeated, unsaid } => Some((repeated, unsaid)),
            Verdict::Silent => None,
        }
    }

    fn report(&self, failure: &io::Error, class: Class, backoff: &Backoff) {
        if !backoff.is_waiting() {
            error!(
                listener = %self.key_path,
                error = %failure,
                reason = class.reason(),
                help = "raise the limit of open files (LimitNOFILE, ulimit -n) or lower \
                        max_connections",
                "cannot accept connections; trying again"
            );
        }
    }

    /// With the reserved descriptor one waiting peer is told, by a close, not to wait.
    async fn turn_one_away(&mut self) {
        self.reserve = None;
        if let Ok(Ok(turned_away)) = timeout(Duration::ZERO, self.socket.accept()).await {
            drop(turned_away);
            self.metrics.accept_error("turned_away");
        }
        self.reserve = File::open(RESERVE).ok();
    }
}

/// A connection that nobody has looked at.
struct Arrival {
    stream: RawStream,
    /// For messages.
    peer: Arc<str>,
    /// `None` on unix sockets.
    ip: Option<IpAddr>,
}

impl Socket {
    /// Cancel-safe.
    async fn accept(&self) -> io::Result<Arrival> {
        // The streams go to another runtime: they leave this one's poller at once.
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let stream = RawStream::Tcp(stream.into_std()?);
                Ok(Arrival { stream, peer: peer.to_string().into(), ip: Some(peer.ip()) })
            }
            Self::Unix(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                let stream = RawStream::Unix(stream.into_std()?);
                Ok(Arrival { stream, peer: name(&peer.into()).into(), ip: None })
            }
        }
    }
}

fn name(peer: &UnixAddr) -> String {
    peer.as_pathname().map_or_else(|| "unix".to_owned(), |path| format!("unix:{}", path.display()))
}

/// Removes the socket file when the listener ends, as Go does.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}

const RESERVE: &str = "/dev/null";

#[cfg(test)]
mod tests;
