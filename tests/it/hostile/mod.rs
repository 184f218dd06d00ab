//! Hostile clients: one kind of attack a file, by hand over raw sockets, in clear and over mTLS,
//! each beside a healthy client that must not notice.

mod calls;
mod floods;
mod heads;
mod limits;
mod records;
mod silence;
mod windows;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::reload::connect;
use crate::support::agent::{self, span};
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::gateway::RunningGateway;
use crate::support::pki::TestPki;
use crate::support::upstream::Upstream;

/// A connection in clear or in TLS.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A gateway under attack, its backend, and a client beside the attacker.
pub struct Scene {
    pub gateway: RunningGateway,
    pub upstream: Upstream,
    /// With it both listeners demand client certificates.
    pub pki: Option<TestPki>,
}

impl Scene {
    /// `server` are more keys of both server blocks.
    pub async fn new(is_tls: bool, server: &str) -> Self {
        Self::with(is_tls, server, server).await
    }

    /// More keys of either server block.
    pub async fn with(is_tls: bool, grpc: &str, http: &str) -> Self {
        let upstream = Upstream::plaintext().await;
        let pki = is_tls.then(TestPki::new);
        let tls = pki.as_ref().map_or_else(String::new, |pki| {
            let dir = pki.dir().display();
            format!(
                "tls: {{ cert_file: {dir}/server.crt, key_file: {dir}/server.key, \
                 client_ca_file: {dir}/ca.crt }},"
            )
        });
        let yaml = format!(
            "
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: '127.0.0.1:0', {tls} {grpc} }}
      http: {{ endpoint: '127.0.0.1:0', {tls} {http} }}
exporters:
  otlp_grpc: {{ endpoint: '{}', tls: {{ insecure: true }}, timeout: 30s }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
",
            upstream.address
        );
        Self { gateway: RunningGateway::start(&yaml).await, upstream, pki }
    }

    pub fn address(&self) -> SocketAddr {
        self.gateway.grpc()
    }

    /// Connects, and shakes hands where that is demanded.
    pub async fn dial(&self, alpn: &[u8]) -> Box<dyn Io> {
        match &self.pki {
            Some(pki) => Box::new(connect(self.address(), pki, &pki.client, &[alpn]).await),
            None => Box::new(self.dial_tcp().await),
        }
    }

    /// Connects, no more.
    pub async fn dial_tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A client that sends all the time, in the way of the listener.
    pub async fn neighbour(&self) -> Neighbour {
        let mut client = match &self.pki {
            Some(pki) => agent::mtls(self.address(), pki, Some(&pki.client)).await.unwrap(),
            None => agent::plaintext(self.address()).await,
        };
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopping, sending) = (Arc::clone(&stop), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            while !stopping.load(Ordering::SeqCst) {
                let start = Instant::now();
                client.export(span("healthy")).await.unwrap();
                slowest = slowest.max(start.elapsed());
                sending.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(5)).await;
            }
            slowest
        });
        Neighbour { stop, sent, task }
    }

    /// How many connections were ended for this reason.
    pub fn ended(&self, reason: &str) -> f64 {
        let name = format!("portcullis_connections_ended_total{{reason=\"{reason}\"}}");
        self.gateway.metric(&name)
    }

    /// Waits until no connections are open but so many.
    pub async fn only_open(&self, count: f64) {
        let name = "portcullis_connections{listener=\"receivers.otlp.protocols.grpc\"}";
        eventually("the attacker is gone", || self.gateway.metric(name) <= count).await;
    }
}

/// A healthy client.
pub struct Neighbour {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<Duration>,
}

impl Neighbour {
    /// Shows that it is served now, and that no request of its failed or waited for long.
    pub async fn noticed_nothing(self) {
        let before = self.sent.load(Ordering::SeqCst);
        let is_served = || self.sent.load(Ordering::SeqCst) > before + 2 || self.task.is_finished();
        eventually("the healthy client is served", is_served).await;
        self.stop.store(true, Ordering::SeqCst);
        let slowest = self.task.await.expect("a request of the healthy client failed");
        // A second is far more than it takes; the rest is for a busy machine.
        assert!(slowest < Duration::from_secs(5), "the healthy client waited for {slowest:?}");
    }
}

/// Sends, and reads until the gateway closes; a reset is an end as well.
async fn said(mut io: impl Io, bytes: &[u8]) -> String {
    // It may close before everything is written.
    let _broken = io.write_all(bytes).await;
    let _broken = io.flush().await;
    read_to_end(&mut io).await
}

/// What the gateway says until it closes.
async fn read_to_end(io: &mut (impl Io + ?Sized)) -> String {
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, io.read_to_end(&mut answer)).await;
    let _reset = read.expect("the gateway does not close");
    String::from_utf8_lossy(&answer).into_owned()
}
