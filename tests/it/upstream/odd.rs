//! Upstreams on HTTP/1.1 whose answers are odd, endless or torn. Each has one answer that the sender
//! can act on, and the next request is served.

use std::io::Write as _;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic_types::pb;

use super::backend::{Backend, http1, page, read_http1};
use super::stage::{Expected, Stage};

fn exporter(backend: &Backend, keys: &str) -> (&'static str, String) {
    ("otlp_http", format!("{{ endpoint: 'http://{}', {keys} }}", backend.address))
}

/// As many requests as [`Stage::expect`] sends are answered so, and the connection is closed if
/// `hangs_up`; those after them are answered with success.
async fn at_first(bad: impl Into<Vec<u8>>, hangs_up: bool) -> Backend {
    let bad: std::sync::Arc<[u8]> = bad.into().into();
    Backend::start(None, move |mut peer, seen| {
        let bad = std::sync::Arc::clone(&bad);
        Box::pin(async move {
            while let Some(asked) = read_http1(&mut peer).await {
                let is_good = seen.note(asked) >= 4;
                let good = page("200 OK", PROTOBUF, "");
                let answer = if is_good { good.as_bytes() } else { &bad };
                if peer.write_all(answer).await.is_err() || hangs_up && !is_good {
                    return;
                }
            }
        })
    })
    .await
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compressed(status: &str, body: &[u8]) -> Vec<u8> {
    let body = gzip(body);
    let head = format!(
        "HTTP/1.1 {status}\r\n{PROTOBUF}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Scenario: answers that say nothing yet before the one that counts, an old protocol, a body that
/// ends with the connection, no body at all, a body in pieces with a trailer.
/// Guarantees: all of them are successes.
#[tokio::test]
async fn unusual_successes_are_successes() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let cases = [
        (format!("{early}{}", page("200 OK", PROTOBUF, "")), false),
        (format!("{}{}", early.repeat(50), page("200 OK", PROTOBUF, "")), false),
        ("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nthanks".to_owned(), true),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), false),
        (page("202 Accepted", "content-type: text/html\r\n", "<html>"), false),
        (
            format!(
                "HTTP/1.1 200 OK\r\n{PROTOBUF}transfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n"
            ),
            false,
        ),
        // More than was announced: what follows belongs to nobody.
        (format!("{}HTTP/1.1 500 Nobody Asked\r\n\r\n", page("200 OK", PROTOBUF, "")), false),
    ];
    let mut backends = Vec::new();
    for (answer, hangs_up) in cases {
        backends.push(at_first(answer, hangs_up).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| exporter(backend, "")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, backend) in backends.iter().enumerate() {
        for _ in 0..3 {
            stage.expect_ok(which).await;
        }
        assert_eq!(backend.seen.requests().len(), 6, "{which}");
    }
    stage.end().await;
}

/// Scenario: a compressed success that tells of rejected items, and a compressed refusal.
/// Guarantees: senders read both.
#[tokio::test]
async fn compressed_answers_are_read() {
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "too old".into() };
    let accepted = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let accepts = Backend::start(None, http1(compressed("200 OK", &accepted), true)).await;
    let status = pb::Status { code: 3, message: "no such tenant".into(), details: Vec::new() };
    let refusal = compressed("400 Bad Request", &status.encode_to_vec());
    let refuses = Backend::start(None, http1(refusal, true)).await;
    let mut stage = Stage::start(&[exporter(&accepts, ""), exporter(&refuses, "")]).await;
    assert_eq!(stage.over_grpc(0).await.unwrap(), 1);
    assert_eq!(stage.over_http(0).await.unwrap(), 1);
    let expected = Expected {
        code: Code::InvalidArgument,
        http: 400,
        hint: false,
        reason: "upstream_http_400",
        says: &["it answered HTTP status 400: no such tenant"],
    };
    stage.expect(1, &expected).await;
    stage.end().await;
}

/// Scenario: a success of a few kilobytes that inflates to a hundred megabytes.
/// Guarantees: it is not inflated, and nobody sends the batch again.
#[tokio::test]
async fn a_bomb_in_an_answer_is_not_inflated() {
    let bomb = at_first(compressed("200 OK", &vec![0; 100 << 20]), false).await;
    let mut stage = Stage::start(&[exporter(&bomb, "")]).await;
    let expected = Expected::internal(
        "upstream_answer_too_large",
        &["its answer is larger than 4 MiB and was not read", "may have taken the batch"],
    );
    stage.expect(0, &expected).await;
    stage.expect_ok(0).await;
    stage.end().await;
}

/// Scenario: heads with a thousand headers, and with one of a megabyte.
/// Guarantees: they are not kept, and nobody sends the batch again.
#[tokio::test]
async fn huge_heads_are_not_read() {
    let many = page("200 OK", &"x-many: 1\r\n".repeat(1000), "");
    let long = page("200 OK", &format!("x-long: {}\r\n", "x".repeat(1 << 20)), "");
    let backends = [at_first(many, true).await, at_first(long, true).await];
    let exporters: Vec<_> = backends.iter().map(|backend| exporter(backend, "")).collect();
    let mut stage = Stage::start(&exporters).await;
    for which in 0..2 {
        let expected = Expected::internal(
            "upstream_answer_too_large",
            &["the head of its answer is larger than is read", "may have taken the batch"],
        );
        stage.expect(which, &expected).await;
        stage.expect_ok(which).await;
    }
    stage.end().await;
}

/// Scenario: heads that are no HTTP, or that can be read in two ways.
/// Guarantees: it is said what they are not; the next request is served.
#[tokio::test]
async fn heads_that_cannot_be_read_are_named() {
    let two_lengths = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 7\r\n\r\n";
    let cases = [
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        two_lengths,
        "220 mail.example ESMTP\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
    ];
    let mut backends = Vec::new();
    for answer in cases {
        backends.push(at_first(answer, true).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| exporter(backend, "")).collect();
    let mut stage = Stage::start(&exporters).await;
    for which in 0..cases.len() {
        let says = ["it answered with something that is not HTTP", "the port for OTLP over HTTP?"];
        stage.expect(which, &Expected::perhaps_taken("upstream_not_http", &says)).await;
        stage.expect_ok(which).await;
    }
    stage.end().await;
}

/// Scenario: bodies of successes that end too early, or are no chunks where chunks were announced.
/// Guarantees: retryable, and it is said that the batch may have been taken; it is not sent twice.
#[tokio::test]
async fn torn_bodies_are_retryable_and_not_repeated_here() {
    let chunked = |body: &str| {
        format!("HTTP/1.1 200 OK\r\n{PROTOBUF}transfer-encoding: chunked\r\n\r\n{body}")
    };
    let cases = [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned(),
        chunked("5\r\nab"),
        chunked("5\r\nabcde\r\n"),
        chunked("0\r\n"),
        chunked("zz\r\n"),
        chunked("ffffffffffffffffff\r\n"),
        chunked("2\r\nabXX"),
    ];
    let mut backends = Vec::new();
    for answer in cases {
        backends.push(at_first(answer, true).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| exporter(backend, "")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, backend) in backends.iter().enumerate() {
        let says = ["the request was cut off: ", "; the upstream may have taken the batch"];
        stage.expect(which, &Expected::perhaps_taken("upstream_disconnected", &says)).await;
        stage.expect_ok(which).await;
        assert_eq!(backend.seen.requests().len(), 6, "{which}");
    }
    stage.end().await;
}

/// Scenario: an upstream that never says more than `100 Continue`, heads and bodies that come in
/// drops, chunks without end, and silence in the middle of a body.
/// Guarantees: each is given up within `timeout`, and told as what it is.
#[tokio::test]
async fn answers_without_an_end_are_given_up_in_time() {
    let cases: [(&'static str, &'static str); 5] = [
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\n", "x: 1\r\n"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", "."),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\n.\r\n"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", ""),
    ];
    let mut backends = Vec::new();
    for (begin, drop) in cases {
        backends.push(
            Backend::start(None, move |mut peer, seen| {
                Box::pin(async move {
                    let Some(asked) = read_http1(&mut peer).await else { return };
                    seen.note(asked);
                    if peer.write_all(begin.as_bytes()).await.is_err() {
                        return;
                    }
                    while !drop.is_empty() {
                        sleep(Duration::from_millis(20)).await;
                        if peer.write_all(drop.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                    let _hung_up = peer.read(&mut [0; 64]).await;
                })
            })
            .await,
        );
    }
    let exporters: Vec<_> =
        backends.iter().map(|backend| exporter(backend, "timeout: 500ms")).collect();
    let mut stage = Stage::start(&exporters).await;
    let expected =
        cases.map(|_| Expected::too_late(&["no answer in time", "it may have taken the batch"]));
    let began = Instant::now();
    stage.expect_at_once(&expected).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for backend in &backends {
        crate::support::eventually::eventually("the connections are closed", || {
            backend.seen.open() == 0
        })
        .await;
    }
    stage.end().await;
}

/// Scenario: redirects of every kind, some without a place, one to itself.
/// Guarantees: none is followed; the sender is told where it leads, and does not send it again.
#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let cases = [
        ("301 Moved Permanently", "https://elsewhere.example/v1/traces"),
        ("302 Found", "/v1/traces"),
        ("303 See Other", "//elsewhere.example"),
        ("307 Temporary Redirect", "http://169.254.169.254/latest/meta-data"),
        ("308 Permanent Redirect", ""),
        ("300 Multiple Choices", "%00%0d"),
    ];
    let mut backends = Vec::new();
    for (status, place) in cases {
        let headers =
            if place.is_empty() { String::new() } else { format!("location: {place}\r\n") };
        backends.push(Backend::start(None, http1(page(status, &headers, ""), true)).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| exporter(backend, "")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, (status, place)) in cases.into_iter().enumerate() {
        let says = [
            &*format!("it answered HTTP status {} and sends us to {place:?}", &status[..3]),
            "redirects are not followed: write the final URL into the exporter's endpoint",
        ];
        let expected = Expected::unknown("upstream_redirect", &says);
        stage.expect(which, &expected).await;
        assert_eq!(backends[which].seen.requests().len(), 4, "{status}");
    }
    stage.end().await;
}

/// Scenario: statuses that no upstream of OTLP should answer.
/// Guarantees: each has a code, a reason of a closed set, and no retry.
#[tokio::test]
async fn statuses_out_of_place_have_an_answer() {
    let cases = [
        ("101 Switching Protocols", "upstream_http_4xx"),
        ("304 Not Modified", "upstream_redirect"),
        ("407 Proxy Authentication Required", "upstream_http_407"),
        ("418 I'm a teapot", "upstream_http_4xx"),
        ("599 Network Timeout", "upstream_http_5xx"),
        ("999 Request Denied", "upstream_http_5xx"),
    ];
    let mut backends = Vec::new();
    for (status, _) in cases {
        let upgrade = "connection: upgrade\r\nupgrade: x\r\n";
        let headers = if status.starts_with("101") { upgrade } else { "" };
        backends.push(Backend::start(None, http1(page(status, headers, ""), true)).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| exporter(backend, "")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, (status, reason)) in cases.into_iter().enumerate() {
        let says = [&*format!("it answered HTTP status {}", &status[..3])];
        let expected = Expected::unknown(reason, &says);
        stage.expect(which, &expected).await;
    }
    stage.end().await;
}
