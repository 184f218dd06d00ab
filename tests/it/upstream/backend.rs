//! Upstreams that behave as a test wants, down to single bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::support::pki::{Ca, Leaf};

/// Anything to speak over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection of the gateway's.
pub type Peer = Box<dyn Stream>;

/// What serves a connection.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A listener on a loopback port and everything that came to it. It ends with the value.
pub struct Backend {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

/// What came.
#[derive(Default)]
pub struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    peers: Mutex<Vec<Vec<u8>>>,
    requests: Mutex<Vec<Asked>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections right now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The most connections that there were at a time.
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    /// The client certificate of each connection whose handshake succeeded, if it showed one.
    pub fn peers(&self) -> Vec<Vec<u8>> {
        self.peers.lock().unwrap().clone()
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.requests.lock().unwrap().clone()
    }

    /// Notes a request; how many there were before it.
    pub fn note(&self, asked: Asked) -> usize {
        let mut requests = self.requests.lock().unwrap();
        requests.push(asked);
        requests.len() - 1
    }
}

impl Backend {
    /// Serves each connection with `serve`, after a handshake if there is `tls`.
    pub async fn start(
        tls: Option<Arc<ServerConfig>>,
        serve: impl Fn(Peer, Arc<Seen>) -> Serving + Send + Sync + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), tls, serve)
    }

    pub fn on(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        serve: impl Fn(Peer, Arc<Seen>) -> Serving + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let watched = Arc::clone(&seen);
        let serve = Arc::new(serve);
        let accepting = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let seen = Arc::clone(&watched);
                let tls = tls.clone();
                let serve = Arc::clone(&serve);
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most_open.fetch_max(open, Ordering::SeqCst);
                serving.spawn(async move {
                    if let Some(peer) = shake(socket, tls, &seen).await {
                        serve(peer, Arc::clone(&seen)).await;
                    }
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, accepting }
    }

    /// `localhost` and the port, for which the certificates are.
    pub fn name(&self) -> String {
        format!("localhost:{}", self.address.port())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The same at a path.
pub fn unix(
    path: &Path,
    tls: Option<Arc<ServerConfig>>,
    serve: impl Fn(Peer, Arc<Seen>) -> Serving + Send + Sync + 'static,
) -> (Arc<Seen>, JoinSet<()>) {
    let listener = UnixListener::bind(path).unwrap();
    let seen = Arc::<Seen>::default();
    let watched = Arc::clone(&seen);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let seen = Arc::clone(&watched);
            if let Some(peer) = shake(socket, tls.clone(), &seen).await {
                serving.spawn(serve(peer, seen));
            }
        }
    });
    (seen, tasks)
}

async fn shake(
    socket: impl Stream + 'static,
    tls: Option<Arc<ServerConfig>>,
    seen: &Seen,
) -> Option<Peer> {
    let Some(tls) = tls else { return Some(Box::new(socket)) };
    let stream = TlsAcceptor::from(tls).accept(socket).await.ok()?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    seen.peers.lock().unwrap().extend(shown.map(|leaf| leaf.to_vec()));
    Some(Box::new(stream))
}

/// How an upstream's TLS differs from the usual.
pub struct Terms<'a> {
    pub versions: &'static [&'static rustls::SupportedProtocolVersion],
    pub alpn: &'a [&'a [u8]],
    /// Whose client certificates are demanded.
    pub client_ca: Option<&'a Ca>,
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Self { versions: rustls::ALL_VERSIONS, alpn: &[b"h2", b"http/1.1"], client_ca: None }
    }
}

/// The server side of TLS with this leaf.
pub fn tls(leaf: &Leaf, terms: &Terms<'_>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(terms.versions)
        .unwrap();
    let builder = match terms.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem().as_bytes()).unwrap();
    let mut config = builder.with_single_cert(vec![leaf.certificate.der().clone()], key).unwrap();
    config.alpn_protocols = terms.alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// What an HTTP/2 upstream does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Status, headers, body, and trailers if there are any.
    Full(u16, Vec<(&'static str, String)>, Bytes, Vec<(&'static str, String)>),
    /// Headers and the beginning of a message, then the connection is gone.
    Cut,
    /// A GOAWAY after this answer.
    GoAway(Box<Self>),
}

impl Reply {
    /// A gRPC answer with this message and these trailers.
    pub fn grpc(message: &[u8], trailers: Vec<(&'static str, String)>) -> Self {
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
        let kind = ("content-type", "application/grpc".to_owned());
        Self::Full(200, vec![kind], body.into(), trailers)
    }

    /// OK with an empty message.
    pub fn ok() -> Self {
        Self::grpc(&[], vec![("grpc-status", "0".to_owned())])
    }

    /// An empty OTLP/HTTP success.
    pub fn success() -> Self {
        let kind = ("content-type", "application/x-protobuf".to_owned());
        Self::Full(200, vec![kind], Bytes::new(), Vec::new())
    }
}

/// Serves HTTP/2; `script` is given the number of the request.
pub fn h2(
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> impl Fn(Peer, Arc<Seen>) -> Serving + Send + Sync + 'static {
    let script: Script = Arc::new(script);
    move |peer, seen| Box::pin(serve_h2(peer, seen, Arc::clone(&script)))
}

type Script = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

/// What a request does to its connection.
enum Order {
    Leave,
    Drop,
}

async fn serve_h2(peer: Peer, seen: Arc<Seen>, script: Script) {
    let Ok(mut connection) = h2::server::handshake(peer).await else { return };
    let (orders, mut ordered) = mpsc::channel(64);
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                    answering.spawn(answer_h2(request, respond, seen, script, orders.clone()));
                }
                _ => return,
            },
            Some(order) = ordered.recv() => match order {
                Order::Leave => connection.graceful_shutdown(),
                Order::Drop => return,
            },
        }
    }
}

async fn answer_h2(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    seen: Arc<Seen>,
    script: Script,
    orders: mpsc::Sender<Order>,
) -> Option<()> {
    let (head, mut stream) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.ok()?;
        stream.flow_control().release_capacity(piece.len()).ok()?;
        body.extend_from_slice(&piece);
    }
    let asked = Asked { uri: head.uri, headers: head.headers, body: body.freeze() };
    let mut reply = script(seen.note(asked));
    if let Reply::GoAway(inner) = reply {
        orders.send(Order::Leave).await.ok()?;
        reply = *inner;
    }
    match reply {
        Reply::Full(status, headers, body, trailers) => {
            let mut response = Response::new(());
            *response.status_mut() = status.try_into().unwrap();
            *response.headers_mut() = map(&headers);
            let mut stream = respond.send_response(response, false).ok()?;
            stream.send_data(body, trailers.is_empty()).ok()?;
            if !trailers.is_empty() {
                stream.send_trailers(map(&trailers)).ok()?;
            }
        }
        Reply::Cut => {
            let mut response = Response::new(());
            *response.headers_mut() = map(&[("content-type", "application/grpc".to_owned())]);
            let mut stream = respond.send_response(response, false).ok()?;
            stream.send_data(Bytes::from_static(b"\0\0"), false).ok()?;
            tokio::task::yield_now().await;
            orders.send(Order::Drop).await.ok()?;
            // Ending here would reset the stream first.
            std::future::pending::<()>().await;
        }
        Reply::GoAway(_) => std::future::pending().await,
    }
    Some(())
}

fn map(fields: &[(&'static str, String)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, String)| {
        (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap())
    };
    fields.iter().map(field).collect()
}

/// Serves HTTP/1.1 with these bytes for each request and goes on, or hangs up after the first.
pub fn http1(
    answer: impl Into<Vec<u8>>,
    goes_on: bool,
) -> impl Fn(Peer, Arc<Seen>) -> Serving + Send + Sync + 'static {
    let answer: Arc<[u8]> = answer.into().into();
    move |mut peer, seen| {
        let answer = Arc::clone(&answer);
        Box::pin(async move {
            while let Some(asked) = read_http1(&mut peer).await {
                seen.note(asked);
                if peer.write_all(&answer).await.is_err() || !goes_on {
                    return;
                }
            }
        })
    }
}

/// The bytes of an answer with this status line, these headers and this body.
pub fn page(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// One request with a `Content-Length`; `None` when the peer is gone.
pub async fn read_http1(peer: &mut Peer) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.split("\r\n");
    let uri = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.append(name.parse::<HeaderName>().ok()?, value.parse().ok()?);
    }
    let length =
        headers.get("content-length").map_or(Ok(0), |value| value.to_str().unwrap().parse());
    let mut body = vec![0; length.ok()?];
    peer.read_exact(&mut body).await.ok()?;
    Some(Asked { uri, headers, body: body.into() })
}
