//! What another widely used gateway was seen to get wrong: data lost under an OK, answers that
//! never come, one deep request that ends the process.

use bytes::Bytes;

use super::requests::{
    End, TestBody, VARIANTS, call, compressed, export, export_json, framed, post, post_variant,
    with,
};
use super::wire::{Wire, on_every_wire};
use crate::coding::Coding;
use crate::otlp::answer::Encoding;
use crate::outcome::{Failure, Side};
use crate::signal::Signal;

const SIGNAL: Signal = Signal::Traces;

fn json(text: impl Into<Bytes>) -> http::Request<TestBody> {
    post(SIGNAL, Encoding::Json, text.into())
}

/// Scenario: two requests in one body. Guarantees: neither is lost under an OK.
async fn two_json_objects_in_one_body_are_refused(wire: Wire) {
    let one = export_json(SIGNAL);
    for between in ["", " ", "\n", ","] {
        let gate = wire.gate();
        let body = [&one[..], between.as_bytes(), &one[..]].concat();
        gate.ask(json(body)).await.http_status(400, Encoding::Json);
        assert!(gate.seen().is_empty());
    }
}

async fn a_call_that_ends_with_its_headers_is_answered(wire: Wire) {
    let gate = wire.grpc(|_| {});
    let reply = gate.refuses("grpc_no_message", call(SIGNAL, TestBody::new([], End::Whole))).await;
    assert_eq!(reply.grpc(), tonic::Code::InvalidArgument);
}

/// Scenario: a long text of the backend. Guarantees: code, text and hint fit into the header block
/// of careful peers, which is 8 KiB.
async fn a_long_error_of_the_backend_reaches_the_sender_shortened(wire: Wire) {
    for text in ["x".repeat(40_000), "\u{20ac}".repeat(40_000), "\n".repeat(40_000)] {
        let failure = Failure::new(tonic::Code::NotFound, Side::Upstream, "upstream", text)
            .with_retry_after(std::time::Duration::from_secs(1));
        let gate = wire.gate().answering(Err(failure));
        let reply = gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await;
        assert_eq!(reply.grpc(), tonic::Code::NotFound);
        let size: usize = reply.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 32).sum();
        assert!(size < 8192, "{size}");
    }
}

async fn a_gzip_reply_is_never_sent_against_the_senders_wish(wire: Wire) {
    let gate = wire.grpc(|_| {});
    let squeezed = framed(true, &compressed(Coding::Gzip, &export(SIGNAL, 1)));
    let request = with(call(SIGNAL, squeezed), "grpc-encoding", "gzip");
    let reply = gate.ask(with(request, "grpc-accept-encoding", "identity")).await;
    reply.grpc_accepted(SIGNAL);
}

async fn an_empty_json_body_is_refused_and_null_is_an_empty_request_or_refused_readably(
    wire: Wire,
) {
    let gate = wire.gate();
    gate.ask(json("")).await.http_status(400, Encoding::Json);
    let reply = gate.ask(json("null")).await;
    assert!(reply.http == 200 || reply.http == 400, "{reply:?}");
    assert!(gate.seen().is_empty());
}

async fn json_that_is_not_utf8_is_refused(wire: Wire) {
    let gate = wire.gate();
    let text = export_json(SIGNAL);
    let position = text.windows(8).position(|window| window == b"checkout").unwrap();
    let mut text = text.to_vec();
    text[position] = 0xff;
    gate.ask(json(text)).await.http_status(400, Encoding::Json);
    assert!(gate.seen().is_empty());
}

async fn a_byte_order_mark_before_json_is_no_server_error(wire: Wire) {
    let gate = wire.gate();
    let reply = gate.ask(json([b"\xef\xbb\xbf", &export_json(SIGNAL)[..]].concat())).await;
    assert!(reply.http == 200 || reply.http == 400, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

async fn null_ids_and_times_in_json_are_absent(wire: Wire) {
    let gate = wire.gate();
    let text = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":null,"spanId":null,"startTimeUnixNano":null,"name":"a"}]}]}]}"#;
    gate.ask(json(text)).await.http_accepted(SIGNAL, Encoding::Json);
    assert_eq!(gate.only().items, 1);
}

/// Scenario: arrays nested a million deep, in JSON and in protobuf. Guarantees: a refusal that
/// costs no stack, and a healthy request after it.
async fn a_deep_request_is_refused_and_does_no_harm(wire: Wire) {
    let gate = wire.gate();
    let deep = r#"{"arrayValue":{"values":["#.repeat(400_000);
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    let request = post(Signal::Logs, Encoding::Json, Bytes::from(text));
    gate.ask(request).await.http_status(400, Encoding::Json);
    gate.ask(json("[".repeat(4_000_000))).await.http_status(400, Encoding::Json);

    // ArrayValue.values[0].array_value ..., 300 deep, from the inside out.
    let mut message = Vec::new();
    let nest = |key: u8, inner: Vec<u8>| {
        let mut out = vec![key];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend(inner);
        out
    };
    for _ in 0..300 {
        message = nest(0x2a, nest(0x0a, message));
    }
    // LogRecord.body, ScopeLogs.log_records, ResourceLogs.scope_logs, resource_logs.
    for key in [0x2a, 0x12, 0x12, 0x0a] {
        message = nest(key, message);
    }
    let request = call(Signal::Logs, framed(false, &message));
    let reply = gate.refuses("protobuf_depth", request).await;
    assert_eq!(reply.grpc(), tonic::Code::InvalidArgument);

    let request = call(Signal::Logs, framed(false, &export(Signal::Logs, 1)));
    gate.ask(request).await.grpc_accepted(Signal::Logs);
}

/// Scenario: a sender misspells a name, and unknown names are ignored. Guarantees: the answer
/// is what OTLP demands, and the operator can read once that nothing was found.
async fn text_without_any_item_is_a_success_that_the_log_mentions_once(wire: Wire) {
    let gate = wire.gate();
    let text = std::str::from_utf8(&export_json(SIGNAL)).unwrap().replace("resourceSpans", "spams");
    gate.ask(json(text)).await.http_accepted(SIGNAL, Encoding::Json);
    assert!(gate.seen().is_empty());
    assert!(gate.shared.0.warned_of_nothing.load(std::sync::atomic::Ordering::Relaxed));

    let gate = wire.gate();
    gate.ask(json("{}")).await.http_accepted(SIGNAL, Encoding::Json);
    assert!(!gate.shared.0.warned_of_nothing.load(std::sync::atomic::Ordering::Relaxed));
}

/// Scenario: bytes that a decoder refuses, in every encoding. Guarantees: never an OK.
async fn every_cut_of_a_request_is_refused_or_holds_fewer_items(wire: Wire) {
    let message = export(SIGNAL, 2);
    for length in 1..message.len() {
        let gate = wire.gate();
        let request = post(SIGNAL, Encoding::Protobuf, message.slice(..length));
        gate.ask(request).await.http_status(400, Encoding::Protobuf);
        assert!(gate.seen().is_empty(), "{length}");
    }
    let text = export_json(SIGNAL);
    for length in 0..text.len() {
        let gate = wire.gate();
        gate.ask(json(text.slice(..length))).await.http_status(400, Encoding::Json);
    }
}

async fn counters_tell_accepted_and_refused_items(wire: Wire) {
    let labels = "{receiver=\"otlp\",transport=\"http\"}";
    for variant in VARIANTS {
        let failure = Failure::new(tonic::Code::Unavailable, Side::Upstream, "upstream", "no");
        let gate = wire.gate().answering(Err(failure));
        let body = super::requests::export_in(variant.0, SIGNAL);
        gate.ask(post_variant(SIGNAL, variant, &body)).await;
        assert_eq!(gate.count(&format!("otelcol_receiver_refused_spans{labels}")), 1);
        assert_eq!(gate.count(&format!("otelcol_receiver_accepted_spans{labels}")), 0);
    }
}

/// Scenario: protobuf that lenient decoders take and strict ones do not. Guarantees: what is handed
/// on can be read by every backend; what every decoder skips is not refused.
async fn protobuf_that_only_some_decoders_take_is_refused(wire: Wire) {
    for (what, message) in [
        ("schema_url that is not UTF-8", &b"\x0a\x03\x1a\x01\xff"[..]),
        (
            "a varint over 64 bits",
            b"\x0a\x0e\xc0\x3e\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x00",
        ),
        ("field number 2^29", b"\x80\x80\x80\x80\x10\x01"),
        ("field number 0", b"\x00\x01"),
    ] {
        let gate = wire.gate();
        let reply = gate.ask(call(SIGNAL, framed(false, message))).await;
        assert_eq!(reply.grpc(), tonic::Code::InvalidArgument, "{what}");
        assert!(gate.seen().is_empty(), "{what}");
    }
    // Group 1000 with one varint in it, after a span.
    let message = [&export(SIGNAL, 1)[..], b"\xc3\x3e\x08\x01\xc4\x3e"].concat();
    let gate = wire.gate();
    gate.ask(call(SIGNAL, framed(false, &message))).await.grpc_accepted(SIGNAL);
    assert_eq!(gate.only().decoded.to_bytes(), message);
}

/// Scenario: `resource` comes twice in one `ResourceSpans`, which decoders merge. Guarantees: both
/// are checked, and both go on.
async fn a_repeated_singular_field_is_checked_and_kept_whole(wire: Wire) {
    let resource = b"\x0a\x02\x10\x01";
    let twice = [&b"\x0a\x0c"[..], resource, resource, b"\x12\x02\x12\x00"].concat();
    let gate = wire.gate();
    gate.ask(call(SIGNAL, framed(false, &twice))).await.grpc_accepted(SIGNAL);
    assert_eq!(gate.only().decoded.to_bytes(), twice);
    let spoiled = [&b"\x0a\x0c"[..], resource, b"\x0a\x02\x12\x01", b"\x12\x02\x12\x00"].concat();
    let gate = wire.gate();
    let reply = gate.ask(call(SIGNAL, framed(false, &spoiled))).await;
    assert_eq!(reply.grpc(), tonic::Code::InvalidArgument);
    assert!(gate.seen().is_empty());
}

/// Scenario: metrics where spans are taken, which is one wrong variable in a sender. Guarantees: the
/// answer says what they look like and where they go; what is merely damaged is not misnamed.
async fn a_request_of_another_signal_is_told_where_to_go(wire: Wire) {
    let metrics = export(Signal::Metrics, 2);
    let told = |text: &str| {
        assert!(text.contains("this looks like metrics: send it to /v1/metrics (or "), "{text}");
        assert!(text.contains(Signal::Metrics.grpc_path()), "{text}");
    };
    let gate = wire.gate();
    told(&gate.ask(call(SIGNAL, framed(false, &metrics))).await.grpc_status().message);
    let plain = post(SIGNAL, Encoding::Protobuf, metrics.clone());
    told(&gate.ask(plain).await.http_status(400, Encoding::Protobuf).message);
    let squeezed = post(SIGNAL, Encoding::Protobuf, compressed(Coding::Gzip, &metrics));
    let squeezed = with(squeezed, "content-encoding", "gzip");
    told(&gate.ask(squeezed).await.http_status(400, Encoding::Protobuf).message);
    let text =
        gate.ask(json(export_json(Signal::Metrics))).await.http_status(400, Encoding::Json).message;
    assert!(text.contains("is of metrics: send it to /v1/metrics (or "), "{text}");
    let damaged = post(SIGNAL, Encoding::Protobuf, Bytes::from_static(b"\x0a\x03\x1a\x01\xff"));
    let text = gate.ask(damaged).await.http_status(400, Encoding::Protobuf).message;
    assert!(!text.contains("looks like"), "{text}");
    assert!(gate.seen().is_empty());
}

on_every_wire!(
    two_json_objects_in_one_body_are_refused,
    a_call_that_ends_with_its_headers_is_answered,
    a_long_error_of_the_backend_reaches_the_sender_shortened,
    a_gzip_reply_is_never_sent_against_the_senders_wish,
    an_empty_json_body_is_refused_and_null_is_an_empty_request_or_refused_readably,
    json_that_is_not_utf8_is_refused,
    a_byte_order_mark_before_json_is_no_server_error,
    null_ids_and_times_in_json_are_absent,
    a_deep_request_is_refused_and_does_no_harm,
    text_without_any_item_is_a_success_that_the_log_mentions_once,
    every_cut_of_a_request_is_refused_or_holds_fewer_items,
    counters_tell_accepted_and_refused_items,
    protobuf_that_only_some_decoders_take_is_refused,
    a_repeated_singular_field_is_checked_and_kept_whole,
    a_request_of_another_signal_is_told_where_to_go,
);
