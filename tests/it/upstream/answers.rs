//! Upstreams that take the request and answer badly, or break off.

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use super::backend::{Backend, Reply, Terms, h2, http1, page, read_http1, tls};
use super::stage::{Expected, Stage};
use crate::support::pki::TestPki;

fn grpc(backend: &Backend) -> (&'static str, String) {
    let address = backend.address;
    ("otlp_grpc", format!("{{ endpoint: '{address}', tls: {{ insecure: true }} }}"))
}

fn http(backend: &Backend) -> (&'static str, String) {
    ("otlp_http", format!("{{ endpoint: 'http://{}' }}", backend.address))
}

fn https(backend: &Backend, pki: &TestPki) -> (&'static str, String) {
    let (name, ca) = (backend.name(), pki.path("ca.crt").display().to_string());
    ("otlp_http", format!("{{ endpoint: 'https://{name}', tls: {{ ca_file: {ca} }} }}"))
}

const HTML: &str = "<html><body><h1>Nothing to see</h1></body></html>";

/// Scenario: something else than a backend is behind the endpoint, or a proxy before it answers:
/// pages for people, and a redirect.
/// Guarantees: each has the code that contract 6.5 gives it; what answered is told, not the page.
#[tokio::test]
async fn error_pages_of_http_servers_are_mapped_and_told() {
    let pages = [
        ("404 Not Found", Code::Unimplemented, 404, false),
        ("502 Bad Gateway", Code::Unavailable, 503, false),
        ("301 Moved Permanently", Code::Unknown, 500, false),
    ];
    for (status, code, http_status, hint) in pages {
        let number = &status[..3];
        let headers =
            "content-type: text/html\r\nlocation: https://elsewhere.example/v1/traces\r\n";
        let old = Backend::start(None, http1(page(status, headers, HTML), true)).await;
        let answer = Reply::Full(
            number.parse().unwrap(),
            vec![("content-type", "text/html".to_owned())],
            Bytes::from_static(HTML.as_bytes()),
            Vec::new(),
        );
        let new = Backend::start(None, h2(move |_| answer.clone())).await;
        let mut stage = Stage::start(&[grpc(&new), http(&old)]).await;
        let says = [
            &*format!(
                "it did not answer in gRPC (HTTP status {number}, content type \"text/html\")"
            ),
            "is a gRPC service behind this endpoint?",
        ];
        let expected =
            Expected { code, http: http_status, hint, reason: "upstream_not_grpc", says: &says };
        stage.expect(0, &expected).await;
        let url = format!("upstream http://{}/v1/traces: ", old.address);
        let (reason, says) = match number {
            "301" => (
                "upstream_redirect",
                [
                    &*url,
                    "301 and sends us to \"https://elsewhere.example/v1/traces\"; redirects are \
                     not followed: write the final URL into the exporter's endpoint",
                ],
            ),
            "404" => (
                "upstream_http_404",
                [
                    &*url,
                    "404 without an OTLP status (content type \"text/html\"): is OTLP over HTTP served at this URL?",
                ],
            ),
            _ => (
                "upstream_http_502",
                [
                    &*url,
                    "502 without an OTLP status (content type \"text/html\"): what is behind it is down or slow",
                ],
            ),
        };
        let expected = Expected { code, http: http_status, hint, reason, says: &says };
        stage.expect(1, &expected).await;
        stage.end().await;
    }
}

/// Scenario: an upstream for HTTP/1.1 behind a gRPC exporter.
/// Guarantees: that is said, with the exporter to use.
#[tokio::test]
async fn a_grpc_exporter_before_an_http1_port_is_told_apart() {
    let backend = Backend::start(None, |mut peer, _| {
        Box::pin(async move {
            let _preface = peer.read(&mut [0; 64]).await;
            let _told = peer.write_all(page("400 Bad Request", "", HTML).as_bytes()).await;
            let _drained = peer.read(&mut [0; 4096]).await;
        })
    })
    .await;
    let mut stage = Stage::start(&[grpc(&backend)]).await;
    let expected = Expected::unavailable(
        "upstream_not_h2",
        &[
            "answered with something that is not HTTP/2",
            "gRPC needs an HTTP/2 port; for OTLP over HTTP use otlp_http",
        ],
    );
    stage.expect(0, &expected).await;
    stage.end().await;
}

/// Scenario: the upstream says goodbye (GOAWAY) with every answer, as one that is restarted all the
/// time.
/// Guarantees: no request fails and none arrives twice, over gRPC and over HTTP/2.
#[tokio::test]
async fn a_storm_of_goodbyes_loses_nothing_and_doubles_nothing() {
    let pki = TestPki::new();
    let backend = Backend::start(None, h2(|_| Reply::GoAway(Box::new(Reply::ok())))).await;
    let config = tls(&pki.server, &Terms::default());
    let goodbye = |_| Reply::GoAway(Box::new(Reply::success()));
    let web = Backend::start(Some(config), h2(goodbye)).await;
    let mut stage = Stage::start(&[grpc(&backend), https(&web, &pki)]).await;
    for _ in 0..20 {
        for which in 0..2 {
            stage.expect_ok(which).await;
        }
    }
    stage.end().await;
    for backend in [&backend, &web] {
        assert_eq!(backend.seen.requests().len(), 40);
        assert!(backend.seen.connections() >= 20);
    }
}

/// Scenario: the connection is gone in the middle of an answer.
/// Guarantees: retryable, and it is said that the upstream may have taken the batch, which is sent
/// once only.
#[tokio::test]
async fn an_answer_that_breaks_off_is_retryable_and_not_repeated_here() {
    let backend = Backend::start(None, h2(|_| Reply::Cut)).await;
    let torn = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 100\r\n\r\nhalf";
    let old = Backend::start(None, http1(torn, false)).await;
    let mut stage = Stage::start(&[grpc(&backend), http(&old)]).await;
    for which in 0..2 {
        let expected = Expected::perhaps_taken(
            "upstream_disconnected",
            &["the request was cut off: ", "; the upstream may have taken the batch"],
        );
        stage.expect(which, &expected).await;
    }
    stage.end().await;
    for backend in [&backend, &old] {
        assert_eq!(backend.seen.requests().len(), 4);
    }
}

/// Scenario: an OK larger than 4 MiB. The Collector makes it RESOURCE_EXHAUSTED, and 429 for
/// senders over HTTP, who send the batch again that was taken.
/// Guarantees: a failure that is not retryable (OTLP 1.11, check L9).
#[tokio::test]
async fn an_answer_over_the_limit_is_not_retryable() {
    const SIZE: usize = 5 << 20;
    let huge = Reply::grpc(&vec![0; SIZE], vec![("grpc-status", "0".to_owned())]);
    let backend = Backend::start(None, h2(move |_| huge.clone())).await;
    let answer = page("200 OK", "content-type: application/x-protobuf\r\n", &"\0".repeat(SIZE));
    let old = Backend::start(None, http1(answer, true)).await;
    let mut stage = Stage::start(&[grpc(&backend), http(&old)]).await;
    for which in 0..2 {
        let expected = Expected::internal(
            "upstream_answer_too_large",
            &["its answer is larger than 4 MiB and was not read; it may have taken the batch"],
        );
        stage.expect(which, &expected).await;
    }
    stage.end().await;
}

/// Scenario: bytes that are no frames, and bytes that are no HTTP.
/// Guarantees: retryable; it is said what the upstream does not speak.
#[tokio::test]
async fn garbage_is_named_and_harms_nobody() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // DATA on stream 0, which no peer may send.
    const DATA: [u8; 10] = [0, 0, 1, 0, 0, 0, 0, 0, 0, 7];
    let broken = Backend::start(None, |mut peer, _| {
        Box::pin(async move {
            let _hello = peer.write_all(&SETTINGS).await;
            // The preface, and the request that follows once the connection counts as open.
            let mut seen = 0;
            while let Ok(count @ 1..) = peer.read(&mut [0; 4096]).await {
                seen += count;
                if seen > 200 && peer.write_all(&DATA).await.is_err() {
                    return;
                }
            }
        })
    })
    .await;
    let noise = Backend::start(None, |mut peer, seen| {
        Box::pin(async move {
            while read_http1(&mut peer).await.is_some() {
                let _answer = peer.write_all(b"\x00\x01\xff garbage \r\n\r\n").await;
                assert!(seen.connections() < 100);
            }
        })
    })
    .await;
    let mut stage = Stage::start(&[grpc(&broken), http(&noise)]).await;
    let expected = Expected::perhaps_taken(
        "upstream_protocol_error",
        &["it broke the rules of HTTP/2 (", "), so the connection was closed; ", "may have"],
    );
    stage.expect(0, &expected).await;
    let expected = Expected::perhaps_taken(
        "upstream_not_http",
        &["it answered with something that is not HTTP", "is this the port for OTLP over HTTP?"],
    );
    stage.expect(1, &expected).await;
    stage.end().await;
}
