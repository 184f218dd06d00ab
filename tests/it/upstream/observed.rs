//! What the Collector was seen to lose between a backend and a sender, and is kept here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _, pb};

use super::backend::{Backend, Reply, Terms, h2, http1, page, tls};
use super::stage::{Expected, Stage, in_clear, over_tls};
use crate::support::pki::TestPki;

async fn grpc(reply: Reply) -> Backend {
    Backend::start(None, h2(move |_| reply.clone())).await
}

async fn http(answer: Vec<u8>) -> Backend {
    Backend::start(None, http1(answer, true)).await
}

fn blocks(grpc: &Backend, http: &Backend) -> [(&'static str, String); 2] {
    in_clear(grpc.address, http.address, "")
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Scenario: backends that reject one item of a batch. The Collector says OK and no more.
/// Guarantees: senders on both protocols hear of it from backends on both.
#[tokio::test]
async fn partial_success_reaches_senders_from_both_kinds_of_backend() {
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "too old".into() };
    let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let ok = vec![("grpc-status", "0".to_owned())];
    let (grpc, http) =
        (grpc(Reply::grpc(&message, ok)).await, http(answer("200 OK", "", &message)).await);
    let stage = Stage::start(&blocks(&grpc, &http)).await;
    for which in 0..2 {
        assert_eq!(stage.over_grpc(which).await.unwrap(), 1);
        assert_eq!(stage.over_http(which).await.unwrap(), 1);
    }
    stage.end().await;
}

/// Scenario: backends that say when to come again: RetryInfo on gRPC, Retry-After on HTTP. The
/// Collector loses the latter, and senders on gRPC then drop what was only to be sent later.
/// Guarantees: the delay reaches senders on both protocols from both.
#[tokio::test]
async fn retry_hints_reach_senders_from_both_kinds_of_backend() {
    let delay = Duration::from_secs(7);
    for (code, http_status) in [(Code::Unavailable, "503"), (Code::ResourceExhausted, "429")] {
        let details = ErrorDetails::with_retry_info(Some(delay));
        let status = Status::with_error_details(code, "slow down", details);
        let trailers = vec![
            ("grpc-status", (code as i32).to_string()),
            ("grpc-message", "slow down".to_owned()),
            ("grpc-status-details-bin", STANDARD_NO_PAD.encode(status.details())),
        ];
        let grpc = grpc(Reply::grpc(&[], trailers)).await;
        let line = format!("{http_status} Later");
        let http = http(page(&line, "retry-after: 7\r\n", "").into_bytes()).await;
        let stage = Stage::start(&blocks(&grpc, &http)).await;
        for which in 0..2 {
            let told = stage.over_grpc(which).await.unwrap_err();
            assert_eq!((told.code, told.retry), (code, Some(delay)), "{told:?}");
            let told = stage.over_http(which).await.unwrap_err();
            assert_eq!(told.http, Some(http_status.parse().unwrap()), "{told:?}");
            assert_eq!((told.code, told.retry), (code, Some(delay)), "{told:?}");
        }
        stage.end().await;
    }
}

/// Scenario: a refusal with 40 kB of words. From the Collector it reaches senders as a reset
/// stream, and the code is lost.
/// Guarantees: the code arrives, with a text that is shortened and says so.
#[tokio::test]
async fn a_very_long_error_text_does_not_lose_the_code() {
    let text = "very long ".repeat(4000);
    let trailers =
        vec![("grpc-status", "3".to_owned()), ("grpc-message", text.trim_end().to_owned())];
    let grpc = grpc(Reply::grpc(&[], trailers)).await;
    let status = pb::Status { code: 3, message: text, details: Vec::new() };
    let http = http(answer("400 Bad Request", "", &status.encode_to_vec())).await;
    let mut stage = Stage::start(&blocks(&grpc, &http)).await;
    for (which, reason) in
        ["upstream_status_invalid_argument", "upstream_http_400"].into_iter().enumerate()
    {
        let says = ["very long very long ", "... (shortened)"];
        let expected =
            Expected { code: Code::InvalidArgument, http: 400, hint: false, reason, says: &says };
        stage.expect(which, &expected).await;
        let told = stage.over_grpc(which).await.unwrap_err();
        assert!(told.message.len() <= 2048, "{}", told.message.len());
    }
    stage.end().await;
}

/// Scenario: the upstream ends the connection right after the handshake without an alert, as gRPC's
/// C-core does when it refuses a certificate.
/// Guarantees: it is said that our certificate was probably refused, which one, and what to do.
#[tokio::test]
async fn a_silent_refusal_of_our_certificate_is_guessed() {
    let pki = TestPki::new();
    let terms = Terms { client_ca: Some(&pki.ca), ..Terms::default() };
    let config = tls(&pki.server, &terms);
    let backend = Backend::start(Some(config), |peer, _| Box::pin(async move { drop(peer) })).await;
    let (name, dir) = (backend.name(), pki.dir().display());
    let keys =
        format!("ca_file: {dir}/ca.crt, cert_file: {dir}/client.crt, key_file: {dir}/client.key");
    let mut stage = Stage::start(&over_tls(&name, &name, &keys)).await;
    let says = [
        "closed the connection right after the handshake: it probably refused our certificate CN=test-client",
        "; the upstream must trust our issuer CN=Test CA (its client CA)",
    ];
    stage.expect_of_all(&Expected::unavailable("upstream_rejected_our_certificate", &says)).await;
    stage.end().await;
}
