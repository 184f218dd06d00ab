//! Heads of requests that cannot be read, are too large, or can be read in two ways.

use std::fmt::Write as _;

use serde_json::Value;

use super::wire::{Client, call_head};
use super::{Scene, said};
use crate::support::frames::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, frame, push_header};

/// The last answer on a connection that the gateway closed: status, content type, body.
fn last_answer(text: &str) -> (u16, String, String) {
    let at = text.rfind("HTTP/1.1 4").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let (head, body) = text[at..].split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(field("content-length"), body.len().to_string(), "{text}");
    assert_eq!(field("connection"), "close", "{text}");
    (head[9..12].parse().unwrap(), field("content-type"), body.to_owned())
}

/// A good request with so many headers; its answer is 404.
fn with_headers(count: usize) -> String {
    let mut head = "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".to_owned();
    for number in 2..count {
        write!(head, "X-{number}: y\r\n").unwrap();
    }
    head + "\r\n"
}

/// A good request whose head has so many bytes.
fn of_length(length: usize) -> String {
    let start = "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ";
    format!("{start}{}\r\n\r\n", "y".repeat(length - start.len() - 4))
}

/// Scenario: heads that HTTP/1 does not allow, alone and after a good request, in clear and in TLS.
/// Guarantees: the answer says why in a Status body, as OTLP demands of every 4xx; the refusal is
/// counted; a neighbour does not notice.
#[tokio::test]
async fn a_head_that_cannot_be_read_is_answered_with_a_status() {
    let cases: [(&[u8], u16, &str); 9] = [
        (b"NOT HTTP AT ALL\r\n\r\n", 400, "http_malformed"),
        (b"GET / HTTP/3.7\r\n\r\n", 400, "http_malformed"),
        (b"G\0T / HTTP/1.1\r\n\r\n", 400, "http_malformed"),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400, "http_malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400, "http_malformed"),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400, "http_malformed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "http_malformed"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
            "http_malformed",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "http_malformed"),
    ];
    let good = "GET /none HTTP/1.1\r\nHost: x\r\n\r\n";
    for is_tls in [false, true] {
        let scene = Scene::new(is_tls, "").await;
        let neighbour = scene.neighbour().await;
        for (number, (bytes, status, reason)) in cases.iter().enumerate() {
            for before in ["", good] {
                if !before.is_empty() {
                    // hyper reads the second head when the first is answered.
                    let both = [before.as_bytes(), *bytes].concat();
                    let answer = said(scene.dial(b"http/1.1").await, &both).await;
                    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
                    assert!(answer.contains(&format!("HTTP/1.1 {status} ")), "{answer}");
                    continue;
                }
                let answer = said(scene.dial(b"http/1.1").await, bytes).await;
                let (seen, media, body) = last_answer(&answer);
                assert_eq!((seen, media.as_str()), (*status, "application/json"), "{number}");
                let body: Value = serde_json::from_str(&body).unwrap();
                assert!(!body["message"].as_str().unwrap().is_empty());
                let counter = format!("portcullis_requests_refused_total{{reason=\"{reason}\"}}");
                assert!(scene.gateway.metric(&counter) > 0.0);
            }
        }
        neighbour.noticed_nothing().await;
        scene.gateway.stop().await;
    }
}

/// Guarantees: 64 headers pass and 65 do not; a head of 64 KiB passes and one byte more does not;
/// those above are told the limits.
#[tokio::test]
async fn heads_just_below_the_limits_of_http1_pass_and_just_above_do_not() {
    let scene = Scene::new(false, "").await;
    let neighbour = scene.neighbour().await;
    let cases = [
        (with_headers(63), 404),
        (with_headers(64), 404),
        (with_headers(65), 431),
        (with_headers(1000), 431),
        (of_length(64 << 10), 404),
        (of_length((64 << 10) + 1), 431),
        (of_length(1 << 20), 431),
        (
            format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "y".repeat(60_000)),
            404,
        ),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(1 << 20)), 431),
    ];
    for (request, wanted) in cases {
        let answer = said(scene.dial(b"").await, request.as_bytes()).await;
        let (status, _, body) = last_answer(&answer);
        assert_eq!(status, wanted, "{} bytes: {answer}", request.len());
        let limits = body.contains("more than 64 headers, or a head of more than 65536 bytes");
        assert_eq!(limits, wanted == 431, "{body}");
    }
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// The block of a call with one more header, such that the list has so many bytes as RFC 9113
/// counts them: 32 more than name and value for each.
fn list_of(length: usize) -> Vec<u8> {
    let mut block = call_head();
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let known: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    push_header(&mut block, "x", &"y".repeat(length - known - 33));
    block
}

/// Guarantees: a header list below 16 KiB passes; a larger one is refused alone, and the connection
/// goes on; one out of all proportion ends its connection only.
#[tokio::test]
async fn header_lists_of_http2_are_refused_above_the_limit() {
    let scene = Scene::new(false, "").await;
    let neighbour = scene.neighbour().await;
    let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
    for (stream, length, is_below) in [(1, (16 << 10) - 1, true), (3, 16 << 10, false)] {
        let block = list_of(length);
        let (first, rest) = block.split_at(10_000);
        let head = [
            frame(HEADERS, END_STREAM, stream, first),
            frame(CONTINUATION, END_HEADERS, stream, rest),
        ];
        client.send(&head.concat()).await.unwrap();
        let answer = client.wait_for(HEADERS, stream).await;
        // 0x88 is `:status: 200` of the static table.
        assert_eq!(answer.payload[0] == 0x88, is_below, "{answer:?}");
    }
    client.call(5).await;
    let mut flood = vec![frame(HEADERS, END_STREAM, 7, &call_head())];
    for _ in 0..200 {
        let mut block = Vec::new();
        push_header(&mut block, "x", &"y".repeat(16_000));
        flood.push(frame(CONTINUATION, 0, 7, &block));
    }
    let _cut = client.send(&flood.concat()).await;
    client.rest().await;
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: requests that two parsers read as different ones, over TLS as well.
/// Guarantees: each is answered once at most as a request, and the connection is closed.
#[tokio::test]
async fn requests_that_can_be_read_in_two_ways_are_never_two() {
    let smuggled = "POST /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n";
    let cases = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}",
        "Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
        "Content-Length: 2\r\n Transfer-Encoding: chunked\r\n\r\n{}",
    ];
    for is_tls in [false, true] {
        let scene = Scene::new(is_tls, "").await;
        for case in cases {
            let request = format!(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{case}\
                 {smuggled}"
            );
            let answer = said(scene.dial(b"http/1.1").await, request.as_bytes()).await;
            assert_eq!(answer.matches("\r\ncontent-length: ").count(), 1, "{case:?}: {answer}");
        }
        scene.gateway.stop().await;
    }
}
