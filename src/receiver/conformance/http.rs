//! Checks H: OTLP/HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};

use super::requests::{
    End, TestBody, VARIANTS, call, compressed, export, export_in, framed, post, post_variant, with,
};
use super::support::default_address;
use super::wire::{Wire, on_every_wire, on_http1};
use crate::coding::Coding;
use crate::config::sections::UrlPaths;
use crate::config::types::Redacted;
use crate::otlp::answer::Encoding;
use crate::outcome::{Accepted, Failure, Side};
use crate::signal::Signal;

const SIGNAL: Signal = Signal::Logs;

fn upstream(code: tonic::Code) -> Failure {
    Failure::new(code, Side::Upstream, "upstream", "the backend said no")
}

async fn h01_an_export_is_a_post_and_other_methods_are_405(wire: Wire) {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::OPTIONS, Method::DELETE] {
            let gate = wire.gate();
            let mut request = post(SIGNAL, encoding, export_in(encoding, SIGNAL));
            let has_body = wire.is_memory() || method != Method::HEAD;
            *request.method_mut() = method;
            let reply = gate.refuses("method", request).await;
            assert_eq!((reply.http.as_u16(), reply.header("allow")), (405, Some("POST")));
            if has_body {
                reply.http_status(405, encoding);
            }
        }
    }
}

/// Guarantees: over HTTP/2 the answer to HEAD has no body, which clients take for a broken stream.
async fn h01_the_answer_to_head_has_no_body_over_http2(wire: Wire) {
    let gate = wire.gate();
    let mut request = post(SIGNAL, Encoding::Json, export_in(Encoding::Json, SIGNAL));
    (*request.method_mut(), *request.version_mut()) = (Method::HEAD, Version::HTTP_2);
    let reply = gate.refuses("method", request).await;
    assert_eq!((reply.http.as_u16(), reply.body.len()), (405, 0));
}

async fn h02_both_versions_of_http_are_answered(wire: Wire) {
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        for variant in VARIANTS {
            let gate = wire.gate();
            let mut request = post_variant(SIGNAL, variant, &export_in(variant.0, SIGNAL));
            *request.version_mut() = version;
            gate.ask(request).await.http_accepted(SIGNAL, variant.0);
            assert_eq!(gate.only().items, 1);
        }
    }
}

async fn h03_h04_h20_the_content_type_chooses_the_encoding_in_any_case(wire: Wire) {
    let gate = wire.gate();
    for (media, encoding) in [
        ("Application/X-Protobuf", Encoding::Protobuf),
        ("application/x-protobuf; messageType=\"x\"", Encoding::Protobuf),
        ("application/JSON;charset=utf-8", Encoding::Json),
    ] {
        let mut request = post(SIGNAL, encoding, export_in(encoding, SIGNAL));
        request.headers_mut().insert("content-type", media.parse().unwrap());
        gate.ask(request).await.http_accepted(SIGNAL, encoding);
    }
    assert_eq!(gate.seen().len(), 3);
}

async fn h03_any_other_content_type_is_415_with_a_status(wire: Wire) {
    let gate = wire.gate();
    for media in ["text/plain", "application/protobuf", "application/x-www-form-urlencoded"] {
        let mut request = post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1));
        request.headers_mut().insert("content-type", media.parse().unwrap());
        let status = gate.refuses("content_type", request).await.http_status(415, Encoding::Json);
        assert!(status.message.contains(media), "{status:?}");
    }
    let mut request = post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1));
    request.headers_mut().remove("content-type");
    gate.refuses("content_type", request).await.http_status(415, Encoding::Json);
}

async fn h05_every_signal_has_its_path_and_paths_can_be_set(wire: Wire) {
    for signal in Signal::ALL {
        for variant in VARIANTS {
            let gate = wire.gate();
            let body = export_in(variant.0, signal);
            gate.ask(post_variant(signal, variant, &body)).await.http_accepted(signal, variant.0);
            assert_eq!(gate.only().signal, signal);
        }
    }
    let paths = ["/t", "/m", "/l", "/p"].map(str::to_owned);
    let gate = wire.http(|server| server.paths = UrlPaths(paths));
    let mut request = post(Signal::Metrics, Encoding::Protobuf, export(Signal::Metrics, 1));
    *request.uri_mut() = "http://gateway:4318/m?x=y".parse().unwrap();
    gate.ask(request).await.http_accepted(Signal::Metrics, Encoding::Protobuf);
    let request = post(Signal::Metrics, Encoding::Protobuf, export(Signal::Metrics, 1));
    let gate = wire.http(|server| {
        server.paths = UrlPaths(["/t", "/m", "/l", "/p"].map(str::to_owned));
    });
    let status = gate.refuses("unknown_path", request).await.http_status(404, Encoding::Protobuf);
    assert!(status.message.contains("/m"), "it says where to send: {status:?}");
}

async fn a_path_that_is_nearly_right_is_answered_with_how_it_came_about(wire: Wire) {
    for (path, help) in [
        ("/", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its like take the whole URL"),
        ("/v1/metrics/", "leave the last slash off"),
        ("/v1/traces/v1/logs", "leave \"/v1/traces\" off the endpoint"),
        ("/otlp/v1/metrics", "leave \"/otlp\" off the endpoint"),
        ("/api/traces", "there is nothing at \"/api/traces\": OTLP/HTTP is POST to /v1/traces"),
    ] {
        let mut request = post(SIGNAL, Encoding::Json, Bytes::from_static(b"{}"));
        *request.uri_mut() = path.parse().unwrap();
        let reply = wire.gate().refuses("unknown_path", request).await;
        let status = reply.http_status(404, Encoding::Json);
        assert!(status.message.contains(help), "{path}: {status:?}");
    }
}

async fn h05_paths_that_are_not_clean_and_signals_not_served_are_404(wire: Wire) {
    for path in ["//v1/traces", "/v1/traces/", "/v1/../v1/traces", "/v1/Traces", "/", "/metrics"] {
        let gate = wire.gate();
        let mut request = post(SIGNAL, Encoding::Json, Bytes::from_static(b"{}"));
        let uri = http::Uri::builder().path_and_query(path).build().unwrap();
        *request.uri_mut() = uri;
        gate.refuses("unknown_path", request).await.http_status(404, Encoding::Json);
    }
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let gate = wire.gate().serving(&[Signal::Traces]);
        let request = post(SIGNAL, encoding, export_in(encoding, SIGNAL));
        gate.refuses("no_pipeline", request).await.http_status(404, encoding);
    }
}

#[test]
fn h06_the_default_port_is_4318() {
    assert_eq!(default_address("http"), "localhost:4318");
}

async fn h07_every_coding_is_accepted_in_any_case_and_identity_is_none(wire: Wire) {
    let message = export(SIGNAL, 9);
    for (name, coding) in [
        ("gzip", Coding::Gzip),
        ("GZIP", Coding::Gzip),
        ("zstd", Coding::Zstd),
        ("zlib", Coding::Zlib),
        ("deflate", Coding::Deflate),
        ("snappy", Coding::Snappy),
        ("snappy", Coding::SnappyFramed),
        ("x-snappy-framed", Coding::SnappyFramed),
        ("lz4", Coding::Lz4),
    ] {
        let gate = wire.gate();
        let squeezed = compressed(coding, &message);
        let request = post(SIGNAL, Encoding::Protobuf, squeezed.clone());
        let reply = gate.ask(with(request, "content-encoding", name)).await;
        reply.http_accepted(SIGNAL, Encoding::Protobuf);
        let batch = gate.only();
        assert_eq!((batch.items, batch.decoded.to_bytes()), (9, message.clone()), "{name}");
        let encoded = batch.encoded.unwrap();
        assert_eq!((encoded.coding, encoded.body.to_bytes()), (coding, squeezed));
    }
    for name in ["identity", "Identity", ""] {
        let gate = wire.gate();
        let request = post(SIGNAL, Encoding::Protobuf, message.clone());
        let reply = gate.ask(with(request, "content-encoding", name)).await;
        reply.http_accepted(SIGNAL, Encoding::Protobuf);
    }
}

async fn h07_unknown_and_repeated_codings_are_400(wire: Wire) {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let gate = wire.gate();
        for name in ["br", "gzip, gzip", "\u{e9}"] {
            let mut request = post(SIGNAL, encoding, export_in(encoding, SIGNAL));
            let value = http::HeaderValue::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert("content-encoding", value);
            gate.refuses("content_encoding", request).await.http_status(400, encoding);
        }
        let request = post(SIGNAL, encoding, export_in(encoding, SIGNAL));
        let request = with(with(request, "content-encoding", "gzip"), "content-encoding", "gzip");
        gate.refuses("content_encoding", request).await.http_status(400, encoding);
    }
}

async fn h07_compression_algorithms_restricts_what_is_accepted(wire: Wire) {
    let only = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        wire.http(|server| server.compression_algorithms = Some(names))
    };
    let plain = || post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1));
    let squeezed = |coding: Coding| {
        post_variant(SIGNAL, (Encoding::Protobuf, Some(coding)), &export(SIGNAL, 1))
    };
    let gate = only(&["gzip"]);
    gate.refuses("content_encoding", plain()).await.http_status(400, Encoding::Protobuf);
    gate.refuses("content_encoding", squeezed(Coding::Zstd)).await;
    gate.ask(squeezed(Coding::Gzip)).await.http_accepted(SIGNAL, Encoding::Protobuf);
    for names in [&[""][..], &[]] {
        let gate = only(names);
        gate.refuses("content_encoding", squeezed(Coding::Gzip)).await;
        gate.ask(plain()).await.http_accepted(SIGNAL, Encoding::Protobuf);
    }
}

async fn h08_answers_are_not_compressed(wire: Wire) {
    for variant in VARIANTS {
        let gate = wire.gate();
        let request = post_variant(SIGNAL, variant, &export_in(variant.0, SIGNAL));
        let reply = gate.ask(with(request, "accept-encoding", "gzip")).await;
        reply.http_accepted(SIGNAL, variant.0);
        assert_eq!(reply.header("content-encoding"), None);
    }
    let gate = wire.gate();
    let squeezed = framed(true, &compressed(Coding::Gzip, &export(SIGNAL, 1)));
    let reply = gate.ask(with(call(SIGNAL, squeezed), "grpc-encoding", "gzip")).await;
    reply.grpc_accepted(SIGNAL);
    assert_eq!(reply.header("grpc-encoding"), None);
}

async fn h09_h10_h11_every_answer_is_in_the_encoding_of_the_request(wire: Wire) {
    for variant in VARIANTS {
        let body = export_in(variant.0, SIGNAL);
        let gate = wire.gate();
        let reply = gate.ask(post_variant(SIGNAL, variant, &body)).await;
        reply.http_accepted(SIGNAL, variant.0);
        for (code, http) in [
            (tonic::Code::Cancelled, 503),
            (tonic::Code::DeadlineExceeded, 503),
            (tonic::Code::Aborted, 503),
            (tonic::Code::OutOfRange, 503),
            (tonic::Code::Unavailable, 503),
            (tonic::Code::DataLoss, 503),
            (tonic::Code::ResourceExhausted, 429),
            (tonic::Code::InvalidArgument, 400),
            (tonic::Code::Unauthenticated, 401),
            (tonic::Code::PermissionDenied, 403),
            (tonic::Code::Unimplemented, 404),
            (tonic::Code::Internal, 500),
            (tonic::Code::Unknown, 500),
            (tonic::Code::NotFound, 500),
            (tonic::Code::AlreadyExists, 500),
            (tonic::Code::FailedPrecondition, 500),
        ] {
            let gate = wire.gate().answering(Err(upstream(code)));
            let reply = gate.ask(post_variant(SIGNAL, variant, &body)).await;
            let status = reply.http_status(http, variant.0);
            assert_eq!((status.code, status.message.as_str()), (code, "the backend said no"));
            assert_eq!(reply.header("retry-after"), None);
        }
    }
}

async fn h12_a_body_that_does_not_decode_is_400_with_a_bad_request_detail(wire: Wire) {
    for variant in VARIANTS {
        let gate = wire.gate();
        let body = Bytes::from_static(b"\x0a\xff");
        let reply = gate.ask(post_variant(SIGNAL, variant, &body)).await;
        let status = reply.http_status(400, variant.0);
        assert_eq!(status.code, tonic::Code::InvalidArgument);
        assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
        assert!(gate.seen().is_empty());
    }
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        for (coding, name) in [(Coding::Gzip, "gzip"), (Coding::Zstd, "zstd")] {
            let gate = wire.gate();
            let squeezed = compressed(coding, &export_in(encoding, SIGNAL));
            for body in [squeezed.slice(..squeezed.len() - 3), export_in(encoding, SIGNAL)] {
                let request = with(post(SIGNAL, encoding, body), "content-encoding", name);
                let reply = gate.ask(request).await;
                reply.http_status(400, encoding);
            }
            assert!(gate.seen().is_empty());
        }
    }
    // Over a socket, whoever breaks off hears nothing.
    if wire.is_memory() {
        let gate = wire.gate();
        let body = TestBody::new([export(SIGNAL, 1)], End::Broken);
        gate.refuses("body_aborted", post(SIGNAL, Encoding::Protobuf, body)).await;
    }
}

async fn h15_overload_is_429_or_503_with_retry_after_rounded_up(wire: Wire) {
    for (code, http) in [(tonic::Code::ResourceExhausted, 429), (tonic::Code::Unavailable, 503)] {
        for (delay, seconds) in [(300, "1"), (1000, "1"), (1001, "2"), (0, "0")] {
            let failure = upstream(code).with_retry_after(Duration::from_millis(delay));
            let gate = wire.gate().answering(Err(failure));
            for variant in VARIANTS {
                let reply =
                    gate.ask(post_variant(SIGNAL, variant, &export_in(variant.0, SIGNAL))).await;
                let status = reply.http_status(http, variant.0);
                assert_eq!(status.retry_after, Some(Duration::from_millis(delay)));
                assert_eq!(reply.header("retry-after"), Some(seconds));
            }
        }
    }
    let failure = upstream(tonic::Code::Internal).with_retry_after(Duration::from_secs(1));
    let gate = wire.gate().answering(Err(failure));
    let reply = gate.ask(post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1))).await;
    assert_eq!(reply.header("retry-after"), None, "only where trying again helps");
}

async fn h21_grpc_and_http_are_answered_on_the_port_of_either(wire: Wire) {
    for gate in [wire.http(|_| {}), wire.grpc(|_| {})] {
        gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await.grpc_accepted(SIGNAL);
        for variant in VARIANTS {
            let request = post_variant(SIGNAL, variant, &export_in(variant.0, SIGNAL));
            gate.ask(request).await.http_accepted(SIGNAL, variant.0);
        }
        assert_eq!(gate.seen().len(), 5);
        let labels = |transport| {
            format!(
                "otelcol_receiver_accepted_log_records{{receiver=\"otlp\",transport=\"{transport}\"}}"
            )
        };
        assert_eq!(gate.count(&labels("grpc")), 1);
        assert_eq!(gate.count(&labels("http")), 4);
    }
}

async fn response_headers_are_set_on_every_answer_but_cannot_break_it(wire: Wire) {
    let gate = wire.http(|server| {
        let header = |name: &str, value: &str| (name.to_owned(), Redacted::new(value.to_owned()));
        server.response_headers = vec![
            header("X-Frame-Options", "DENY"),
            header("Content-Type", "text/html"),
            header("grpc-status", "0"),
        ];
    });
    let reply = gate.ask(post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1))).await;
    reply.http_accepted(SIGNAL, Encoding::Protobuf);
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    let mut request = post(SIGNAL, Encoding::Json, Bytes::new());
    *request.uri_mut() = "/nothing".parse().unwrap();
    let reply = gate.ask(request).await;
    reply.http_status(404, Encoding::Json);
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    let gate = gate.answering(Err(upstream(tonic::Code::Unavailable)));
    let reply = gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await;
    assert_eq!(reply.grpc(), tonic::Code::Unavailable);
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    let gate = gate.answering(Ok(Accepted::default()));
    gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await.grpc_accepted(SIGNAL);
}

/// Scenario: heads in which proxies and servers see different hosts or bodies. Guarantees: they are
/// refused, and nothing of them reaches the pipeline.
async fn heads_that_can_be_read_in_two_ways_are_refused(wire: Wire) {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let export = || post(SIGNAL, encoding, export_in(encoding, SIGNAL));
        let gate = wire.gate();
        gate.refuses("host", with(export(), "host", "other")).await.http_status(400, encoding);
        let mut request = export();
        request.headers_mut().remove("host");
        gate.refuses("host", request).await.http_status(400, encoding);
        for coding in ["gzip, chunked", "gzip"] {
            let request = with(export(), "transfer-encoding", coding);
            let reply = gate.refuses("transfer_encoding", request).await;
            reply.http_status(501, encoding);
        }
        let request = with(export(), "transfer-encoding", "Chunked");
        gate.ask(request).await.http_accepted(SIGNAL, encoding);
    }
}

on_every_wire!(
    h01_an_export_is_a_post_and_other_methods_are_405,
    h01_the_answer_to_head_has_no_body_over_http2,
    h02_both_versions_of_http_are_answered,
    h03_h04_h20_the_content_type_chooses_the_encoding_in_any_case,
    h03_any_other_content_type_is_415_with_a_status,
    h05_every_signal_has_its_path_and_paths_can_be_set,
    a_path_that_is_nearly_right_is_answered_with_how_it_came_about,
    h05_paths_that_are_not_clean_and_signals_not_served_are_404,
    h07_every_coding_is_accepted_in_any_case_and_identity_is_none,
    h07_unknown_and_repeated_codings_are_400,
    h07_compression_algorithms_restricts_what_is_accepted,
    h08_answers_are_not_compressed,
    h09_h10_h11_every_answer_is_in_the_encoding_of_the_request,
    h12_a_body_that_does_not_decode_is_400_with_a_bad_request_detail,
    h15_overload_is_429_or_503_with_retry_after_rounded_up,
    h21_grpc_and_http_are_answered_on_the_port_of_either,
    response_headers_are_set_on_every_answer_but_cannot_break_it,
);

on_http1!(heads_that_can_be_read_in_two_ways_are_refused,);
