//! Keys of an exporter that change what is sent, and where.

use std::io::Read as _;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;

use super::backend::{Asked, Backend, Reply, Terms, h2, http1, page, tls};
use super::log;
use super::stage::Stage;
use crate::support::agent::{self, first_name, span};
use crate::support::pki::{TestPki, server_params};

async fn web() -> Backend {
    let answer = page("200 OK", "content-type: application/x-protobuf\r\n", "");
    Backend::start(None, http1(answer, true)).await
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// Scenario: secret headers, a user agent and an authority, on both exporters, whose upstreams then
/// go away.
/// Guarantees: they are sent; no secret is in the log or in what senders are told.
#[tokio::test]
async fn headers_are_sent_and_their_secrets_are_never_shown() {
    let secret = "s3cret-t0ken";
    let headers = format!("headers: {{ Authorization: 'Bearer {secret}', X-Scope: shop }}");
    let grpc = Backend::start(None, h2(|_| Reply::ok())).await;
    let http = web().await;
    let stage = Stage::start(&[
        (
            "otlp_grpc",
            format!(
                "{{ endpoint: '{}', tls: {{ insecure: true }}, {headers}, user_agent: mine, authority: 'otel.example:1' }}",
                grpc.address
            ),
        ),
        ("otlp_http", format!("{{ endpoint: 'http://{}', {headers} }}", http.address)),
    ])
    .await;
    for which in 0..2 {
        stage.over_grpc(which).await.unwrap();
    }
    let [asked] = &grpc.seen.requests()[..] else { panic!("one request") };
    assert_eq!(header(asked, "authorization"), format!("Bearer {secret}"));
    assert_eq!((header(asked, "x-scope"), header(asked, "user-agent")), ("shop", "mine"));
    assert_eq!(asked.uri.authority().unwrap(), "otel.example:1");
    let [asked] = &http.seen.requests()[..] else { panic!("one request") };
    assert_eq!(header(asked, "authorization"), format!("Bearer {secret}"));
    assert!(header(asked, "user-agent").starts_with("portcullis/"));
    drop((grpc, http));
    for which in 0..2 {
        let told = stage.over_http(which).await.unwrap_err();
        assert!(!told.message.contains(secret), "{told:?}");
        let lines = log::of(stage.id(which));
        assert!(!lines.is_empty());
        assert!(!format!("{lines:?}").contains(secret), "{lines:?}");
    }
    stage.end().await;
}

/// Scenario: one upstream for each signal, one of them under a path of its own.
/// Guarantees: each signal goes to its own endpoint, verbatim, and the rest to the common one.
#[tokio::test]
async fn each_signal_goes_to_its_own_endpoint() {
    let (common, metrics, logs) = (web().await, web().await, web().await);
    let stage = Stage::start(&[(
        "otlp_http",
        format!(
            "{{ endpoint: 'http://{}/base/', metrics_endpoint: 'http://{}/m?tenant=a', logs_endpoint: 'http://{}' }}",
            common.address, metrics.address, logs.address
        ),
    )])
    .await;
    for (path, body) in [
        ("/v1/traces", r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"#),
        (
            "/v1/metrics",
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#,
        ),
        ("/v1/logs", r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#),
    ] {
        let stream = TcpStream::connect(stage.address(0)).await.unwrap();
        let answer = agent::post(stream, path, "application/json", body.into()).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}: {:?}", answer.body());
    }
    let asked = |backend: &Backend| {
        let requests = backend.seen.requests();
        requests.iter().map(|asked| asked.uri.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(asked(&common), ["/base/v1/traces"]);
    assert_eq!(asked(&metrics), ["/m?tenant=a"]);
    assert_eq!(asked(&logs), ["/"]);
    stage.end().await;
}

fn inflated(asked: &Asked) -> Vec<u8> {
    let mut out = Vec::new();
    match header(asked, "content-encoding") {
        "" => out.extend_from_slice(&asked.body),
        "gzip" => {
            flate2::read::GzDecoder::new(&*asked.body).read_to_end(&mut out).unwrap();
        }
        "zlib" | "deflate" => {
            flate2::read::ZlibDecoder::new(&*asked.body).read_to_end(&mut out).unwrap();
        }
        "zstd" => out = zstd::decode_all(&*asked.body).unwrap(),
        "snappy" => out = snap::raw::Decoder::new().decompress_vec(&asked.body).unwrap(),
        other => panic!("encoding {other}"),
    }
    out
}

/// Scenario: every compression of the HTTP exporter, gzip with two levels.
/// Guarantees: the upstream gets what the header says, with the batch inside; a higher level is
/// smaller.
#[tokio::test]
async fn compression_and_its_level_are_what_is_written() {
    let web = web().await;
    let cases = [
        ("compression: none", ""),
        ("timeout: 10s", "gzip"),
        ("compression: gzip, compression_params: { level: 1 }", "gzip"),
        ("compression: gzip, compression_params: { level: 9 }", "gzip"),
        ("compression: zstd, compression_params: { level: 3 }", "zstd"),
        ("compression: snappy", "snappy"),
        ("compression: zlib", "zlib"),
        ("compression: deflate", "deflate"),
    ];
    let exporters = cases.map(|(keys, _)| {
        ("otlp_http", format!("{{ endpoint: 'http://{}', {keys} }}", web.address))
    });
    let stage = Stage::start(&exporters).await;
    // Words that repeat at all distances, so that the effort of looking for them shows.
    let words = ["trace", "span", "metric", "log", "batch", "queue", "agent", "gateway"];
    let mut state = 1_usize;
    let mut name = String::new();
    while name.len() < 40_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        name.push_str(words[state >> 32 & 7]);
    }
    let mut sizes = Vec::new();
    for (which, (keys, encoding)) in cases.into_iter().enumerate() {
        let mut client = agent::plaintext(stage.address(which)).await;
        client.export(span(&name)).await.unwrap();
        let asked = web.seen.requests().pop().unwrap();
        assert_eq!(header(&asked, "content-encoding"), encoding, "{keys}");
        let request = ExportTraceServiceRequest::decode(&*inflated(&asked)).unwrap();
        assert_eq!(first_name(&request), name, "{keys}");
        sizes.push(asked.body.len());
    }
    assert!(sizes[3] < sizes[2], "level 9 is smaller than level 1: {sizes:?}");
    stage.end().await;
}

/// Scenario: every compression of the gRPC exporter.
/// Guarantees: the upstream is told, and a compressed message is marked.
#[tokio::test]
async fn grpc_compression_is_what_is_written() {
    let backend = Backend::start(None, h2(|_| Reply::ok())).await;
    let names = ["gzip", "zstd", "snappy", "none"];
    let exporters = names.map(|name| {
        (
            "otlp_grpc",
            format!(
                "{{ endpoint: '{}', tls: {{ insecure: true }}, compression: {name} }}",
                backend.address
            ),
        )
    });
    let stage = Stage::start(&exporters).await;
    for (which, name) in names.into_iter().enumerate() {
        stage.over_http(which).await.unwrap();
        let asked = backend.seen.requests().pop().unwrap();
        let said = header(&asked, "grpc-encoding");
        let flag = asked.body[0];
        if name == "none" {
            assert_eq!((said, flag), ("", 0));
        } else {
            assert_eq!((said, flag), (name, 1));
        }
    }
    stage.end().await;
}

/// Scenario: an upstream that is sent JSON, by senders of protobuf.
/// Guarantees: it is OTLP's JSON, and says so.
#[tokio::test]
async fn json_is_sent_where_it_is_written() {
    let web = web().await;
    let block =
        format!("{{ endpoint: 'http://{}', encoding: json, compression: none }}", web.address);
    let stage = Stage::start(&[("otlp_http", block)]).await;
    stage.over_grpc(0).await.unwrap();
    let asked = web.seen.requests().pop().unwrap();
    assert_eq!(header(&asked, "content-type"), "application/json");
    let value: Value = serde_json::from_slice(&asked.body).unwrap();
    let span = &value["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!((&span["name"], &span["spanId"]), (&"grpc".into(), &"0202020202020202".into()));
    stage.end().await;
}

/// Scenario: the certificate is for another name than the endpoint's; `otlp_grpc` may write it with
/// a port, as Go cuts that off.
/// Guarantees: the name is asked for and verified, and is gRPC's `:authority`.
#[tokio::test]
async fn server_name_override_is_the_name_that_counts() {
    let pki = TestPki::new();
    let leaf = pki.ca.issue(server_params(&["otel.example"]));
    let config = tls(&leaf, &Terms::default());
    let backend = Backend::start(Some(config), h2(|_| Reply::ok())).await;
    let name = backend.name();
    let ca = format!("ca_file: {}", pki.path("ca.crt").display());
    let stage = Stage::start(&[
        (
            "otlp_grpc",
            format!(
                "{{ endpoint: '{name}', tls: {{ {ca}, server_name_override: 'otel.example:4317' }} }}"
            ),
        ),
        (
            "otlp_http",
            format!(
                "{{ endpoint: 'https://{name}', tls: {{ {ca}, server_name_override: otel.example }} }}"
            ),
        ),
    ])
    .await;
    stage.over_grpc(0).await.unwrap();
    assert_eq!(backend.seen.requests().pop().unwrap().uri.authority().unwrap(), "otel.example");
    stage.over_grpc(1).await.unwrap();
    assert_eq!(backend.seen.requests().len(), 2);
    stage.end().await;
}
