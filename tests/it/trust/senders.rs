//! Senders that go on whatever they are told, and note what they are told and when.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::agent::span;
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::pki::{Leaf, TestPki};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: Instant,
    /// HTTP's, or gRPC's.
    pub status: u16,
    /// `Connection: close`.
    pub closes: bool,
}

/// One connection with a request every few milliseconds, one after the other.
pub struct Sender {
    told: Arc<Mutex<Vec<Told>>>,
    told_to_go: Arc<AtomicBool>,
    ended: watch::Receiver<Option<Instant>>,
    _tasks: JoinSet<()>,
}

/// A TLS client that trusts the first CA.
pub fn client(
    pki: &TestPki,
    leaf: Option<&Leaf>,
    version: &'static SupportedProtocolVersion,
    alpn: &str,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match leaf {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![leaf.certificate.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    Arc::new(config)
}

/// Shakes hands.
pub async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// A span over HTTP/1.1.
pub fn post() -> Request<Full<Bytes>> {
    Request::post("/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf")
        .body(Full::new(Bytes::from(span("h1").encode_to_vec())))
        .unwrap()
}

fn call() -> Request<Full<Bytes>> {
    let message = span("h2").encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(&message);
    Request::post("https://localhost/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(frame.freeze()))
        .unwrap()
}

impl Sender {
    /// gRPC over HTTP/2, by a client that is deaf for GOAWAY.
    pub async fn grpc(address: SocketAddr, pki: &TestPki, leaf: Option<&Leaf>) -> Self {
        let stream = connect(address, &client(pki, leaf, &rustls::version::TLS13, "h2")).await;
        let told_to_go = Arc::new(AtomicBool::new(false));
        let deaf = Deaf {
            stream: stream.unwrap(),
            told_to_go: Arc::clone(&told_to_go),
            unparsed: BytesMut::new(),
            parsed: BytesMut::new(),
        };
        let shaken =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(deaf)).await;
        let (mut sender, connection) = shaken.unwrap();
        let (mut this, note, end) = Self::new(told_to_go);
        this._tasks.spawn(async move {
            let _broken_or_closed = connection.await;
            end.send_replace(Some(Instant::now()));
        });
        this._tasks.spawn(async move {
            while let Ok(Ok(answer)) = timeout(DEADLINE, sender.send_request(call())).await {
                let Some((_status, head, trailers)) = read(answer).await else { return };
                let status = trailers.get("grpc-status").or_else(|| head.get("grpc-status"));
                let status = status.unwrap().to_str().unwrap().parse().unwrap();
                note.lock().unwrap().push(Told { at: Instant::now(), status, closes: false });
                sleep(PACE).await;
            }
        });
        this
    }

    /// OTLP/HTTP over HTTP/1.1 with keep-alive.
    pub async fn http1(address: SocketAddr, pki: &TestPki, leaf: Option<&Leaf>) -> Self {
        let config = client(pki, leaf, &rustls::version::TLS13, "http/1.1");
        let stream = connect(address, &config).await.unwrap();
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.unwrap();
        let (mut this, note, end) = Self::new(Arc::default());
        this._tasks.spawn(async move {
            let _broken_or_closed = connection.await;
            end.send_replace(Some(Instant::now()));
        });
        this._tasks.spawn(async move {
            while let Ok(Ok(answer)) = timeout(DEADLINE, sender.send_request(post())).await {
                let Some((status, head, _)) = read(answer).await else { return };
                let closes = head.get("connection").is_some_and(|value| value == "close");
                note.lock().unwrap().push(Told { at: Instant::now(), status, closes });
                sleep(PACE).await;
            }
        });
        this
    }

    #[expect(clippy::type_complexity, reason = "its three parts live apart from here on")]
    fn new(
        told_to_go: Arc<AtomicBool>,
    ) -> (Self, Arc<Mutex<Vec<Told>>>, watch::Sender<Option<Instant>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = watch::channel(None);
        let tasks = JoinSet::new();
        (Self { told: Arc::clone(&told), told_to_go, ended, _tasks: tasks }, told, end)
    }

    /// Everything it was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Whether GOAWAY came.
    pub fn was_told_to_go(&self) -> bool {
        self.told_to_go.load(Ordering::SeqCst)
    }

    /// Waits for so many further answers.
    pub async fn goes_on(&self, answers: usize) {
        let before = self.told().len();
        eventually("further answers", || self.told().len() >= before + answers).await;
        assert!(self.ended.borrow().is_none(), "its connection has ended");
    }

    /// Waits until its connection has ended; when that was.
    pub async fn ended(&mut self) -> Instant {
        let ended = timeout(DEADLINE, self.ended.wait_for(Option::is_some)).await;
        ended.expect("its connection lives on").unwrap().unwrap()
    }

    /// Asserts that nothing went wrong up to now.
    pub fn was_served_always(&self, status: u16) {
        let wrong: Vec<_> =
            self.told().into_iter().filter(|told| told.status != status || told.closes).collect();
        assert_eq!(wrong, []);
        assert!(!self.was_told_to_go() && self.ended.borrow().is_none());
    }
}

async fn read(answer: Response<Incoming>) -> Option<(u16, HeaderMap, HeaderMap)> {
    let (head, body) = answer.into_parts();
    let body = timeout(DEADLINE, body.collect()).await.ok()?.ok()?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    Some((head.status.as_u16(), head.headers, trailers))
}

/// Takes GOAWAY and PING out of what an HTTP/2 server sends: the client goes on, and the server
/// cannot know that its GOAWAY has arrived.
struct Deaf {
    stream: TlsStream<TcpStream>,
    told_to_go: Arc<AtomicBool>,
    unparsed: BytesMut,
    parsed: BytesMut,
}

impl Deaf {
    fn parse(&mut self) {
        loop {
            let Some(&[a, b, c, kind, flags]) = self.unparsed.first_chunk() else { return };
            let whole = FRAME_HEAD + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
            if self.unparsed.len() < whole {
                return;
            }
            let frame = self.unparsed.split_to(whole);
            match kind {
                GOAWAY => self.told_to_go.store(true, Ordering::SeqCst),
                PING if flags & ACK == 0 => {}
                _ => self.parsed.put(frame),
            }
        }
    }
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.parsed.is_empty() {
            let mut memory = [0; 4096];
            let mut read = ReadBuf::new(&mut memory);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.unparsed.put_slice(read.filled());
            self.parse();
        }
        let count = self.parsed.len().min(buffer.remaining());
        buffer.put_slice(&self.parsed[..count]);
        self.parsed.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

const PACE: Duration = Duration::from_millis(5);
const FRAME_HEAD: usize = 9;
const GOAWAY: u8 = 7;
const PING: u8 = 6;
const ACK: u8 = 1;
