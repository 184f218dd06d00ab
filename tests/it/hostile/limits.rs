//! What may be sent at most, just below and just above, over real connections. Limits that a
//! listener without sockets can show are in `src/receiver/conformance/limits.rs`.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::Scene;
use super::wire::{Client, call_head};
use crate::support::agent::{self, span};
use crate::support::eventually::eventually;
use crate::support::frames::{END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM, frame};
use crate::support::gateway::RunningGateway;
use crate::support::upstream::Upstream;

/// A request of exactly so many bytes.
fn of_length(length: usize) -> ExportTraceServiceRequest {
    let mut request = span(&"x".repeat(length));
    let longer = request.encoded_len() - length;
    request = span(&"x".repeat(length - longer));
    assert_eq!(request.encoded_len(), length);
    request
}

/// Guarantees: `max_recv_msg_size_mib` and `max_request_body_size` are exact, plain and inflated;
/// the refused are told with the code that no sender retries, and their connection goes on.
#[tokio::test]
async fn messages_pass_up_to_the_limit_and_not_one_byte_more() {
    const LIMIT: usize = 1 << 20;
    let scene =
        Scene::with(false, "max_recv_msg_size_mib: 1", "max_request_body_size: 1048576").await;
    let neighbour = scene.neighbour().await;
    for coding in [None, Some(CompressionEncoding::Gzip)] {
        let mut client = agent::plaintext(scene.gateway.grpc()).await;
        if let Some(coding) = coding {
            client = client.send_compressed(coding);
        }
        client.export(of_length(LIMIT)).await.unwrap();
        let status = client.export(of_length(LIMIT + 1)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        client.export(of_length(LIMIT)).await.unwrap();
    }
    for (length, wanted) in [(LIMIT, 200), (LIMIT + 1, 413)] {
        let stream = TcpStream::connect(scene.gateway.http()).await.unwrap();
        let body = of_length(length).encode_to_vec();
        let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await;
        assert_eq!(answer.unwrap().status(), wanted);
    }
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: as many calls as `max_concurrent_streams` allows wait for the backend; one more comes,
/// from a client that does not keep to what it was told, and then thousands.
/// Guarantees: the one more is refused alone, as one that may be sent again; those before it are
/// answered; whoever goes on is cut.
#[tokio::test]
async fn streams_are_opened_up_to_the_limit_and_not_one_more() {
    let scene = Scene::new(false, "max_concurrent_streams: 3").await;
    let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
    scene.upstream.hold();
    for stream in [1, 3, 5] {
        client.send(&super::wire::call(stream)).await.unwrap();
    }
    eventually("all wait at the backend", || scene.upstream.begun() == 3).await;
    client.send(&super::wire::call(7)).await.unwrap();
    let refused = client.wait_for(RST_STREAM, 7).await;
    assert_eq!(refused.code(), 7, "REFUSED_STREAM");
    assert_eq!(scene.upstream.begun(), 3);
    scene.upstream.release();
    for _ in 0..3 {
        let ended = |frame: &Frame| frame.flags & END_STREAM != 0;
        loop {
            let frame = client.next().await.expect("the gateway has closed");
            // The data of the refused one is refused as well.
            assert!(frame.kind != RST_STREAM || frame.stream == 7, "{frame:?}");
            if frame.kind == HEADERS && ended(&frame) {
                break;
            }
        }
    }
    client.call(9).await;
    let neighbour = scene.neighbour().await;
    scene.upstream.hold();
    for stream in [11, 13, 15] {
        client.send(&super::wire::call(stream)).await.unwrap();
    }
    for round in 0..10_000 {
        let stream = 17 + 2 * round;
        let head = frame(HEADERS, END_HEADERS, stream, &call_head());
        if client.send(&head).await.is_err() {
            break;
        }
    }
    client.rest().await;
    scene.upstream.release();
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: calls that wait hold as many bytes as `max_in_flight_bytes` allows.
/// Guarantees: one more is told to come back, and passes when there is room again.
#[tokio::test]
async fn bytes_in_flight_are_taken_up_to_the_limit_and_not_more() {
    let scene = Scene::new(false, "max_in_flight_bytes: 100000").await;
    scene.upstream.hold();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = agent::plaintext(scene.address()).await;
        waiting.push(tokio::spawn(async move { client.export(of_length(40_000)).await }));
    }
    eventually("both wait at the backend", || scene.upstream.begun() == 2).await;
    let mut client = agent::plaintext(scene.address()).await;
    let status = client.export(of_length(30_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(scene.upstream.begun(), 2);
    let small = tokio::spawn({
        let mut client = client.clone();
        async move { client.export(of_length(10_000)).await }
    });
    eventually("a small one has room", || scene.upstream.begun() == 3).await;
    scene.upstream.release();
    for task in waiting.into_iter().chain([small]) {
        task.await.unwrap().unwrap();
    }
    client.export(of_length(30_000)).await.unwrap();
    scene.gateway.stop().await;
}

/// Scenario: the gateway puts 1000 bytes into each request, and may hold 1500 of such bytes; one
/// request waits for the backend, and another comes.
/// Guarantees: `service.max_edited_bytes` is the bound: the other is told to come back, and why, the
/// backend sees nothing of it, and it passes when the first has been answered.
#[tokio::test]
async fn edits_hold_as_many_bytes_as_the_configuration_says() {
    let upstream = Upstream::plaintext().await;
    let gateway = RunningGateway::start(&format!(
        "
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }} }}
processors: {{ attributes: {{ actions: [ {{ key: by, value: {}, action: upsert }} ] }} }}
exporters: {{ otlp_grpc: {{ endpoint: '{}', tls: {{ insecure: true }} }} }}
service:
  max_edited_bytes: 1500
  pipelines: {{ traces: {{ receivers: [otlp], processors: [attributes], exporters: [otlp_grpc] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
",
        "x".repeat(1000),
        upstream.address
    ))
    .await;
    upstream.hold();
    let mut client = agent::plaintext(gateway.grpc()).await;
    let first = tokio::spawn({
        let mut client = client.clone();
        async move { client.export(span("first")).await }
    });
    eventually("it waits at the backend", || upstream.begun() == 1).await;
    let status = client.export(span("second")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("(1500)"), "{status:?}");
    assert!(status.message().contains("service.max_edited_bytes"), "{status:?}");
    assert_eq!(upstream.begun(), 1);
    upstream.release();
    first.await.unwrap().unwrap();
    client.export(span("second")).await.unwrap();
    gateway.stop().await;
}
