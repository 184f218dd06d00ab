//! HTTP upstreams that behave as a test wants.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::config::sections::{self, ClientTls, HttpExporter, RetrySettings};
use crate::config::types::Compression;
use crate::exporter::Exporter;
use crate::exporter::testing::{Seen, exporter};

type Script = Arc<dyn Fn(usize, &Seen) -> Response<Full<Bytes>> + Send + Sync>;

/// An upstream on a loopback port, HTTP/1.1 or what ALPN says. It ends with the value.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
    /// Open right now.
    open: Arc<AtomicUsize>,
    /// The client certificate of each connection.
    peers: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Web {
    pub(crate) async fn start(
        tls: Option<ServerConfig>,
        script: impl Fn(usize, &Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let script: Script = Arc::new(script);
        let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
        let (open, peers) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (opened, shown) = (Arc::clone(&open), Arc::clone(&peers));
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                let (log, opened, shown) =
                    (Arc::clone(&log), Arc::clone(&opened), Arc::clone(&shown));
                tasks.spawn(async move {
                    opened.fetch_add(1, Ordering::SeqCst);
                    match acceptor {
                        None => serve(stream, false, script, log).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let tls = stream.get_ref().1;
                                let peer = tls.peer_certificates();
                                let peer = peer.and_then(|chain| Some(chain.first()?.to_vec()));
                                shown.lock().unwrap().extend(peer);
                                let h2 = tls.alpn_protocol() == Some(b"h2");
                                serve(stream, h2, script, log).await;
                            }
                        }
                    }
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, connections, open, peers, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The client certificate of each connection so far, in DER.
    pub(crate) fn peers(&self) -> Vec<Vec<u8>> {
        self.peers.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    h2: bool,
    script: Script,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (script, log) = (Arc::clone(&script), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let seen = Seen { uri: head.uri, headers: head.headers, body };
            let number = {
                let mut log = log.lock().unwrap();
                log.push(seen.clone());
                log.len() - 1
            };
            Ok::<_, Infallible>(script(number, &seen))
        }
    });
    let io = TokioIo::new(stream);
    if h2 {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ended = server.serve_connection(io, service).await;
    } else {
        let _ended = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

/// An answer of this kind.
pub(crate) fn respond(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into())).unwrap()
}

/// A success with nothing to say.
pub(crate) fn success() -> Response<Full<Bytes>> {
    respond(200, &[("content-type", "application/x-protobuf")], "")
}

/// An exporter's block with the Collector's defaults but without compression.
pub(crate) fn http_config(base: &str, tls: ClientTls) -> HttpExporter {
    HttpExporter {
        key_path: "exporters.otlp_http".to_owned(),
        urls: crate::signal::Signal::ALL
            .map(|signal| Some(format!("{base}{}", signal.http_path()))),
        tls,
        timeout: Duration::from_secs(30),
        compression: Compression::None,
        compression_level: None,
        headers: Vec::new(),
        json: false,
        proxy_url: None,
        max_idle_conns: 100,
        max_idle_conns_per_host: 2,
        max_conns_per_host: 0,
        idle_conn_timeout: Duration::from_secs(90),
        disable_keep_alives: false,
        force_attempt_http2: true,
        http2_read_idle_timeout: Duration::ZERO,
        http2_ping_timeout: Duration::from_secs(15),
        connect_timeout: Duration::from_secs(10),
        retry: RetrySettings::default(),
        queue: None,
    }
}

pub(crate) fn http(config: HttpExporter) -> Exporter {
    exporter(sections::Exporter::Http(Box::new(config)))
}
