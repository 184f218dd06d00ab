//! What upstreams say, and what senders are told.

use std::time::Duration;

use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::Code;

use crate::batch::{Encoded, Rope};
use crate::coding::{Coding, Inflater};
use crate::config::sections::ClientTls;
use crate::config::types::{Compression, Redacted};
use crate::exporter::testing::batch;
use crate::exporter::testing::web::{Web, http, http_config, respond, success};
use crate::otlp::answer::{self, Encoding};
use crate::outcome::{Accepted, AnyDetail, Failure, Outcome, PartialSuccess, Side};
use crate::signal::Signal;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends one batch to an upstream that answers this.
async fn told(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Outcome {
    let headers: Vec<_> = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let body = body.to_vec();
    let web = Web::start(None, move |_, _| {
        let headers: Vec<_> = headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        respond(status, &headers, body.clone())
    })
    .await;
    let exporter = http(http_config(&format!("http://{}", web.address), ClientTls::default()));
    let outcome = exporter.export(&batch(Signal::Traces, b"any bytes")).await;
    assert_eq!(web.seen().len(), 1, "G7, G8, H13: the exporter itself sends once");
    outcome
}

/// Checks H1, H3: POST, the request as body, `application/x-protobuf`.
#[tokio::test]
async fn h1_h3_a_batch_is_posted_as_it_is() {
    let web = Web::start(None, |_, _| success()).await;
    let exporter = http(http_config(&format!("http://{}", web.address), ClientTls::default()));
    for signal in Signal::ALL {
        let outcome = exporter.export(&batch(signal, b"any bytes")).await;
        assert_eq!(outcome, Ok(Accepted::default()));
    }
    for (request, signal) in web.seen().iter().zip(Signal::ALL) {
        assert_eq!(request.uri.path(), signal.http_path());
        assert_eq!(&request.body[..], b"any bytes");
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert_eq!(request.headers["content-length"], "9");
        assert_eq!(request.headers["host"], web.address.to_string());
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("portcullis/"));
        assert!(!request.headers.contains_key("content-encoding"));
    }
    assert_eq!(web.connections(), 1, "H19: connections are kept");
}

/// Check H7: a compressed body says so. The bytes that came in compressed go out as they came.
#[tokio::test]
async fn h7_a_body_in_the_right_coding_passes_as_it_is_and_others_are_compressed() {
    let web = Web::start(None, |_, _| success()).await;
    let mut config = http_config(&format!("http://{}", web.address), ClientTls::default());
    config.compression = Compression::Gzip;
    let exporter = http(config);
    let mut same = batch(Signal::Logs, b"any bytes");
    let body = Rope::from(bytes::Bytes::from_static(b"what the sender made"));
    same.encoded = Some(Encoded { coding: Coding::Gzip, body });
    exporter.export(&same).await.unwrap();
    exporter.export(&batch(Signal::Logs, b"any bytes")).await.unwrap();
    let mut other = same.clone();
    other.encoded.as_mut().unwrap().coding = Coding::Zstd;
    exporter.export(&other).await.unwrap();
    let seen = web.seen();
    assert_eq!(&seen[0].body[..], b"what the sender made");
    for request in &seen[1..] {
        let coding = (request.body[0], request.body[1]);
        assert_eq!(coding, (0x1f, 0x8b), "compressed anew");
    }
    assert!(seen.iter().all(|request| request.headers["content-encoding"] == "gzip"));
}

/// Guarantees: what came as compressed protobuf never goes out as JSON.
#[tokio::test]
async fn compressed_protobuf_is_not_taken_for_compressed_json() {
    let web = Web::start(None, |_, _| success()).await;
    let mut config = http_config(&format!("http://{}", web.address), ClientTls::default());
    (config.compression, config.json) = (Compression::Gzip, true);
    let mut encoded = batch(Signal::Logs, b"");
    let body = Rope::from(bytes::Bytes::from_static(b"what the sender made"));
    encoded.encoded = Some(Encoded { coding: Coding::Gzip, body });
    http(config).export(&encoded).await.unwrap();
    let mut text = Rope::new();
    let mut inflater = Inflater::new(Coding::Gzip, 100);
    inflater.push(&web.seen()[0].body, &mut text).unwrap();
    inflater.finish(&mut text).unwrap();
    assert_eq!(&text.to_bytes()[..], b"{}");
    assert_eq!(web.seen()[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn configured_headers_win_and_host_sets_the_host() {
    let web = Web::start(None, |_, _| success()).await;
    let mut config =
        http_config(&format!("http://user:pass@{}", web.address), ClientTls::default());
    let header = |name: &str, value: &str| (name.to_owned(), Redacted::new(value.to_owned()));
    config.headers = vec![
        header("User-Agent", "mine"),
        header("Host", "backend.example"),
        header("X-Scope-OrgID", "shop"),
    ];
    http(config).export(&batch(Signal::Traces, b"x")).await.unwrap();
    let seen = web.seen();
    assert_eq!(seen[0].headers["user-agent"], "mine");
    assert_eq!(seen[0].headers["host"], "backend.example");
    assert_eq!(seen[0].headers["x-scope-orgid"], "shop");
    assert_eq!(seen[0].headers["authorization"], "Basic dXNlcjpwYXNz");
}

/// Scenario: the key that a backend wants is in the URL. Guarantees: the backend gets it, and the
/// sender, who is told where its batch could not go, does not.
#[tokio::test]
async fn a_key_in_the_url_is_sent_to_the_upstream_and_shown_to_nobody() {
    let web = Web::start(None, |_, _| respond(500, &[], "")).await;
    let mut config = http_config(&format!("http://{}", web.address), ClientTls::default());
    let traces = &mut config.urls[Signal::Traces.index()];
    *traces = Some(format!("http://{}/otlp?api-key=secret", web.address));
    let exporter = http(config);
    let failure = exporter.export(&batch(Signal::Traces, b"x")).await.unwrap_err();
    assert_eq!(web.seen()[0].uri.query(), Some("api-key=secret"));
    assert!(failure.message.contains("/otlp?...: "), "{}", failure.message);
    assert!(!format!("{failure:?} {exporter:?}").contains("secret"), "{exporter:?}");
}

/// Checks H13, H14 and contract 6.5, 7.3: which status means what.
#[tokio::test]
async fn h13_h14_statuses_are_mapped_and_only_the_right_ones_are_retryable() {
    let table = [
        (400, Code::InvalidArgument, false),
        (401, Code::Unauthenticated, false),
        (403, Code::PermissionDenied, false),
        (404, Code::Unimplemented, false),
        (408, Code::Unknown, false),
        (409, Code::Unknown, false),
        (413, Code::Unknown, false),
        (418, Code::Unknown, false),
        (429, Code::ResourceExhausted, true),
        (500, Code::Unknown, false),
        (501, Code::Unknown, false),
        (502, Code::Unavailable, true),
        (503, Code::Unavailable, true),
        (504, Code::Unavailable, true),
        (307, Code::Unknown, false),
    ];
    for (status, code, retryable) in table {
        let failure = told(status, &[], b"").await.unwrap_err();
        assert_eq!((failure.code, failure.is_retryable()), (code, retryable), "{status}");
        assert_eq!(failure.side, Side::Upstream);
        assert!(failure.message.contains(&status.to_string()), "{}", failure.message);
        assert!(failure.message.contains("otlp_grpc/up"), "{}", failure.message);
        let sender_gets = answer::http_status(&failure);
        assert_eq!(sender_gets == 413, status == 413, "smaller batches help: {sender_gets}");
    }
}

/// Checks H16, R6: a delay reaches the sender, in both forms.
#[tokio::test]
async fn h16_retry_after_is_passed_on() {
    let delay = |status, value: &'static str| async move {
        told(status, &[("retry-after", value)], b"").await.unwrap_err().retry_after
    };
    assert_eq!(delay(429, "7").await, Some(Duration::from_secs(7)));
    assert_eq!(delay(503, "7").await, Some(Duration::from_secs(7)));
    assert_eq!(delay(502, "7").await, None);
    let hint = Failure::new(Code::Unavailable, Side::Upstream, "x", "busy")
        .with_retry_after(Duration::from_secs(9));
    let status = answer::encode_status(&hint, Encoding::Protobuf);
    for (number, expected) in [(429, 9), (502, 9), (503, 9), (504, 9)] {
        let failure = told(number, &[PROTOBUF], &status).await.unwrap_err();
        assert_eq!(failure.retry_after, Some(Duration::from_secs(expected)), "{number}");
    }
    assert_eq!(delay(503, "nonsense").await, None);
    assert_eq!(delay(503, "Sun, 06 Nov 1994 08:49:37 GMT").await, None);
    let far = delay(503, "Fri, 06 Nov 2150 08:49:37 GMT").await.unwrap();
    assert!(far > Duration::from_secs(3600 * 24 * 365 * 50), "{far:?}");
    // Senders on gRPC would drop a RESOURCE_EXHAUSTED without a hint.
    assert_eq!(told(429, &[], b"").await.unwrap_err().retry_after, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_status_body_is_read_in_both_encodings() {
    let mut said = Failure::new(Code::InvalidArgument, Side::Upstream, "x", "span id too short");
    said.details =
        vec![AnyDetail { type_url: "type.googleapis.com/x.Y".to_owned(), value: vec![1, 2] }];
    let body = answer::encode_status(&said, Encoding::Protobuf);
    let failure = told(400, &[PROTOBUF], &body).await.unwrap_err();
    assert!(failure.message.contains("span id too short"), "{}", failure.message);
    assert_eq!(failure.details, said.details);
    let failure = told(400, &[JSON], br#"{"code":3,"message":"span id too short"}"#).await;
    let failure = failure.unwrap_err();
    assert!(failure.message.contains("span id too short"), "{}", failure.message);
}

#[tokio::test]
async fn g7_a_partial_success_is_passed_on_in_both_encodings() {
    let partial = PartialSuccess { rejected: 2, message: "too old".to_owned() };
    let accepted = Accepted { partial_success: Some(partial) };
    let body = answer::encode_success(Signal::Traces, &accepted, Encoding::Protobuf);
    assert_eq!(told(200, &[PROTOBUF], &body).await, Ok(accepted.clone()));
    let json = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
    assert_eq!(told(202, &[JSON], json).await, Ok(accepted.clone()));
    let with_charset = ("content-type", "application/json; charset=utf-8");
    assert_eq!(told(200, &[with_charset], json).await, Ok(accepted.clone()));
    for (media, body) in [("Application/JSON", &json[..]), ("APPLICATION/X-PROTOBUF", &body)] {
        assert_eq!(told(200, &[("content-type", media)], body).await, Ok(accepted.clone()));
    }
}

#[tokio::test]
async fn a_success_whose_body_cannot_be_read_is_a_success() {
    for (headers, body) in [
        (&[PROTOBUF][..], &b"\xff\xff"[..]),
        (&[JSON], b"<html>"),
        (&[("content-type", "text/html")], b"<html>"),
        (&[PROTOBUF, ("content-encoding", "gzip")], b"no gzip"),
        (&[], b"whatever"),
    ] {
        assert_eq!(told(200, headers, body).await, Ok(Accepted::default()));
    }
}

/// Check L9: an answer over 4 MiB is a failure that nobody retries, also when it inflates to that.
#[tokio::test]
async fn l9_an_answer_over_the_limit_is_a_failure_that_is_not_retried() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let below = vec![b' '; LIMIT];
    assert_eq!(told(200, &[], &below).await, Ok(Accepted::default()));
    let above = vec![b' '; LIMIT + 1];
    let failure = told(200, &[], &above).await.unwrap_err();
    assert_eq!((failure.code, failure.is_retryable()), (Code::Internal, false));
    assert_eq!(failure.reason, "upstream_answer_too_large");
    let squeezed =
        crate::coding::compress(Coding::Gzip, None, &Rope::from(bytes::Bytes::from(above)));
    let gzip = ("content-encoding", "gzip");
    let failure = told(200, &[gzip], &squeezed.to_bytes()).await.unwrap_err();
    assert_eq!(failure.reason, "upstream_answer_too_large");
}

/// Guarantees that the type used above is what backends send.
#[test]
fn the_status_fixture_is_a_google_rpc_status() {
    let failure = Failure::new(Code::InvalidArgument, Side::Upstream, "x", "y");
    let body = answer::encode_status(&failure, Encoding::Protobuf);
    assert_eq!(tonic_types::pb::Status::decode(body).unwrap().message, "y");
}

/// Scenario: plaintext reaches a port with TLS, whose server says so in an HTML page or a line.
/// Guarantees: it is our endpoint that is wrong and not the batch, so the sender may come again.
#[tokio::test]
async fn a_server_that_says_that_it_wants_tls_is_understood() {
    for body in [
        "Client sent an HTTP request to an HTTPS server.\n",
        "<html><center>The plain HTTP request was sent to HTTPS port</center></html>",
        "You're speaking plain HTTP to an SSL-enabled server port.<br />",
    ] {
        let failure = told(400, &[], body.as_bytes()).await.unwrap_err();
        assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_expects_tls"));
        assert!(failure.message.contains("write https:// into the exporter's endpoint"));
    }
    let failure = told(400, &[], b"HTTPS is for others").await.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::InvalidArgument, "upstream_http_400"));
}

/// Scenario: an upstream answers before it has read the request, so that its end resets the
/// connection behind an answer without a length.
/// Guarantees: the status and the words that came are told.
#[tokio::test]
async fn an_answer_before_a_reset_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.read_u8().await.unwrap();
        let words = "Client sent an HTTP request to an HTTPS server.\n";
        let answer = format!("HTTP/1.0 400 Bad Request\r\n\r\n{words}");
        peer.write_all(answer.as_bytes()).await.unwrap();
    });
    let exporter = http(http_config(&base, ClientTls::default()));
    let failure = exporter.export(&batch(Signal::Traces, b"any bytes")).await.unwrap_err();
    assert_eq!(failure.reason, "upstream_expects_tls", "{}", failure.message);
    serving.await.unwrap();
}
