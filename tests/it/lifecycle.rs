//! From accept to drain: what is let in, what is cut, and what survives the end.

use std::time::Duration;

use portcullis::Ended;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

use crate::support::agent::{self, first_name, span};
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::gateway::RunningGateway;
use crate::support::pki::TestPki;
use crate::support::upstream::Upstream;

/// A gateway in clear on both sides. `server` goes into both server blocks, `service` into
/// `service`.
fn plaintext(upstream: &Upstream, server: &str, service: &str) -> String {
    format!(
        "
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: '127.0.0.1:0', {server} }}
      http: {{ endpoint: '127.0.0.1:0', {server} }}
exporters:
  otlp_grpc: {{ endpoint: '{}', tls: {{ insecure: true }}, timeout: 30s }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
  {service}
",
        upstream.address
    )
}

/// A gateway with mTLS on both sides.
pub fn mtls(upstream: &Upstream, pki: &TestPki) -> String {
    let dir = pki.dir().display();
    let own = format!(
        "{{ cert_file: {dir}/server.crt, key_file: {dir}/server.key, client_ca_file: {dir}/ca.crt }}"
    );
    format!(
        "
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: '127.0.0.1:0', tls: {own} }}
      http: {{ endpoint: '127.0.0.1:0', tls: {own} }}
exporters:
  otlp_grpc:
    endpoint: 'localhost:{}'
    tls: {{ ca_file: {dir}/ca.crt, cert_file: {dir}/client.crt, key_file: {dir}/client.key }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
",
        upstream.address.port()
    )
}

/// Scenario: a client with a certificate sends over gRPC to either port.
/// Guarantees: its OK means that the backend, reached over another mTLS connection, has the batch.
#[tokio::test]
async fn a_batch_goes_through_mtls_on_both_sides_on_either_port() {
    let pki = TestPki::new();
    let mut upstream = Upstream::mtls(&pki).await;
    let gateway = RunningGateway::start(&mtls(&upstream, &pki)).await;
    for address in [gateway.grpc(), gateway.http()] {
        let mut client = agent::mtls(address, &pki, Some(&pki.client)).await.unwrap();
        client.export(span("through")).await.unwrap();
        assert_eq!(first_name(&upstream.received.recv().await.unwrap()), "through");
    }
    assert_eq!(gateway.stop().await, Ended { unanswered: 0 });
}

/// Scenario: clients without a certificate and with one of another CA.
/// Guarantees: neither gets an answer, and nothing reaches the backend.
#[tokio::test]
async fn a_client_without_the_right_certificate_gets_nothing_through() {
    let pki = TestPki::new();
    let mut upstream = Upstream::mtls(&pki).await;
    let gateway = RunningGateway::start(&mtls(&upstream, &pki)).await;
    for leaf in [None, Some(&pki.other_client)] {
        // With TLS 1.3 the client learns of the refusal with its first request.
        let refused = match agent::mtls(gateway.grpc(), &pki, leaf).await {
            Ok(mut client) => client.export(span("refused")).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
    assert_eq!(gateway.stop().await, Ended { unanswered: 0 });
    assert_eq!(upstream.begun(), 0);
    assert!(upstream.received.try_recv().is_err());
}

/// Scenario: in clear, gRPC with prior knowledge and HTTP/1.1 with protobuf, each on either port.
/// Guarantees: all four arrive.
#[tokio::test]
async fn plaintext_http1_and_http2_are_told_apart_on_either_port() {
    let mut upstream = Upstream::plaintext().await;
    let gateway = RunningGateway::start(&plaintext(&upstream, "", "")).await;
    for address in [gateway.grpc(), gateway.http()] {
        agent::plaintext(address).await.export(span("h2c")).await.unwrap();
        assert_eq!(first_name(&upstream.received.recv().await.unwrap()), "h2c");
        let stream = TcpStream::connect(address).await.unwrap();
        let body = span("h1").encode_to_vec();
        let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await;
        assert_eq!(answer.unwrap().status(), 200);
        assert_eq!(first_name(&upstream.received.recv().await.unwrap()), "h1");
    }
    assert_eq!(gateway.stop().await, Ended { unanswered: 0 });
}

#[tokio::test]
async fn a_unix_socket_is_served_and_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    let mut upstream = Upstream::plaintext().await;
    let yaml = format!(
        "
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: '{}', transport: unix }} }} }}
exporters:
  otlp_grpc: {{ endpoint: '{}', tls: {{ insecure: true }} }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
",
        path.display(),
        upstream.address
    );
    let gateway = RunningGateway::start(&yaml).await;
    let stream = UnixStream::connect(&path).await.unwrap();
    let body = span("unix").encode_to_vec();
    let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(first_name(&upstream.received.recv().await.unwrap()), "unix");
    gateway.stop().await;
    assert!(!path.exists());
}

/// Scenario: 200 peers hold connections without a word, with half a preface, with a preface only.
/// Guarantees: each is closed in time, and a client beside them is served meanwhile (threat 26).
#[tokio::test]
async fn silent_peers_are_closed_and_nobody_else_notices() {
    let mut upstream = Upstream::plaintext().await;
    let yaml = plaintext(&upstream, "read_header_timeout: 2s", "");
    let gateway = RunningGateway::start(&yaml).await;
    let start = Instant::now();
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(gateway.grpc()).await.unwrap();
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => b"PRI * HTTP/2.0\r\n",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        };
        stream.write_all(said).await.unwrap();
        silent.push(stream);
    }
    let mut healthy = agent::plaintext(gateway.grpc()).await;
    while start.elapsed() < Duration::from_millis(500) {
        let answered = timeout(Duration::from_secs(1), healthy.export(span("healthy")));
        answered.await.expect("the healthy client waits").unwrap();
        upstream.received.recv().await.unwrap();
    }
    for stream in &mut silent {
        let mut rest = Vec::new();
        let _closed = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(6), "took {:?}", start.elapsed());
    healthy.export(span("healthy")).await.unwrap();
    gateway.stop().await;
}

/// Scenario: requests wait for a slow backend when the gateway is told to end.
/// Guarantees: no new connection gets in, every waiting request gets its OK once the backend
/// answers, and as many batches have arrived as were acknowledged (threat 47).
#[tokio::test]
async fn t47_a_drain_answers_every_request_that_was_begun() {
    let mut upstream = Upstream::plaintext().await;
    let gateway = RunningGateway::start(&plaintext(&upstream, "", "shutdown_timeout: 20s")).await;
    upstream.hold();
    let mut senders = Vec::new();
    for number in 0..10 {
        let mut client = agent::plaintext(gateway.grpc()).await;
        senders.push(tokio::spawn(async move {
            client.export(span(&number.to_string())).await.unwrap();
        }));
        let stream = TcpStream::connect(gateway.http()).await.unwrap();
        senders.push(tokio::spawn(async move {
            let body = span("http").encode_to_vec();
            let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await;
            assert_eq!(answer.unwrap().status(), 200);
        }));
    }
    eventually("all requests are at the backend", || upstream.begun() == 20).await;
    let (grpc, http) = (gateway.grpc(), gateway.http());
    gateway.ask_to_end().await;
    for address in [grpc, http] {
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(address).await.is_ok() {
            assert!(Instant::now() < deadline, "{address} still accepts");
            tokio::task::yield_now().await;
        }
    }
    upstream.release();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(gateway.ended().await, Ended { unanswered: 0 });
    let mut arrived = 0;
    while upstream.received.try_recv().is_ok() {
        arrived += 1;
    }
    assert_eq!(arrived, 20);
}

/// Scenario: the backend never answers; then one more gateway is told twice to end.
/// Guarantees: the first ends at its deadline and counts what it left, the second at once.
#[tokio::test]
async fn a_drain_ends_at_its_deadline_and_at_the_second_request() {
    let upstream = Upstream::plaintext().await;
    upstream.hold();
    for (limit, asks) in [("1s", 1), ("300s", 2)] {
        let yaml = plaintext(&upstream, "", &format!("shutdown_timeout: {limit}"));
        let gateway = RunningGateway::start(&yaml).await;
        let before = upstream.begun();
        let mut client = agent::plaintext(gateway.grpc()).await;
        let waiting = tokio::spawn(async move { client.export(span("waits")).await });
        eventually("the request is at the backend", || upstream.begun() > before).await;
        let start = Instant::now();
        for _ in 0..asks {
            gateway.ask_to_end().await;
        }
        assert_eq!(gateway.ended().await, Ended { unanswered: 1 });
        assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
        assert!(waiting.await.unwrap().is_err());
    }
}

/// Scenario: peers that never read, never finish their handshake, or keep connections open.
/// Guarantees: with no request under way the end does not wait for any of them (threat 48).
#[tokio::test]
async fn t48_frozen_peers_do_not_hold_up_the_end() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    let gateway = RunningGateway::start(&mtls(&upstream, &pki)).await;
    let _silent = TcpStream::connect(gateway.grpc()).await.unwrap();
    let mut half_hello = TcpStream::connect(gateway.grpc()).await.unwrap();
    half_hello.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await.unwrap();
    let _idle = agent::mtls(gateway.grpc(), &pki, Some(&pki.client)).await.unwrap();
    let start = Instant::now();
    assert_eq!(gateway.stop().await, Ended { unanswered: 0 });
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}

/// Scenario: as many connections as `max_connections` or `max_connections_per_source` allows, and
/// one more.
/// Guarantees: the last one is closed and counted, those before it are served.
#[tokio::test]
async fn connections_above_the_cap_are_closed() {
    above_the_cap("max_connections").await;
    above_the_cap("max_connections_per_source").await;
}

async fn above_the_cap(key: &str) {
    let mut upstream = Upstream::plaintext().await;
    let gateway = RunningGateway::start(&plaintext(&upstream, &format!("{key}: 3"), "")).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = agent::plaintext(gateway.grpc()).await;
        client.export(span("below")).await.unwrap();
        upstream.received.recv().await.unwrap();
        clients.push(client);
    }
    let mut above = TcpStream::connect(gateway.grpc()).await.unwrap();
    let read = timeout(DEADLINE, above.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let refused = format!("portcullis_accept_errors_total{{reason=\"{key}\"}}");
    assert!(gateway.metric(&refused) >= 1.0);
    for client in &mut clients {
        client.export(span("still below")).await.unwrap();
    }
    drop(clients);
    gateway.stop().await;
}
