//! A small HTTP/1.1 server for pages about the gateway.
//!
//! One request a connection, one deadline for all of it, a bounded number of connections. Knows
//! nothing of what is on the pages.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use crate::acceptor::{Accepted, Acceptor, Stream, Transport};
use crate::config::sections::ServerLimits;
use crate::config::types::ListenAddress;
use crate::metrics::Metrics;
use crate::tls::Alpn;

/// Answers one request; must not block.
pub(super) type Respond = Arc<dyn Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync>;

/// Why a page's address could not be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The address means nothing.
    #[error("{key_path}: cannot resolve {address}")]
    Resolve {
        /// Who wanted it.
        key_path: String,
        /// `host:port`.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address is taken or forbidden.
    #[error(
        "{key_path}: cannot listen on {address}; set another `endpoint` there, or stop what holds \
         it (`ss -ltnp` shows who does)"
    )]
    Bind {
        /// Who wanted it.
        key_path: String,
        /// `host:port` or the socket file.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// One bound listener and what it answers.
pub(super) struct Server {
    key_path: String,
    socket: Socket,
    respond: Respond,
    deadline: Duration,
    /// Where the page is served over TLS.
    secured: Option<Secured>,
}

/// What shakes hands for a page, and counts whose connections were ended.
#[derive(Clone)]
struct Secured {
    key_path: String,
    acceptor: Acceptor,
    metrics: Metrics,
}

/// What holds for the handshakes of a page that takes so long for a request.
pub(crate) fn page_limits(timeout: Duration) -> ServerLimits {
    let usual = ServerLimits::default();
    ServerLimits {
        max_connections: MAX_CONNECTIONS,
        max_handshakes: MAX_CONNECTIONS,
        handshake_timeout: usual.handshake_timeout.min(timeout),
        ..usual
    }
}

impl Server {
    /// Binds the address.
    pub(super) async fn bind(
        key_path: &str,
        listen: &ListenAddress,
        respond: Respond,
    ) -> Result<Self, BindError> {
        let socket = match listen {
            ListenAddress::Tcp(address) => bind_tcp(key_path, address).await?,
            ListenAddress::Unix(path) => bind_unix(key_path, path)?,
        };
        let key_path = key_path.to_owned();
        Ok(Self { key_path, socket, respond, deadline: DEADLINE, secured: None })
    }

    /// The same server with another deadline for a whole connection; zero is the default.
    pub(super) fn with_deadline(mut self, deadline: Duration) -> Self {
        if !deadline.is_zero() {
            self.deadline = deadline;
        }
        self
    }

    /// The same server, over TLS.
    pub(super) fn behind(self, acceptor: Acceptor, metrics: Metrics) -> Self {
        let key_path = self.key_path.clone();
        Self { secured: Some(Secured { key_path, acceptor, metrics }), ..self }
    }

    /// The config key and the bound address, if it is one of TCP.
    pub(super) fn address(&self) -> Option<(String, SocketAddr)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                listener.local_addr().ok().map(|address| (self.key_path.clone(), address))
            }
            Socket::Unix(_) => None,
        }
    }

    /// Serves until it is dropped. Failures to accept are waited out.
    pub(super) async fn run(self) {
        let mut connections = Connections::default();
        loop {
            connections.make_room().await;
            // Both branches are cancel safe: an accepted socket is handed over in its own branch.
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(_ended) = connections.all.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let respond = Arc::clone(&self.respond);
                    let served = serve(stream, peer, self.secured.clone(), respond);
                    connections.add(within(self.deadline, served));
                }
                Err(error) => {
                    tracing::debug!(key = self.key_path, %error, "accept failed");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Those that are open. Where there are too many the oldest makes room: an answer takes
/// milliseconds, and whoever opens connections and asks nothing must not keep a probe waiting.
#[derive(Default)]
struct Connections {
    all: JoinSet<()>,
    /// Oldest first; some have ended.
    handles: VecDeque<AbortHandle>,
}

impl Connections {
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        if self.handles.len() >= 2 * MAX_CONNECTIONS {
            self.handles.retain(|handle| !handle.is_finished());
        }
        self.handles.push_back(self.all.spawn(connection));
    }

    async fn make_room(&mut self) {
        while self.all.len() >= MAX_CONNECTIONS {
            while let Some(oldest) = self.handles.pop_front() {
                if !oldest.is_finished() {
                    oldest.abort();
                    break;
                }
            }
            self.all.join_next().await;
        }
    }
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    async fn accept(&self) -> io::Result<(Stream, String)> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(stream, peer)| (stream.into(), peer.to_string()))
            }
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _peer)| (stream.into(), "unix".to_owned()))
            }
        }
    }
}

async fn bind_tcp(key_path: &str, address: &str) -> Result<Socket, BindError> {
    let resolve = |source| BindError::Resolve {
        key_path: key_path.to_owned(),
        address: address.to_owned(),
        source,
    };
    let host_port = address.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let lookup = tokio::net::lookup_host(host_port.as_deref().unwrap_or(address));
    let mut addresses: Vec<SocketAddr> = time::timeout(RESOLVE_DEADLINE, lookup)
        .await
        .map_err(|elapsed| resolve(elapsed.into()))?
        .map_err(resolve)?
        .collect();
    // As Go does for a name with addresses of both families, such as localhost.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(addresses.as_slice()).await.map(Socket::Tcp).map_err(|source| {
        BindError::Bind { key_path: key_path.to_owned(), address: address.to_owned(), source }
    })
}

fn bind_unix(key_path: &str, path: &PathBuf) -> Result<Socket, BindError> {
    UnixListener::bind(path).map(Socket::Unix).map_err(|source| BindError::Bind {
        key_path: key_path.to_owned(),
        address: path.display().to_string(),
        source,
    })
}

/// One deadline for everything. What goes wrong here concerns the asker alone, who sees it too.
async fn within(deadline: Duration, served: impl Future<Output = ()>) {
    let _asker_gone = time::timeout(deadline, served).await;
}

async fn serve(stream: Stream, peer: String, secured: Option<Secured>, respond: Respond) {
    match secured {
        None => answer(Transport::Plain(stream), Alpn::None, respond).await,
        Some(secured) => secured.serve(stream, peer, respond).await,
    }
}

impl Secured {
    async fn serve(self, stream: Stream, peer: String, respond: Respond) {
        // A refusal is logged and counted by the acceptor.
        let Ok(accepted) = self.acceptor.accept(stream, &peer).await else { return };
        let Accepted { io, alpn, standing, .. } = accepted;
        let lost = async {
            match standing {
                Some(standing) => standing.lost().await,
                None => std::future::pending().await,
            }
        };
        // An answer here takes no time: whoever lost trust needs no grace, and is cut off.
        tokio::select! {
            () = answer(io, alpn, respond) => {}
            loss = lost => {
                self.metrics.connection_distrusted(loss.reason);
                tracing::info!(
                    listener = self.key_path,
                    peer,
                    reason = loss.reason,
                    detail = loss.message,
                    "a connection was ended, for its client is not trusted any more"
                );
            }
        }
    }
}

async fn answer(io: Transport, alpn: Alpn, respond: Respond) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = match *request.method() {
            Method::GET | Method::HEAD => respond(&request),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n"),
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    if alpn == Alpn::H2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS)
            .serve_connection(TokioIo::new(io), service);
        let _asker_gone = connection.await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(io), service);
        let _asker_gone = connection.await;
    }
}

/// A response of plain text.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", text)
}

/// A response that is never cached, sniffed or framed.
pub(super) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    response
}

/// Whether a `Host` header is one that a page for people may be asked under: an address or
/// `localhost`. A name of an attacker's choice that resolves to us (DNS rebinding) would let a
/// script in an operator's browser read the page.
pub(super) fn host_is_direct(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()) else {
        return true;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// From accept to the end of the answer, unless configured.
const DEADLINE: Duration = Duration::from_secs(10);

/// For a name in an `endpoint`.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(10);

/// After a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Probes and scrapers are few.
const MAX_CONNECTIONS: usize = 128;

/// A request here is a line and a few headers.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The same in HTTP/2's terms.
const MAX_HEADERS: u32 = 16 << 10;

/// Requests at one time of one connection of HTTP/2.
const MAX_STREAMS: u32 = 8;
