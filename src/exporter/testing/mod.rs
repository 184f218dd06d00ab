//! Upstreams that behave as a test wants, and what is needed to send to them.

pub(crate) mod load;
pub(crate) mod web;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, Response};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::aside::Aside;
use crate::batch::{Batch, Room, Rope};
use crate::config::sections::{self, ClientTls, GrpcExporter, RetrySettings};
use crate::config::types::{ComponentId, Compression, Upstream};
use crate::exporter::{Blueprint, Exporter};
use crate::metrics::Metrics;
use crate::outcome::Failure;
use crate::signal::Signal;
use crate::tls::testing::{Leaf, TestPki};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) uri: http::Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What to do with a request.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
pub(crate) enum Reply {
    /// Headers, message bytes, trailers.
    Full(Response<()>, Bytes, Option<HeaderMap>),
    /// Headers and some bytes, then a reset.
    Cut(Bytes, Reason),
    /// A reset at once.
    Reset(Reason),
    /// Never.
    Hang,
    /// A GOAWAY after this answer.
    GoAway(Box<Self>),
    /// The connection is dropped.
    Drop,
}

impl Reply {
    /// OK with an empty message.
    pub(crate) fn ok() -> Self {
        Self::message(&[])
    }

    /// OK with this message.
    pub(crate) fn message(message: &[u8]) -> Self {
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
        Self::Full(Self::head(), body.into(), Some(trailers(&[("grpc-status", "0")])))
    }

    pub(crate) fn head() -> Response<()> {
        Response::builder().header("content-type", "application/grpc").body(()).unwrap()
    }
}

pub(crate) fn trailers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

type Script = Arc<dyn Fn(usize, &Seen) -> Reply + Send + Sync>;

/// A gRPC upstream on a loopback port. It ends with the value.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
    /// Open right now.
    open: Arc<AtomicUsize>,
    /// The client certificate of each connection.
    peers: Arc<Mutex<Vec<Vec<u8>>>>,
    acceptor: Acceptor,
    task: JoinHandle<()>,
}

type Acceptor = Arc<Mutex<Option<Arc<ServerConfig>>>>;

impl Backend {
    /// Over TLS, or plaintext without a configuration.
    pub(crate) async fn start(
        tls: Option<ServerConfig>,
        script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, tls, script)
    }

    pub(crate) fn on(
        listener: TcpListener,
        tls: Option<ServerConfig>,
        script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let acceptor: Acceptor = Arc::default();
        *acceptor.lock().unwrap() = tls.map(Arc::new);
        let script: Script = Arc::new(script);
        let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
        let (open, peers) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (opened, shown, tls) = (Arc::clone(&open), Arc::clone(&peers), Arc::clone(&acceptor));
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let (config, script) = (tls.lock().unwrap().clone(), Arc::clone(&script));
                let (log, opened, shown) =
                    (Arc::clone(&log), Arc::clone(&opened), Arc::clone(&shown));
                tasks.spawn(async move {
                    opened.fetch_add(1, Ordering::SeqCst);
                    match config {
                        None => serve(stream, script, log).await,
                        Some(config) => {
                            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                                let peer = stream.get_ref().1.peer_certificates();
                                let peer = peer.and_then(|chain| Some(chain.first()?.to_vec()));
                                shown.lock().unwrap().extend(peer);
                                serve(stream, script, log).await;
                            }
                        }
                    }
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, connections, open, peers, acceptor, task }
    }

    /// From now on new connections are met with this.
    pub(crate) fn rekey(&self, tls: ServerConfig) {
        *self.acceptor.lock().unwrap() = Some(Arc::new(tls));
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The client certificate of each connection so far, in DER.
    pub(crate) fn peers(&self) -> Vec<Vec<u8>> {
        self.peers.lock().unwrap().clone()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 21);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let mut tasks = JoinSet::new();
    let (orders, mut ordered) = tokio::sync::mpsc::channel(8);
    loop {
        let (request, respond) = tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok(accepted)) => accepted,
                _ => return,
            },
            Some(drop) = ordered.recv() => {
                if drop { return; }
                connection.graceful_shutdown();
                continue;
            }
        };
        let (script, log, orders) = (Arc::clone(&script), Arc::clone(&log), orders.clone());
        tasks.spawn(answer(request, respond, script, log, orders));
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    script: Script,
    log: Arc<Mutex<Vec<Seen>>>,
    orders: tokio::sync::mpsc::Sender<bool>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let Ok(piece) = piece else { return };
        let _ended = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    let seen = Seen { uri: head.uri, headers: head.headers, body: body.freeze() };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len() - 1
    };
    let mut reply = script(number, &seen);
    if let Reply::GoAway(inner) = reply {
        let _ended = orders.send(false).await;
        reply = *inner;
    }
    match reply {
        Reply::Full(head, body, None) if body.is_empty() => {
            let _ended = respond.send_response(head, true);
        }
        Reply::Full(head, body, trailers) => {
            let Ok(mut stream) = respond.send_response(head, false) else { return };
            let _ended = stream.send_data(body, trailers.is_none());
            if let Some(trailers) = trailers {
                let _ended = stream.send_trailers(trailers);
            }
        }
        Reply::Cut(body, reason) => {
            let Ok(mut stream) = respond.send_response(Reply::head(), false) else { return };
            let _ended = stream.send_data(body, false);
            tokio::task::yield_now().await;
            stream.send_reset(reason);
        }
        Reply::Reset(reason) => respond.send_reset(reason),
        Reply::Hang => std::future::pending().await,
        Reply::Drop => {
            let _ended = orders.send(true).await;
            // Ending here would reset the stream first.
            std::future::pending::<()>().await;
        }
        Reply::GoAway(_) => {}
    }
}

/// How an upstream's TLS differs from the usual.
#[derive(Debug, Default)]
pub(crate) struct ServerOptions {
    pub(crate) only_tls12: bool,
    pub(crate) alpn: Vec<Vec<u8>>,
    /// PEM of the CA whose client certificates are demanded.
    pub(crate) client_ca: Option<String>,
}

/// The server side of TLS with this leaf.
pub(crate) fn server_config(leaf: &Leaf, options: ServerOptions) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[_] = if options.only_tls12 { &[&TLS12] } else { &[&TLS13, &TLS12] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match options.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(leaf.cert_pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem().as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = options.alpn;
    config
}

/// The usual mTLS upstream: certificate for `localhost`, clients of the first CA, h2.
pub(crate) fn mtls(pki: &TestPki) -> ServerConfig {
    let client_ca = Some(pki.ca.pem());
    let alpn = vec![b"h2".to_vec()];
    server_config(&pki.server, ServerOptions { alpn, client_ca, ..ServerOptions::default() })
}

/// An exporter's block with the Collector's defaults but without compression.
pub(crate) fn grpc_config(address: SocketAddr, tls: Option<ClientTls>) -> GrpcExporter {
    GrpcExporter {
        key_path: "exporters.otlp_grpc".to_owned(),
        endpoint: address.to_string(),
        upstream: Upstream::Tcp { host: address.ip().to_string(), port: address.port() },
        tls,
        timeout: Duration::from_secs(5),
        compression: Compression::None,
        headers: Vec::new(),
        user_agent: None,
        authority: None,
        keepalive: None,
        wait_for_ready: false,
        round_robin: true,
        connect_timeout: Duration::from_secs(10),
        retry: RetrySettings::default(),
        queue: None,
    }
}

/// A worker's exporter of this block.
pub(crate) fn exporter(config: sections::Exporter) -> Exporter {
    Exporter::new(&blueprint(config))
}

#[expect(clippy::needless_pass_by_value, reason = "tests make it for this")]
pub(crate) fn blueprint(config: sections::Exporter) -> Blueprint {
    let id = ComponentId { kind: "otlp_grpc".to_owned(), name: Some("up".to_owned()) };
    let (aside, room) = (Aside::new(2), Room::new(usize::MAX));
    let means = (&aside, &room);
    Blueprint::load(&id, &config, means, &Metrics::default(), &mut Vec::new()).unwrap()
}

pub(crate) fn grpc(config: GrpcExporter) -> Exporter {
    exporter(sections::Exporter::Grpc(Box::new(config)))
}

/// A batch of these bytes, whatever they mean, from a sender that waits ten seconds.
pub(crate) fn batch(signal: Signal, body: &'static [u8]) -> Batch {
    let (first, second) = body.split_at(body.len() / 2);
    Batch {
        signal,
        items: 3,
        decoded: Rope::from_iter([Bytes::from_static(first), Bytes::from_static(second)]),
        encoded: None,
        identity: None,
        deadline: Instant::now() + Duration::from_secs(10),
    }
}

/// What a sender is told that waits so long and no longer; shows that it is told in time.
pub(crate) async fn told_in_time(exporter: &Exporter, patience: Duration) -> Failure {
    let mut short = batch(Signal::Traces, b"x");
    short.deadline = Instant::now() + patience;
    let failure = exporter.export(&short).await.unwrap_err();
    assert!(Instant::now() < short.deadline);
    failure
}

/// Reads an exporter's `tls` block anew and publishes it, as a reload does.
pub(crate) fn publish(blueprint: &Blueprint) {
    let credentials = blueprint.credentials().unwrap();
    let loaded = crate::tls::client::load(&credentials.tls, credentials.alpn).unwrap();
    credentials.store.publish(loaded.snapshot);
}

/// Waits until something holds that other tasks bring about.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
