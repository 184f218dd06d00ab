//! Checks R: OTLP/gRPC.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};
use tokio::time::Instant;

use super::requests::{End, TestBody, call, compressed, export, framed, post, with};
use super::support::{Gate, default_address};
use super::wire::{Wire, on_every_wire, on_http1};
use crate::coding::Coding;
use crate::otlp::answer::Encoding;
use crate::outcome::{AnyDetail, Failure, Side};
use crate::signal::Signal;

const SIGNAL: Signal = Signal::Traces;

fn upstream(code: tonic::Code) -> Failure {
    Failure::new(code, Side::Upstream, "upstream", "the backend is full: 100 %")
}

async fn r01_every_signal_has_its_export_method_and_nothing_else_is_there(wire: Wire) {
    for signal in Signal::ALL {
        let gate = wire.grpc(|_| {});
        gate.ask(call(signal, framed(false, &export(signal, 1)))).await.grpc_accepted(signal);
        assert_eq!(gate.only().signal, signal);

        let gate = wire.grpc(|_| {}).serving(&[]);
        let request = call(signal, framed(false, &export(signal, 1)));
        let reply = gate.refuses("no_pipeline", request).await;
        assert_eq!(reply.grpc(), tonic::Code::Unimplemented);
    }
    let gate = wire.grpc(|_| {});
    for path in ["/", "/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/export"] {
        let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
        *request.uri_mut() = path.parse().unwrap();
        let reply = gate.refuses("unknown_method", request).await;
        assert_eq!(reply.grpc(), tonic::Code::Unimplemented);
    }
}

#[test]
fn r02_the_default_port_is_4317() {
    assert_eq!(default_address("grpc"), "localhost:4317");
}

async fn r03_r05_a_retryable_failure_keeps_its_code_hint_and_details(wire: Wire) {
    let detail = AnyDetail {
        type_url: "type.googleapis.com/example.Reason".to_owned(),
        value: vec![1, 2, 3],
    };
    for code in [
        tonic::Code::Cancelled,
        tonic::Code::DeadlineExceeded,
        tonic::Code::Aborted,
        tonic::Code::OutOfRange,
        tonic::Code::Unavailable,
        tonic::Code::DataLoss,
        tonic::Code::ResourceExhausted,
        tonic::Code::PermissionDenied,
    ] {
        let mut failure = upstream(code).with_retry_after(Duration::from_millis(1500));
        failure.details.push(detail.clone());
        let gate = wire.grpc(|_| {}).answering(Err(failure));
        let reply = gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await;
        assert_eq!(reply.grpc(), code);
        assert_eq!(reply.header("grpc-message"), Some("the backend is full: 100 %25"));
        let status = reply.grpc_status();
        assert_eq!((status.code, status.message.as_str()), (code, "the backend is full: 100 %"));
        assert_eq!(status.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(status.details, std::slice::from_ref(&detail));
        let counted = gate.count("portcullis_requests_refused_total{reason=\"upstream\"}");
        assert_eq!(counted, 0, "what upstream says is no refusal of the gateway");
    }
}

async fn r04_bad_data_is_invalid_argument_with_a_bad_request_detail(wire: Wire) {
    let gate = wire.grpc(|_| {});
    // A span whose trace id has three bytes.
    let message = [0x0a, 9, 0x12, 7, 0x12, 5, 0x0a, 3, 1, 2, 3];
    let reply = gate.refuses("id_length", call(SIGNAL, framed(false, &message))).await;
    assert_eq!(reply.grpc(), tonic::Code::InvalidArgument);
    let status = reply.grpc_status();
    assert!(status.message.contains("Span.trace_id"), "{status:?}");
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
}

async fn r04_exactly_one_whole_message_is_taken(wire: Wire) {
    let gate = wire.grpc(|_| {});
    let message = framed(false, &export(SIGNAL, 1));
    let twice = Bytes::from([&message[..], &message[..]].concat());
    let trailing = Bytes::from([&message[..], &[0]].concat());
    for (reason, body) in [
        ("grpc_no_message", TestBody::new([], End::Whole)),
        ("grpc_short_message", TestBody::from(message.slice(..3))),
        ("grpc_short_message", TestBody::from(message.slice(..message.len() - 1))),
        ("grpc_trailing_bytes", TestBody::from(twice)),
        ("grpc_trailing_bytes", TestBody::new([message.clone(), message.clone()], End::Whole)),
        ("grpc_trailing_bytes", TestBody::from(trailing)),
        ("grpc_flag", TestBody::from(export(SIGNAL, 1))),
        ("body_aborted", TestBody::new([message.clone()], End::Broken)),
    ] {
        // Over a socket, whoever breaks off hears nothing.
        if body.end() == End::Broken && !wire.is_memory() {
            continue;
        }
        let reply = gate.refuses(reason, call(SIGNAL, body)).await;
        assert_eq!(reply.grpc(), tonic::Code::InvalidArgument, "{reason}");
    }
}

async fn r04_where_frames_are_cut_does_not_matter_and_nothing_is_copied(wire: Wire) {
    let message = export(SIGNAL, 3);
    let call_bytes = framed(false, &message);
    for cut in 0..call_bytes.len() {
        let gate = wire.grpc(|_| {});
        let frames = [call_bytes.slice(..cut), call_bytes.slice(cut..)];
        let reply = gate.ask(call(SIGNAL, TestBody::new(frames, End::Whole))).await;
        reply.grpc_accepted(SIGNAL);
        let decoded = gate.only().decoded;
        assert_eq!(decoded.to_bytes(), message);
        let range = call_bytes.as_ptr_range();
        let is_own = |piece: &Bytes| range.contains(&piece.as_ptr());
        assert!(!wire.is_memory() || decoded.pieces().iter().all(is_own));
    }
}

async fn r06_a_hint_of_the_backend_reaches_the_sender_unchanged(wire: Wire) {
    let delay = Duration::new(3, 141_592_653);
    let failure = upstream(tonic::Code::Unavailable).with_retry_after(delay);
    let gate = wire.grpc(|_| {}).answering(Err(failure));
    let reply = gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await;
    assert_eq!(reply.grpc_status().retry_after, Some(delay));
}

async fn every_encoding_of_grpc_is_taken_and_the_very_bytes_are_kept(wire: Wire) {
    let message = export(SIGNAL, 9);
    for (name, coding) in [
        ("gzip", Coding::Gzip),
        ("zstd", Coding::Zstd),
        ("snappy", Coding::SnappyFramed),
        ("deflate", Coding::Deflate),
    ] {
        let gate = wire.grpc(|_| {});
        let squeezed = compressed(coding, &message);
        let request = with(call(SIGNAL, framed(true, &squeezed)), "grpc-encoding", name);
        gate.ask(request).await.grpc_accepted(SIGNAL);
        let batch = gate.only();
        assert_eq!((batch.items, batch.decoded.to_bytes()), (9, message.clone()), "{name}");
        assert_eq!(batch.encoded.unwrap().body.to_bytes(), squeezed, "{name}");

        let plain = with(call(SIGNAL, framed(false, &message)), "grpc-encoding", name);
        gate.ask(plain).await.grpc_accepted(SIGNAL);
        assert!(gate.seen()[1].encoded.is_none(), "an encoding named but not used");

        let gate = wire.grpc(|_| {});
        let cut = &squeezed[..squeezed.len() - 1];
        let request = with(call(SIGNAL, framed(true, cut)), "grpc-encoding", name);
        let reply = gate.ask(request).await;
        assert_eq!(reply.grpc(), tonic::Code::InvalidArgument, "{name}");
        assert!(gate.seen().is_empty());
    }
}

async fn an_unknown_encoding_is_unimplemented_and_told_which_are_known(wire: Wire) {
    let gate = wire.grpc(|_| {});
    let request = with(call(SIGNAL, framed(true, b"x")), "grpc-encoding", "br");
    let reply = gate.refuses("grpc_encoding", request).await;
    assert_eq!(reply.grpc(), tonic::Code::Unimplemented);
    assert_eq!(reply.header("grpc-accept-encoding"), Some("identity,deflate,gzip,snappy,zstd"));
}

async fn compressed_without_an_encoding_is_internal(wire: Wire) {
    let gate = wire.grpc(|_| {});
    let squeezed = compressed(Coding::Gzip, &export(SIGNAL, 1));
    let request = || call(SIGNAL, framed(true, &squeezed));
    let reply = gate.refuses("grpc_compressed_flag", request()).await;
    assert_eq!(reply.grpc(), tonic::Code::Internal);
    let reply =
        gate.refuses("grpc_compressed_flag", with(request(), "grpc-encoding", "identity")).await;
    assert_eq!(reply.grpc(), tonic::Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn the_senders_deadline_holds_and_is_handed_on() {
    let gate = Gate::grpc(|_| {}).silent();
    let started = Instant::now();
    let request = || call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    let reply = gate.ask(with(request(), "grpc-timeout", "250m")).await;
    assert_eq!(reply.grpc(), tonic::Code::DeadlineExceeded);
    assert_eq!(started.elapsed(), Duration::from_millis(250));
    assert_eq!(gate.only().deadline - started, Duration::from_millis(250));
    assert_eq!(gate.dropped(), 1, "the pipeline gave it up");

    let gate = Gate::grpc(|server| server.limits.request_timeout = Duration::from_secs(2)).silent();
    let started = Instant::now();
    gate.ask(with(request(), "grpc-timeout", "99999999H")).await;
    assert_eq!(started.elapsed(), Duration::from_secs(2), "the gateway's own limit caps it");
}

async fn a_malformed_deadline_is_invalid_argument(wire: Wire) {
    let gate = wire.grpc(|_| {});
    for text in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", "a\u{ff}S"] {
        let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
        let value = http::HeaderValue::from_bytes(text.as_bytes()).unwrap();
        request.headers_mut().insert("grpc-timeout", value);
        let reply = gate.refuses("grpc_timeout", request).await;
        assert_eq!(reply.grpc(), tonic::Code::InvalidArgument, "{text}");
    }
}

async fn other_formats_of_grpc_are_refused_not_guessed(wire: Wire) {
    let gate = wire.grpc(|_| {});
    for media in ["application/grpc+json", "application/grpc+thrift"] {
        let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
        request.headers_mut().insert("content-type", media.parse().unwrap());
        let reply = gate.refuses("grpc_format", request).await;
        assert_eq!(reply.grpc(), tonic::Code::Unimplemented);
    }
    let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    request.headers_mut().insert("content-type", "application/grpc-web".parse().unwrap());
    gate.refuses("unknown_path", request).await.http_status(404, Encoding::Json);
}

async fn grpc_over_http1_or_without_post_is_refused_readably(wire: Wire) {
    let gate = wire.grpc(|_| {});
    let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    *request.version_mut() = Version::HTTP_11;
    let reply = gate.refuses("grpc_needs_http2", request).await;
    let status = reply.http_status(505, Encoding::Json);
    assert!(status.message.contains("HTTP/2"), "{status:?}");
    let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    *request.method_mut() = Method::GET;
    let reply = gate.refuses("method", request).await;
    reply.http_status(405, Encoding::Json);
}

async fn an_authenticator_that_is_not_there_lets_nobody_in(wire: Wire) {
    let id = crate::config::types::ComponentId { kind: "oidc".to_owned(), name: None };
    let gate = wire.grpc(|server| server.auth = Some(id.clone()));
    let request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    let reply = gate.refuses("no_authenticator", request).await;
    assert_eq!(reply.grpc(), tonic::Code::Unauthenticated);
    let mut request = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    request.headers_mut().insert("content-type", "application/grpc+json".parse().unwrap());
    let reply = gate.refuses("no_authenticator", request).await;
    assert_eq!(reply.grpc(), tonic::Code::Unauthenticated);
    let request = post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1));
    gate.refuses("no_authenticator", request).await.http_status(401, Encoding::Protobuf);
}

on_every_wire!(
    r01_every_signal_has_its_export_method_and_nothing_else_is_there,
    r03_r05_a_retryable_failure_keeps_its_code_hint_and_details,
    r04_bad_data_is_invalid_argument_with_a_bad_request_detail,
    r04_exactly_one_whole_message_is_taken,
    r04_where_frames_are_cut_does_not_matter_and_nothing_is_copied,
    r06_a_hint_of_the_backend_reaches_the_sender_unchanged,
    every_encoding_of_grpc_is_taken_and_the_very_bytes_are_kept,
    an_unknown_encoding_is_unimplemented_and_told_which_are_known,
    compressed_without_an_encoding_is_internal,
    a_malformed_deadline_is_invalid_argument,
    other_formats_of_grpc_are_refused_not_guessed,
    an_authenticator_that_is_not_there_lets_nobody_in,
);

on_http1!(grpc_over_http1_or_without_post_is_refused_readably,);
