//! Deadlines of one connection, on a paused clock over socket pairs.

mod age;
mod windows;

use std::io;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::aside::Aside;
use crate::batch::Batch;
use crate::config::sections::{GrpcServer, Server};
use crate::config::types::{ComponentId, ListenAddress};
use crate::outcome::{self, Outcome};
use crate::receiver;
use crate::shutdown::Drain;
use crate::signal::Signal;
use crate::tls::store::Store;
use crate::tls::testing::{TestPki, client_tls, server_tls};
use crate::tls::{Connector, ServerSnapshot, client, server};

/// Answers after so long.
#[derive(Clone)]
struct Takes(Duration);

impl Consumer for Takes {
    fn serves(&self, _: Signal) -> bool {
        true
    }

    async fn consume(&self, _: Batch) -> Outcome {
        tokio::time::sleep(self.0).await;
        Ok(outcome::Accepted::default())
    }
}

/// One endpoint and the drain of its connections.
struct Bench {
    endpoint: Arc<Endpoint<Takes>>,
    drain: Drain,
    draining: Draining,
    metrics: Metrics,
    _store: Option<Store<ServerSnapshot>>,
}

impl Bench {
    fn new(limits: ServerLimits, pki: Option<&TestPki>) -> Self {
        Self::slow(limits, pki, Duration::ZERO)
    }

    fn slow(limits: ServerLimits, pki: Option<&TestPki>, answer: Duration) -> Self {
        let key = "receivers.otlp.protocols.grpc";
        let anywhere = ListenAddress::Tcp(String::new());
        let server = Server { max_request_bytes: 1 << 20, limits, ..Server::at(key, anywhere) };
        let settings = Settings {
            key_path: server.key_path.clone(),
            limits: server.limits.clone(),
            keep_alive: true,
        };
        let (store, watch) = match pki {
            Some(pki) => {
                let (store, watch) = Store::new(server::load(&server_tls(pki)).unwrap().snapshot);
                (Some(store), Some(watch))
            }
            None => (None, None),
        };
        let metrics = Metrics::default();
        let acceptor = Acceptor::new(watch, &settings.limits, metrics.clone());
        let id = ComponentId { kind: "otlp".to_owned(), name: None };
        let grpc = GrpcServer { server, read_buffer_size: 1 << 19, write_buffer_size: 1 << 15 };
        let shared = receiver::Shared::grpc(&id, &grpc, &Aside::new(2), &metrics);
        let receiver = Receiver::new(&shared, Takes(answer));
        let shown = metrics.clone();
        let endpoint = Endpoint::new(&settings, acceptor, receiver, UnderWay::default(), metrics);
        let (drain, draining) = Drain::new();
        Self { endpoint: Arc::new(endpoint), drain, draining, metrics: shown, _store: store }
    }

    /// Connections that were ended for this reason.
    fn ended(&self, reason: &str) -> usize {
        let line = format!("portcullis_connections_ended_total{{reason=\"{reason}\"}} ");
        let text = self.metrics.render();
        let count = text.lines().find_map(|text| text.strip_prefix(&line));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// A connection that is being served.
    fn connect(&self) -> (UnixStream, JoinHandle<()>) {
        let (near, far) = UnixStream::pair().unwrap();
        let serving = Arc::clone(&self.endpoint).serve(
            Stream::from(far),
            Arc::from("test"),
            self.draining.clone(),
        );
        (near, tokio::spawn(serving))
    }
}

/// How long the served connection lasts, in whole seconds of the paused clock.
async fn seconds_until_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> u64 {
    let start = Instant::now();
    let mut sink = Vec::new();
    let _reset_or_end: io::Result<usize> = stream.read_to_end(&mut sink).await;
    start.elapsed().as_secs()
}

async fn http2_client(stream: UnixStream) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    let driving = tokio::spawn(async move {
        let _closed = connection.await;
    });
    (sender, driving)
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>) -> hyper::Result<Version> {
    let request = Request::get("http://x/").body(Empty::new()).unwrap();
    let response = sender.send_request(request).await?;
    let version = response.version();
    response.into_body().collect().await?;
    Ok(version)
}

/// Sends one request of HTTP/1.1 and returns the head of its answer.
async fn http1_exchange(stream: &mut UnixStream) -> String {
    stream.write_all(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

/// Scenario: peers that connect and say nothing, half a preface, a preface alone, half a head.
/// Guarantees: each is closed when `header_timeout` is over (threat 26, 27).
#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_no_request_is_closed_in_time() {
    let bench = Bench::new(ServerLimits::default(), None);
    let settings_frame = b"\0\0\0\x04\0\0\0\0\0";
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings_frame].concat();
    for sent in [&b""[..], b"PRI * HTTP/2", preface.as_slice(), b"POST /v1/traces HTTP/1.1\r\nHo"] {
        let (mut near, serving) = bench.connect();
        near.write_all(sent).await.unwrap();
        let seconds = seconds_until_closed(&mut near).await;
        assert!((30..32).contains(&seconds), "{sent:?} was closed after {seconds} s");
        serving.await.unwrap();
    }
}

/// Scenario: a client with a good certificate shakes hands and sends nothing.
/// Guarantees: it is closed when `header_timeout` is over (hyper has no such deadline).
#[tokio::test(start_paused = true)]
async fn a_handshake_without_a_request_is_closed_in_time() {
    let pki = TestPki::new();
    let bench = Bench::new(ServerLimits::default(), Some(&pki));
    let (near, serving) = bench.connect();
    let (_store, watch) = Store::new(client::load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(watch, "localhost".to_owned());
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut connected = connector.connect(near, "localhost:1", deadline).await.unwrap();
    let seconds = seconds_until_closed(&mut connected.io).await;
    assert!((30..32).contains(&seconds), "closed after {seconds} s");
    serving.await.unwrap();
}

/// Scenario: an HTTP/1.1 connection carries a request, idles for four minutes, carries another,
/// then sends half a head.
/// Guarantees: idling is allowed up to `idle_timeout`, a slow head only `header_timeout`.
#[tokio::test(start_paused = true)]
async fn an_idle_http1_connection_lives_longer_than_a_slow_head() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (mut near, serving) = bench.connect();
    http1_exchange(&mut near).await;
    tokio::time::sleep(Duration::from_secs(240)).await;
    http1_exchange(&mut near).await;
    near.write_all(b"GET / HT").await.unwrap();
    let seconds = seconds_until_closed(&mut near).await;
    assert!((30..32).contains(&seconds), "slow head closed after {seconds} s");
    serving.await.unwrap();

    let (mut near, serving) = bench.connect();
    http1_exchange(&mut near).await;
    let seconds = seconds_until_closed(&mut near).await;
    assert!((300..303).contains(&seconds), "idle connection closed after {seconds} s");
    drop(near);
    serving.await.unwrap();
}

/// Scenario: HTTP/2 connections with and without `idle_timeout`, after one request.
/// Guarantees: the first is told to go when it is over, the second stays.
#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_is_closed_only_if_asked_for() {
    let limits =
        ServerLimits { idle_timeout: Some(Duration::from_secs(60)), ..ServerLimits::default() };
    for (limits, wanted) in [(limits, Some(60..62)), (ServerLimits::default(), None)] {
        let bench = Bench::new(limits, None);
        let (near, _serving) = bench.connect();
        let (mut sender, driving) = http2_client(near).await;
        assert_eq!(get(&mut sender).await.unwrap(), Version::HTTP_2);
        let start = Instant::now();
        let closed = timeout(Duration::from_secs(3600), driving).await;
        match wanted {
            Some(range) => assert!(range.contains(&start.elapsed().as_secs())),
            None => assert!(closed.is_err(), "closed after {:?}", start.elapsed()),
        }
    }
}

/// Scenario: a drain begins while one peer shakes hands, one idles, and one has stopped reading.
/// Guarantees: none of them holds it up for more than the few seconds an answer to GOAWAY takes.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_requests_and_not_for_peers() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (_silent, first) = bench.connect();
    let (mut idle, second) = bench.connect();
    http1_exchange(&mut idle).await;
    let (mut frozen, third) = bench.connect();
    frozen.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    bench.drain.begin(start + Duration::from_secs(30));
    for serving in [first, second, third] {
        serving.await.unwrap();
    }
    assert!(start.elapsed() <= Duration::from_secs(3), "took {:?}", start.elapsed());
}

/// Scenario: a drain begins while peers that read what they are told are idle.
/// Guarantees: they are told at once, and gone.
#[tokio::test(start_paused = true)]
async fn a_drain_tells_idle_peers_to_go_at_once() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (near, first) = bench.connect();
    let (mut sender, driving) = http2_client(near).await;
    get(&mut sender).await.unwrap();
    let (mut idle, second) = bench.connect();
    http1_exchange(&mut idle).await;
    let start = Instant::now();
    bench.drain.begin(start + Duration::from_secs(30));
    driving.await.unwrap();
    assert_eq!(seconds_until_closed(&mut idle).await, 0);
    drop(idle);
    for serving in [first, second] {
        serving.await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
}

/// Scenario: a client of HTTP/1.1 sends requests without end and reads no answer.
/// Guarantees: it is cut when `write_timeout` is over.
#[tokio::test(start_paused = true)]
async fn a_peer_of_http1_that_reads_nothing_is_cut_in_time() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (mut near, serving) = bench.connect();
    let requests = b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let start = Instant::now();
    let endless = async { while near.write_all(&requests).await.is_ok() {} };
    timeout(Duration::from_secs(300), endless).await.unwrap();
    serving.await.unwrap();
    let seconds = start.elapsed().as_secs();
    assert!((30..34).contains(&seconds), "cut after {seconds} s");
}

/// Guarantees: what one connection costs beside the libraries' buffers does not grow unnoticed.
#[tokio::test]
async fn the_future_of_a_connection_stays_small() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (_near, far) = UnixStream::pair().unwrap();
    let serving = Arc::clone(&bench.endpoint).serve(
        Stream::from(far),
        Arc::from("test"),
        bench.draining.clone(),
    );
    let size = size_of_val(&serving);
    assert!(size <= 4096, "{size} bytes");
}
