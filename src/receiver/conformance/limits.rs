//! Checks L: limits on the wire, inflated, in sum and in time; each just below and just above.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::requests::{
    End, TestBody, VARIANTS, call, compressed, export, export_in, framed, post, post_variant, with,
};
use super::support::Gate;
use super::wire::{Wire, on_every_wire};
use crate::coding::Coding;
use crate::otlp::answer::Encoding;
use crate::outcome::{Accepted, PartialSuccess};
use crate::receiver::http2;
use crate::signal::Signal;

const SIGNAL: Signal = Signal::Traces;

async fn l01_l03_a_call_at_the_limit_passes_and_one_byte_more_is_resource_exhausted(wire: Wire) {
    let message = export(SIGNAL, 4);
    let gate = wire.grpc(|server| server.max_request_bytes = message.len());
    gate.ask(call(SIGNAL, framed(false, &message))).await.grpc_accepted(SIGNAL);
    assert_eq!(gate.only().items, 4);

    let gate = wire.grpc(|server| server.max_request_bytes = message.len() - 1);
    let reply = gate.refuses("request_too_large", call(SIGNAL, framed(false, &message))).await;
    assert_eq!(reply.grpc(), tonic::Code::ResourceExhausted);
    let details = reply.header("grpc-status-details-bin");
    assert_eq!(details, None, "without RetryInfo no sender tries again");
}

async fn l01_the_limit_holds_after_inflating(wire: Wire) {
    let message = export(SIGNAL, 50);
    let squeezed = compressed(Coding::Gzip, &message);
    assert!(squeezed.len() < message.len() / 4);
    let request = || with(call(SIGNAL, framed(true, &squeezed)), "grpc-encoding", "gzip");
    let gate = wire.grpc(|server| server.max_request_bytes = message.len());
    gate.ask(request()).await.grpc_accepted(SIGNAL);
    let gate = wire.grpc(|server| server.max_request_bytes = message.len() - 1);
    let reply = gate.refuses("request_too_large", request()).await;
    assert_eq!(reply.grpc(), tonic::Code::ResourceExhausted);
}

async fn l01_a_message_announced_too_large_is_refused_before_it_arrives(wire: Wire) {
    let gate = wire.grpc(|server| server.max_request_bytes = 100);
    let prefix = Bytes::from_static(&[0, 0, 0, 0, 101]);
    let reply =
        gate.refuses("request_too_large", call(SIGNAL, TestBody::new([prefix], End::Never))).await;
    assert_eq!(reply.grpc(), tonic::Code::ResourceExhausted);
}

#[test]
fn l02_l05_the_default_limit_is_64_mib() {
    assert_eq!(Gate::new().shared.0.max_request_bytes, 64 << 20);
}

async fn l04_l06_a_body_at_the_limit_passes_and_one_byte_more_is_413(wire: Wire) {
    for variant in VARIANTS {
        let body = export_in(variant.0, SIGNAL);
        // Small bodies grow by being compressed.
        let most = match variant.1 {
            None => body.len(),
            Some(coding) => compressed(coding, &body).len().max(body.len()),
        };
        let gate = wire.http(|server| server.server.max_request_bytes = most);
        let reply = gate.ask(post_variant(SIGNAL, variant, &body)).await;
        reply.http_accepted(SIGNAL, variant.0);
        let gate = wire.http(|server| server.server.max_request_bytes = most - 1);
        let reply = gate.refuses("request_too_large", post_variant(SIGNAL, variant, &body)).await;
        reply.http_status(413, variant.0);
    }
}

async fn l04_the_limit_holds_after_inflating(wire: Wire) {
    let message = export(SIGNAL, 50);
    let variant = (Encoding::Protobuf, Some(Coding::Gzip));
    let gate = wire.http(|server| server.server.max_request_bytes = message.len());
    gate.ask(post_variant(SIGNAL, variant, &message)).await.http_accepted(SIGNAL, variant.0);
    let gate = wire.http(|server| server.server.max_request_bytes = message.len() - 1);
    let reply = gate.refuses("request_too_large", post_variant(SIGNAL, variant, &message)).await;
    reply.http_status(413, variant.0);
}

#[tokio::test(start_paused = true)]
async fn l06_a_body_announced_too_large_is_refused_before_it_arrives() {
    let gate = Gate::http(|server| server.server.max_request_bytes = 100);
    let body = TestBody::new([], End::Never).announcing(101);
    let mut request = post(SIGNAL, Encoding::Protobuf, body);
    *request.version_mut() = http::Version::HTTP_2;
    gate.refuses("request_too_large", request).await.http_status(413, Encoding::Protobuf);
}

/// Scenario: a request over HTTP/2 is refused by its head, while its body is whole, on its way, large,
/// or never comes.
/// Guarantees: a small body is read first, so that the stream is not reset behind the answer; nobody
/// waits long for one, nor at all for a large one or for gRPC.
#[tokio::test(start_paused = true)]
async fn a_refused_request_over_http2_is_read_to_its_end_if_that_is_near() {
    let http = |body: TestBody| {
        let mut request = post(SIGNAL, Encoding::Json, body);
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = "/v1/nothing".parse().unwrap();
        request
    };
    let data = || [Bytes::from_static(b"{}")];
    let second = http2::DRAIN_TIME;
    let large = http2::DRAIN_BYTES as u64 + 1;
    for (request, waits) in [
        (http(TestBody::new(data(), End::Whole)), Duration::ZERO),
        (http(TestBody::new(data(), End::Never)), second),
        (http(TestBody::new(data(), End::Never).announcing(large)), Duration::ZERO),
        (http(TestBody::new(data(), End::Broken)), Duration::ZERO),
    ] {
        let started = Instant::now();
        let reply = Gate::new().ask(request).await;
        reply.http_status(404, Encoding::Json);
        assert_eq!(started.elapsed(), waits);
    }
    let mut request = call(SIGNAL, TestBody::new(data(), End::Never));
    *request.uri_mut() = "/no.such.Service/Export".parse().unwrap();
    let started = Instant::now();
    assert_eq!(Gate::grpc(|_| {}).ask(request).await.grpc(), tonic::Code::Unimplemented);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// Scenario: a client on HTTP/1.1 writes all of its body before it reads, or waits for `100
/// Continue`. Guarantees: it can read why it was refused.
#[tokio::test(start_paused = true)]
async fn l06_a_413_on_http1_reads_a_bounded_rest_and_closes() {
    let gate = Gate::http(|server| server.server.max_request_bytes = 100);
    let pieces = |count| (0..count).map(|_| Bytes::from(vec![0; 1 << 16]));
    let refused = |body| gate.refuses("request_too_large", post(SIGNAL, Encoding::Protobuf, body));

    let reply = refused(TestBody::new(pieces(9), End::Whole)).await;
    reply.http_status(413, Encoding::Protobuf);
    assert_eq!(reply.header("connection"), None, "read to the end: it can go on");

    let reply = refused(TestBody::new(pieces(40), End::Whole)).await;
    reply.http_status(413, Encoding::Protobuf);
    assert_eq!(reply.header("connection"), Some("close"));

    let started = Instant::now();
    let reply = refused(TestBody::new(pieces(1), End::Never)).await;
    reply.http_status(413, Encoding::Protobuf);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(started.elapsed(), Duration::from_secs(1));

    let started = Instant::now();
    let body = TestBody::new([], End::Never).announcing(101);
    let request = with(post(SIGNAL, Encoding::Protobuf, body), "expect", "100-continue");
    let reply = gate.refuses("request_too_large", request).await;
    reply.http_status(413, Encoding::Protobuf);
    assert_eq!(started.elapsed(), Duration::ZERO, "it is not asked for a body nobody wants");
}

async fn l10_l11_a_long_text_of_the_backend_is_shortened(wire: Wire) {
    let message = "no ".repeat(20_000);
    let partial = PartialSuccess { rejected: 1, message };
    let gate = wire.gate().answering(Ok(Accepted { partial_success: Some(partial) }));
    let reply = gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 1)))).await;
    let partial = reply.grpc_accepted(SIGNAL).partial_success.unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.message.starts_with("no no ") && partial.message.len() <= 2048);
    for variant in VARIANTS {
        let reply = gate.ask(post_variant(SIGNAL, variant, &export_in(variant.0, SIGNAL))).await;
        reply.http_accepted(SIGNAL, variant.0);
        assert!(reply.body.len() < 4096);
    }
}

/// Scenario: requests hold as many bytes as the listener may. Guarantees: the next one is told to
/// come back, and can when they are done.
#[tokio::test]
async fn the_byte_budget_is_shared_and_given_back() {
    let message = export(SIGNAL, 4);
    let room = message.len() * 2;
    let gate = Gate::grpc(|server| server.limits.max_in_flight_bytes = room).silent();
    let first = tokio::spawn({
        let (receiver, message) = (gate.receiver.clone(), message.clone());
        async move {
            let request = call(SIGNAL, framed(false, &message));
            let Ok(_) = receiver.answer(&super::support::peer(), request).await;
        }
    });
    while gate.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let gate = gate.answering(Ok(Accepted::default()));
    assert_eq!(gate.shared.0.budget.held(), message.len());
    gate.ask(call(SIGNAL, framed(false, &message))).await.grpc_accepted(SIGNAL);
    assert_eq!(gate.seen().len(), 2);

    let larger = export(SIGNAL, 5);
    let reply = gate.ask(call(SIGNAL, framed(false, &larger))).await;
    assert_eq!(reply.grpc(), tonic::Code::Unavailable);
    assert_eq!(reply.grpc_status().retry_after, Some(Duration::from_secs(1)));
    let reply = gate.ask(post(SIGNAL, Encoding::Protobuf, larger.clone())).await;
    let status = reply.http_status(503, Encoding::Protobuf);
    assert_eq!(status.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(gate.count("portcullis_requests_refused_total{reason=\"in_flight_bytes\"}"), 2);
    assert_eq!(gate.seen().len(), 2, "nothing of them reached the pipeline");

    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(gate.dropped(), 1, "the pipeline saw the sender go");
    assert_eq!(gate.shared.0.budget.held(), 0);
    let labels = "{receiver=\"otlp\",transport=\"grpc\"}";
    assert_eq!(gate.count(&format!("otelcol_receiver_failed_spans{labels}")), 4);
    gate.ask(call(SIGNAL, framed(false, &larger))).await.grpc_accepted(SIGNAL);
}

/// Guarantees: what the budget would not have for one request alone is not told to come back.
async fn inflated_bytes_count_against_the_budget(wire: Wire) {
    let message = export(SIGNAL, 50);
    let squeezed = compressed(Coding::Gzip, &message);
    let request = || with(call(SIGNAL, framed(true, &squeezed)), "grpc-encoding", "gzip");
    let room = message.len() + squeezed.len();
    let gate = wire.grpc(|server| server.limits.max_in_flight_bytes = room);
    gate.ask(request()).await.grpc_accepted(SIGNAL);
    let gate = wire.grpc(|server| server.limits.max_in_flight_bytes = room - 1);
    // Without a hint when to come back, senders do not.
    let reply = gate.refuses("request_never_fits", request()).await;
    assert_eq!(reply.grpc(), tonic::Code::ResourceExhausted);
    assert_eq!(reply.header("grpc-status-details-bin"), None);
    let request = post(SIGNAL, Encoding::Protobuf, squeezed);
    let request = with(request, "content-encoding", "gzip");
    let status = gate.ask(request).await.http_status(413, Encoding::Protobuf);
    assert!(status.message.contains("raise max_in_flight_bytes"), "{}", status.message);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let started = Instant::now();
    let gate = Gate::http(|server| server.server.limits.body_timeout = Duration::from_secs(5));
    let body = || TestBody::new([Bytes::from_static(&[0, 0, 0, 0, 9, 0x0a])], End::Never);
    let reply = gate.refuses("body_timeout", call(SIGNAL, body())).await;
    assert_eq!(reply.grpc(), tonic::Code::DeadlineExceeded);
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    let body = TestBody::new([export(SIGNAL, 1)], End::Never);
    let reply = gate.refuses("body_timeout", post(SIGNAL, Encoding::Protobuf, body)).await;
    reply.http_status(503, Encoding::Protobuf);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_does_not_answer_is_given_up() {
    let gate =
        Gate::http(|server| server.server.limits.request_timeout = Duration::from_secs(7)).silent();
    let started = Instant::now();
    let reply = gate.ask(call(SIGNAL, framed(false, &export(SIGNAL, 2)))).await;
    assert_eq!(reply.grpc(), tonic::Code::DeadlineExceeded);
    assert_eq!(started.elapsed(), Duration::from_secs(7));
    let reply = gate.ask(post(SIGNAL, Encoding::Protobuf, export(SIGNAL, 1))).await;
    reply.http_status(503, Encoding::Protobuf);
    assert_eq!(gate.dropped(), 2);
    assert_eq!(gate.shared.0.budget.held(), 0);
    let refused = "otelcol_receiver_refused_spans{receiver=\"otlp\",transport=\"grpc\"}";
    assert_eq!(gate.count(refused), 2);
}

on_every_wire!(
    l01_l03_a_call_at_the_limit_passes_and_one_byte_more_is_resource_exhausted,
    l01_the_limit_holds_after_inflating,
    l01_a_message_announced_too_large_is_refused_before_it_arrives,
    l04_l06_a_body_at_the_limit_passes_and_one_byte_more_is_413,
    l04_the_limit_holds_after_inflating,
    l10_l11_a_long_text_of_the_backend_is_shortened,
    inflated_bytes_count_against_the_budget,
);
