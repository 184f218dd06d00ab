//! What generated clients and bare bytes are answered, over sockets in the clear.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use super::requests::export;
use super::support::Gate;
use super::wire::Wire;
use crate::outcome::{Accepted, Failure, PartialSuccess, Side};
use crate::signal::Signal;

async fn client(gate: &Gate) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", gate.address())).unwrap();
    TraceServiceClient::new(endpoint.connect().await.unwrap())
}

/// Writes a request and reads until the server closes.
async fn raw(gate: &Gate, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(gate.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    read.expect("the server closes").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(items: usize) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(export(Signal::Traces, items)).unwrap()
}

#[tokio::test]
async fn a_generated_client_exports_plain_and_gzip() {
    let gate = Wire::Clear.grpc(|_| {});
    let mut plain = client(&gate).await;
    let mut gzip = client(&gate).await.send_compressed(CompressionEncoding::Gzip);
    for client in [&mut plain, &mut gzip] {
        let answer = client.export(request(2000)).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
    }
    let items: Vec<_> = gate.seen().iter().map(|batch| batch.items).collect();
    assert_eq!(items, [2000, 2000]);
    assert_eq!(gate.seen()[1].decoded.to_bytes(), export(Signal::Traces, 2000));
}

#[tokio::test]
async fn a_generated_client_reads_partial_success_and_failures() {
    let partial = PartialSuccess { rejected: 1, message: "too old".to_owned() };
    let gate = Wire::Clear.grpc(|_| {}).answering(Ok(Accepted { partial_success: Some(partial) }));
    let mut client = client(&gate).await;
    let answer = client.export(request(2)).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (1, "too old"));

    let failure = Failure::new(tonic::Code::Unavailable, Side::Upstream, "x", "voll: 100 % \u{e9}")
        .with_retry_after(Duration::from_millis(2500));
    let gate = gate.answering(Err(failure));
    let status = client.export(request(2)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(status.message(), "voll: 100 % \u{e9}");
    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_millis(2500)));
    drop(gate);
}

/// Scenario: a call is refused before its body was read. Guarantees: the sender reads the status,
/// and other calls on the connection go on.
#[tokio::test]
async fn a_call_that_is_too_large_hears_so_and_the_connection_lives_on() {
    let gate = Wire::Clear.grpc(|server| server.max_request_bytes = 100_000);
    let mut client = client(&gate).await;
    for _ in 0..3 {
        let status = client.export(request(200_000)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
        client.export(request(1)).await.unwrap();
    }
    assert_eq!(gate.seen().len(), 3);
    gate.settled().await;
}

/// Scenario: `Content-Length` and `Transfer-Encoding` in one request, the root of request
/// smuggling. Guarantees: one request is served, and the connection closes (RFC 9112 6.1).
#[tokio::test]
async fn content_length_with_transfer_encoding_is_served_once_and_closed() {
    for order in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let gate = Wire::Clear.gate();
        let request = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{order}\r\n\
             2\r\n{{}}\r\n0\r\n\r\nPOST /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let answer = raw(&gate, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

/// Scenario: a small request over HTTP/2 whose head alone says that it will be refused, with the body
/// a moment later, as curl sends it.
/// Guarantees: the answer comes behind the body, and the stream ends without a reset.
#[tokio::test]
async fn a_refusal_over_http2_waits_for_a_small_body() {
    let gate = Wire::Clear.gate();
    let address = gate.address();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let head = http::Request::post(format!("http://{address}/v1/nothing"))
        .header("content-type", "application/json")
        .header("content-length", "2")
        .body(())
        .unwrap();
    let (mut answer, mut body) = client.send_request(head, false).unwrap();
    let early = timeout(Duration::from_millis(100), &mut answer).await;
    assert!(early.is_err(), "the answer did not wait: {early:?}");
    body.send_data("{}".into(), true).unwrap();
    let (head, mut answer) = answer.await.unwrap().into_parts();
    assert_eq!(head.status, 404);
    while let Some(data) = answer.data().await {
        data.unwrap();
    }
    let reset = std::future::poll_fn(|context| body.poll_reset(context));
    let reset = timeout(Duration::from_millis(100), reset).await;
    assert!(!matches!(reset, Ok(Ok(_))), "{reset:?}");
}

#[tokio::test]
async fn a_413_is_readable_on_http1() {
    let gate = Wire::Clear.http(|server| server.server.max_request_bytes = 1000);
    let mut request = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
        .to_vec();
    request.resize(request.len() + 900_000, b' ');
    let answer = raw(&gate, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
    assert!(answer.contains("max_request_body_size"), "{answer}");
    assert!(gate.seen().is_empty());
}

#[tokio::test]
async fn grpc_over_http1_is_told_why() {
    let gate = Wire::Clear.grpc(|_| {});
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc\r\n\
         Content-Length: 5\r\n\r\n\0\0\0\0\0",
        Signal::Traces.grpc_path()
    );
    let answer = raw(&gate, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    assert!(answer.contains("gRPC needs HTTP/2"), "{answer}");
}
