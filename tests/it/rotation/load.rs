//! Senders that never stop while certificates change: steady connections over gRPC and HTTP/1.1,
//! and fresh handshakes on both ports.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::rotations;
use crate::support::agent;
use crate::support::pki::TestPki;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What happened so far.
pub struct Tally {
    began: Instant,
    requests: AtomicU64,
    handshakes: AtomicU64,
    /// Which rotation is under way.
    round: AtomicU32,
    failures: Mutex<Vec<String>>,
}

/// A load that runs until dropped.
pub struct Load {
    tally: Arc<Tally>,
    /// The leaf that the newest fresh handshake was shown, for each port.
    served: Vec<watch::Receiver<Vec<u8>>>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts every sender with the first client's certificate of `pki`.
    pub async fn start(grpc: SocketAddr, http: SocketAddr, pki: &TestPki) -> Self {
        let tally = Arc::new(Tally {
            began: Instant::now(),
            requests: AtomicU64::default(),
            handshakes: AtomicU64::default(),
            round: AtomicU32::default(),
            failures: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        let mut served = Vec::new();
        let client = agent::mtls(grpc, pki, Some(&pki.client)).await.unwrap();
        tasks.spawn(steady_grpc(client, Arc::clone(&tally)));
        let modern = TlsConnector::from(config(pki, &rustls::version::TLS13));
        let old = TlsConnector::from(config(pki, &rustls::version::TLS12));
        tasks.spawn(steady_http(http, modern.clone(), Arc::clone(&tally)));
        for address in [grpc, http] {
            let (sender, receiver) = watch::channel(Vec::new());
            served.push(receiver);
            let connectors = [modern.clone(), old.clone()];
            tasks.spawn(fresh(address, connectors, sender, Arc::clone(&tally)));
        }
        Self { tally, served, tasks }
    }

    /// Waits until fresh handshakes on every port are shown this leaf.
    pub async fn shown(&mut self, leaf: &[u8], within: Duration) -> bool {
        let all = async {
            for served in &mut self.served {
                served.wait_for(|shown| shown == leaf).await.unwrap();
            }
        };
        timeout(within, all).await.is_ok()
    }

    /// From now on, failures are of this rotation.
    pub fn begin(&self, round: u32) {
        self.tally.round.store(round, Ordering::Relaxed);
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.tally.began.elapsed()
    }

    /// Requests and fresh handshakes that succeeded so far, and everything that failed.
    pub fn so_far(&self) -> (u64, u64, Vec<String>) {
        let failures = self.tally.failures.lock().unwrap().clone();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.tally.requests), count(&self.tally.handshakes), failures)
    }

    /// Ends it: how many requests and fresh handshakes succeeded, and everything that failed.
    pub async fn stop(mut self) -> (u64, u64, Vec<String>) {
        self.tasks.shutdown().await;
        self.so_far()
    }
}

impl Tally {
    fn request<T, E: std::fmt::Display>(&self, what: &str, result: Result<T, E>) -> bool {
        match result {
            Ok(_) => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(error) => {
                let (round, at) = (self.round.load(Ordering::Relaxed), self.began.elapsed());
                self.failures.lock().unwrap().push(format!(
                    "rotation {round}, {:.2} s after the start: {what}: {error}",
                    at.as_secs_f64()
                ));
                false
            }
        }
    }
}

/// A TLS client that trusts the first CA of `pki` and shows its first client certificate, without
/// resumption: every handshake is shown a certificate.
pub fn config(pki: &TestPki, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.ca.pem().as_bytes()).unwrap()).unwrap();
    let chain = vec![pki.client.certificate.der().clone()];
    let key = PrivateKeyDer::from_pem_slice(pki.client.key_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

async fn steady_grpc(
    mut client: opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient<tonic::transport::Channel>,
    tally: Arc<Tally>,
) {
    let mut pace = pace();
    loop {
        pace.tick().await;
        let answer = timeout(DEADLINE, client.export(agent::span("steady"))).await;
        let answer = answer.map_err(Failure::from).and_then(|answer| Ok(answer?));
        tally.request("steady gRPC", answer);
    }
}

async fn steady_http(address: SocketAddr, connector: TlsConnector, tally: Arc<Tally>) {
    let mut pace = pace();
    let mut sender: Option<http1::SendRequest<Full<Bytes>>> = None;
    loop {
        pace.tick().await;
        if sender.as_ref().is_none_or(http1::SendRequest::is_closed) {
            match timeout(DEADLINE, connect(address, &connector)).await {
                Ok(Ok(stream)) => sender = Some(speak(stream).await.unwrap()),
                other => {
                    let failure = other.map(Result::err).ok().flatten();
                    tally.request::<(), _>("steady HTTP, connect", Err(format!("{failure:?}")));
                    continue;
                }
            }
        }
        let Some(open) = &mut sender else { continue };
        match timeout(DEADLINE, post(open)).await.map_err(Failure::from).and_then(|r| r) {
            Ok(close) => {
                tally.request::<_, Failure>("", Ok(()));
                if close {
                    sender = None;
                }
            }
            Err(error) => {
                tally.request::<(), _>("steady HTTP", Err(error));
                sender = None;
            }
        }
    }
}

async fn fresh(
    address: SocketAddr,
    connectors: [TlsConnector; 2],
    served: watch::Sender<Vec<u8>>,
    tally: Arc<Tally>,
) {
    let mut pace = pace();
    for connector in connectors.iter().cycle() {
        pace.tick().await;
        let once = async {
            let stream = connect(address, connector).await?;
            let certificates = stream.get_ref().1.peer_certificates();
            let leaf = certificates.and_then(<[_]>::first).map(|leaf| leaf.to_vec());
            let mut sender = speak(stream).await?;
            post(&mut sender).await?;
            Ok(leaf.unwrap_or_default())
        };
        let result = timeout(DEADLINE, once).await.map_err(Failure::from).and_then(|result| result);
        if let Ok(leaf) = &result {
            served.send_if_modified(|shown| {
                let new = shown != leaf;
                shown.clone_from(leaf);
                new
            });
            tally.handshakes.fetch_add(1, Ordering::Relaxed);
        }
        tally.request("fresh handshake", result);
    }
}

async fn connect(
    address: SocketAddr,
    connector: &TlsConnector,
) -> Result<TlsStream<TcpStream>, Failure> {
    let stream = TcpStream::connect(address).await?;
    Ok(connector.connect(ServerName::try_from("localhost")?, stream).await?)
}

async fn speak(
    stream: TlsStream<TcpStream>,
) -> Result<http1::SendRequest<Full<Bytes>>, hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender; what goes wrong is the request's error, too.
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends one span; true when the gateway closes the connection after it.
async fn post(sender: &mut http1::SendRequest<Full<Bytes>>) -> Result<bool, Failure> {
    let body = agent::span("steady").encode_to_vec();
    let request = Request::post("/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf")
        .body(Full::new(Bytes::from(body)))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let close = response.headers().get("connection").is_some_and(|value| value == "close");
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status == StatusCode::OK {
        return Ok(close);
    }
    Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
}

/// Between two requests of one sender. A long run has requests enough, and many rows at once: all
/// of them must fit on two processors, or what is measured is the queue before those.
fn pace() -> Interval {
    let mut pace = interval(Duration::from_millis(if rotations() > 100 { 20 } else { 5 }));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// A request or handshake that takes so long has failed.
const DEADLINE: Duration = Duration::from_secs(10);
