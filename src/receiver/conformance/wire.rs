//! What the checks go over: straight into the receiver, or over sockets with all that stands before
//! it, which is the acceptor, TLS, and the connection with hyper's servers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::requests::{End, TestBody};
use super::support::{Gate, Pipeline};
use crate::acceptor::{Acceptor, Stream};
use crate::config::sections::{HttpServer, Server, ServerLimits};
use crate::config::types::TlsVersion;
use crate::connection::{Endpoint, Settings, UnderWay};
use crate::metrics::Metrics;
use crate::receiver::Receiver;
use crate::shutdown::{Drain, Draining};
use crate::tls::store::{Store, Watch};
use crate::tls::testing::{TestPki, client_tls, server_tls};
use crate::tls::{ClientSnapshot, Connector, ServerSnapshot, client, server};

/// Ways to the receiver. Calls of gRPC go over HTTP/2 on each; the name says how other requests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// Without a socket.
    Memory,
    /// In the clear, HTTP/1.1.
    Clear,
    /// TLS 1.2 without client certificates, HTTP/1.1.
    Tls12,
    /// TLS 1.3 with client certificates, HTTP/1.1.
    Tls13Http1,
    /// TLS 1.3 with client certificates, HTTP/2.
    Tls13Http2,
}

impl Wire {
    /// A gate of `protocols.http` with default settings.
    pub(super) fn gate(self) -> Gate {
        self.http(|_| {})
    }

    /// A gate of `protocols.http`.
    pub(super) fn http(self, change: impl FnOnce(&mut HttpServer)) -> Gate {
        Gate::http(change).over(self)
    }

    /// A gate of `protocols.grpc`.
    pub(super) fn grpc(self, change: impl FnOnce(&mut Server)) -> Gate {
        Gate::grpc(change).over(self)
    }

    /// Whether there is no socket.
    pub(super) fn is_memory(self) -> bool {
        self == Self::Memory
    }
}

/// Makes a test of each of these checks for every wire: `CHECK(Wire)` is `any_version::WIRE::CHECK`.
macro_rules! on_every_wire {
    ($($check:ident),+ $(,)?) => {
        mod any_version {
            $crate::receiver::conformance::wire::over!(memory Memory: $($check),+);
            $crate::receiver::conformance::wire::over!(clear Clear: $($check),+);
            $crate::receiver::conformance::wire::over!(tls12 Tls12: $($check),+);
            $crate::receiver::conformance::wire::over!(tls13_http1 Tls13Http1: $($check),+);
            $crate::receiver::conformance::wire::over!(tls13_http2 Tls13Http2: $($check),+);
        }
    };
}

/// The same for what is particular to HTTP/1.
macro_rules! on_http1 {
    ($($check:ident),+ $(,)?) => {
        mod http1_only {
            $crate::receiver::conformance::wire::over!(memory Memory: $($check),+);
            $crate::receiver::conformance::wire::over!(clear Clear: $($check),+);
            $crate::receiver::conformance::wire::over!(tls12 Tls12: $($check),+);
            $crate::receiver::conformance::wire::over!(tls13_http1 Tls13Http1: $($check),+);
        }
    };
}

macro_rules! over {
    ($folder:ident $wire:ident: $($check:ident),+ $(,)?) => {
        mod $folder {
            $(
                #[tokio::test]
                async fn $check() {
                    super::super::$check($crate::receiver::conformance::wire::Wire::$wire).await;
                }
            )+
        }
    };
}

pub(super) use {on_every_wire, on_http1, over};

/// A listener before a gate's receiver, and the client's connections to it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) address: SocketAddr,
    wire: Wire,
    /// Connections that may carry another request.
    idle: Mutex<Vec<Client>>,
    opened: AtomicUsize,
    _drain: Drain,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
enum Client {
    Http1(http1::SendRequest<TestBody>),
    Http2(http2::SendRequest<TestBody>),
}

impl Line {
    /// `None` for [`Wire::Memory`].
    pub(super) fn lay(
        wire: Wire,
        receiver: &Receiver<Pipeline>,
        metrics: &Metrics,
    ) -> Option<Self> {
        let snapshots = match wire {
            Wire::Memory => return None,
            Wire::Clear => None,
            Wire::Tls12 => Some(credentials().tls12.watch()),
            Wire::Tls13Http1 | Wire::Tls13Http2 => Some(credentials().tls13.watch()),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, draining) = Drain::new();
        let endpoint = endpoint(snapshots, receiver, metrics);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, endpoint, draining));
        let (idle, opened) = (Mutex::default(), AtomicUsize::new(0));
        Some(Self { address, wire, idle, opened, _drain: drain, _serving: serving })
    }

    /// Sends a request; the answer's body is not read yet.
    pub(super) async fn ask(&self, mut request: Request<TestBody>) -> Response<Incoming> {
        assert_ne!(request.body().end(), End::Broken, "a client that breaks off hears nothing");
        let is_http2 = request.version() == Version::HTTP_2
            || self.wire == Wire::Tls13Http2 && request.version() == Version::HTTP_11;
        if is_http2 {
            give_authority(&mut request, self.wire != Wire::Clear);
        } else if request.version() == Version::HTTP_10 {
            request.headers_mut().remove(header::TRANSFER_ENCODING);
            request.body_mut().announce_all();
        } else if request.body().is_end_stream() {
            request.headers_mut().insert(header::CONTENT_LENGTH, 0.into());
        }
        let is_whole = request.body().end() == End::Whole;
        let mut client = self.client(is_http2).await;
        let response = match &mut client {
            Client::Http1(sender) => sender.send_request(request).await.unwrap(),
            Client::Http2(sender) => sender.send_request(request).await.unwrap(),
        };
        // HTTP/1 is not free again before the body of the request has gone.
        if is_http2 || is_whole && response.headers().get(header::CONNECTION).is_none() {
            self.idle.lock().unwrap().push(client);
        }
        response
    }

    /// Connections so far.
    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// One that is free, or a new one.
    async fn client(&self, is_http2: bool) -> Client {
        while let Some(mut client) = self.take(is_http2) {
            let ready = match &mut client {
                Client::Http1(sender) => sender.ready().await,
                Client::Http2(sender) => sender.ready().await,
            };
            if ready.is_ok() {
                return client;
            }
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        if self.wire == Wire::Clear {
            return Client::over(stream, is_http2).await;
        }
        let known = credentials();
        let store = if is_http2 { &known.http2 } else { &known.http1 };
        let connector = Connector::new(store.watch(), "localhost".to_owned());
        let deadline = Instant::now() + Duration::from_secs(60);
        let address = self.address.to_string();
        Client::over(connector.connect(stream, &address, deadline).await.unwrap().io, is_http2)
            .await
    }

    fn take(&self, is_http2: bool) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap();
        let at = idle.iter().position(|c| matches!(c, Client::Http2(_)) == is_http2)?;
        Some(idle.swap_remove(at))
    }
}

impl Client {
    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, h2: bool) -> Self {
        let io = TokioIo::new(stream);
        if h2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            // How a connection ends is seen by its requests.
            tokio::spawn(async move { drop(connection.await) });
            Self::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            Self::Http1(sender)
        }
    }
}

/// HTTP/2 has neither a Host header nor transfer codings.
fn give_authority(request: &mut Request<TestBody>, is_tls: bool) {
    let host = request.headers_mut().remove(header::HOST);
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let host = host.as_ref().map_or("gateway", |host| host.to_str().unwrap());
    parts.authority.get_or_insert_with(|| Authority::try_from(host).unwrap());
    parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
    *request.uri_mut() = http::Uri::from_parts(parts).unwrap();
    *request.version_mut() = Version::HTTP_2;
}

fn endpoint(
    snapshots: Option<Watch<ServerSnapshot>>,
    receiver: &Receiver<Pipeline>,
    metrics: &Metrics,
) -> Arc<Endpoint<Pipeline>> {
    let settings = Settings {
        key_path: "receivers.otlp.protocols.http".to_owned(),
        limits: ServerLimits::default(),
        keep_alive: true,
    };
    let acceptor = Acceptor::new(snapshots, &settings.limits, metrics.clone());
    let under_way = UnderWay::default();
    Arc::new(Endpoint::new(&settings, acceptor, receiver.clone(), under_way, metrics.clone()))
}

async fn serve(listener: TcpListener, endpoint: Arc<Endpoint<Pipeline>>, draining: Draining) {
    let mut connections = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let endpoint = Arc::clone(&endpoint);
        let peer = Arc::from(peer.to_string());
        connections.spawn(endpoint.serve(Stream::from(stream), peer, draining.clone()));
    }
}

/// What both ends of TLS show, made once for all checks.
struct Credentials {
    tls12: Store<ServerSnapshot>,
    tls13: Store<ServerSnapshot>,
    http1: Store<ClientSnapshot>,
    http2: Store<ClientSnapshot>,
}

fn credentials() -> &'static Credentials {
    static MADE: OnceLock<Credentials> = OnceLock::new();
    MADE.get_or_init(|| {
        let pki = TestPki::new();
        let mut old = server_tls(&pki);
        old.client_ca = None;
        old.common.max_version = Some(TlsVersion::V12);
        let mut new = server_tls(&pki);
        new.common.min_version = Some(TlsVersion::V13);
        let listener = |tls| Store::new(server::load(&tls).unwrap().snapshot).0;
        let sender = |alpn| Store::new(client::load(&client_tls(&pki), alpn).unwrap().snapshot).0;
        Credentials {
            tls12: listener(old),
            tls13: listener(new),
            http1: sender(&[b"http/1.1"]),
            http2: sender(&[b"h2"]),
        }
    })
}
