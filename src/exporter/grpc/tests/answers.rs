//! What upstreams say, and what senders are told.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::Reason;
use tonic::Code;

use crate::batch::{Encoded, Rope};
use crate::coding::{Coding, compress};
use crate::config::sections::GrpcExporter;
use crate::config::types::Compression;
use crate::exporter::Kind;
use crate::exporter::testing::{
    Backend, Reply, batch, grpc, grpc_config, mtls, told_in_time, trailers,
};
use crate::otlp::answer::{Encoding, encode_status, encode_success};
use crate::outcome::{Accepted, AnyDetail, Failure, PartialSuccess, Side};
use crate::signal::Signal;
use crate::tls::testing::{TestPki, client_tls};

/// Scenario: one batch of each signal over mTLS.
/// Guarantees: the upstream gets the very bytes on the right path with gRPC's headers.
#[tokio::test]
async fn a_batch_arrives_as_it_is_over_mtls() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let exporter = grpc(grpc_config(backend.address, Some(client_tls(&pki))));
    for signal in Signal::ALL {
        let outcome = exporter.export(&batch(signal, b"any bytes")).await;
        assert_eq!(outcome, Ok(Accepted::default()));
    }
    let seen = backend.seen();
    assert_eq!(seen.len(), 4);
    for (request, signal) in seen.iter().zip(Signal::ALL) {
        assert_eq!(request.uri.path(), signal.grpc_path());
        assert_eq!(request.uri.scheme_str(), Some("https"));
        assert_eq!(request.uri.authority().unwrap().as_str(), backend.address.to_string());
        assert_eq!(&request.body[..], b"\0\0\0\0\x09any bytes");
        assert_eq!(request.headers["te"], "trailers");
        assert_eq!(request.headers["content-type"], "application/grpc");
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("portcullis/"));
        assert!(request.headers["grpc-timeout"].to_str().unwrap().ends_with('m'));
        assert!(!request.headers.contains_key("grpc-encoding"));
    }
    assert_eq!(backend.connections(), 1);
}

/// What is said of an upstream that answers this.
async fn told(reply: Reply) -> crate::outcome::Outcome {
    let backend = Backend::start(None, move |_, _| reply.clone()).await;
    grpc(grpc_config(backend.address, None)).export(&batch(Signal::Traces, b"x")).await
}

/// Checks G7, R6: a part that was rejected, a delay and details reach the sender.
#[tokio::test]
async fn partial_success_hints_and_details_are_passed_on() {
    let partial = PartialSuccess { rejected: 2, message: "too old".to_owned() };
    let accepted = Accepted { partial_success: Some(partial) };
    let message = encode_success(Signal::Traces, &accepted, Encoding::Protobuf);
    assert_eq!(told(Reply::message(&message)).await, Ok(accepted));

    let detail = AnyDetail { type_url: "type.example/Quota".to_owned(), value: b"spans".to_vec() };
    let mut refusal = Failure::new(Code::ResourceExhausted, Side::Upstream, "x", "slow down")
        .with_retry_after(Duration::from_millis(7500));
    refusal.details.push(detail.clone());
    let status = STANDARD.encode(encode_status(&refusal, Encoding::Protobuf));
    let end = [("grpc-status", "8"), ("grpc-status-details-bin", status.as_str())];
    let reply = Reply::Full(Reply::head(), Bytes::new(), Some(trailers(&end)));
    let failure = told(reply).await.unwrap_err();
    assert_eq!(failure.code, Code::ResourceExhausted);
    assert!(failure.message.contains("slow down"), "{}", failure.message);
    assert_eq!(failure.retry_after, Some(Duration::from_millis(7500)));
    assert_eq!(failure.details, [detail]);
}

/// Guarantees: what came in the upstream's coding goes out as it came; what came in another one, or
/// in none, is compressed for it, and says so.
#[tokio::test]
async fn only_a_body_in_the_right_coding_passes_as_it_is() {
    let backend = Backend::start(None, |_, _| Reply::ok()).await;
    let config =
        GrpcExporter { compression: Compression::Gzip, ..grpc_config(backend.address, None) };
    let exporter = grpc(config);
    let plain = batch(Signal::Logs, b"any bytes");
    exporter.export(&plain).await.unwrap();
    for coding in [Coding::Gzip, Coding::Zstd] {
        let body = Rope::from(Bytes::from_static(b"what the sender made"));
        let encoded = Some(Encoded { coding, body });
        exporter.export(&crate::batch::Batch { encoded, ..plain.clone() }).await.unwrap();
    }
    let compressed = compress(Coding::Gzip, None, &plain.decoded).to_bytes();
    let seen = backend.seen();
    let bodies: Vec<_> = seen.iter().map(|request| request.body.slice(5..)).collect();
    assert_eq!(
        bodies,
        [compressed.clone(), Bytes::from_static(b"what the sender made"), compressed]
    );
    for request in seen {
        assert_eq!(
            (request.body[0], &request.headers["grpc-encoding"]),
            (1, &"gzip".parse().unwrap())
        );
    }
}

/// Guarantees: the right to send a request is given back however it ends: taken, refused, reset,
/// without an answer, and given up by its sender.
#[tokio::test]
async fn the_right_to_send_is_given_back_however_a_request_ends() {
    let backend = Backend::start(None, |number, _| match number {
        0 => Reply::ok(),
        1 => Reply::Full(Reply::head(), Bytes::new(), Some(trailers(&[("grpc-status", "3")]))),
        2 => Reply::Reset(Reason::CANCEL),
        _ => Reply::Hang,
    })
    .await;
    let exporter = grpc(grpc_config(backend.address, None));
    let Kind::Grpc(client) = &exporter.kind else { panic!("it is of gRPC") };
    let batch = batch(Signal::Traces, b"x");
    for code in [None, Some(Code::InvalidArgument), Some(Code::Cancelled)] {
        assert_eq!(exporter.export(&batch).await.err().map(|failure| failure.code), code);
        assert_eq!(client.pool.in_flight(), 0, "{code:?}");
    }
    let late = told_in_time(&exporter, Duration::from_millis(200)).await;
    assert_eq!((late.code, client.pool.in_flight()), (Code::DeadlineExceeded, 0));
    let mut export = Box::pin(exporter.export(&batch));
    while backend.seen().len() < 5 {
        let _silent = tokio::time::timeout(Duration::from_millis(5), &mut export).await;
    }
    assert_eq!(client.pool.in_flight(), 1);
    drop(export);
    assert_eq!(client.pool.in_flight(), 0);
}
