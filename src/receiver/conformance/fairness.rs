//! Requests of one worker do not hold each other up, and long ones fail alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::requests::{
    TestBody, call, compressed, export, export_in, export_json, framed, post, with,
};
use super::support::Gate;
use super::wire::{Wire, on_every_wire};
use crate::coding::Coding;
use crate::otlp::answer::Encoding;
use crate::signal::Signal;

const SIGNAL: Signal = Signal::Traces;
const LARGE: usize = 3;

/// Asks for large requests, then for a small one, all on this thread, while nothing can be done
/// beside it until the small one is answered; how often a large one was answered first, and what
/// the last of them was answered.
async fn overtaken_by(gate: Gate, large: impl Fn() -> Request<TestBody>) -> (usize, u16) {
    let mut busy = Some(gate.shared.aside().occupy().await);
    let gate = Arc::new(gate);
    let mut answers = JoinSet::new();
    let small = call(SIGNAL, framed(false, &export(SIGNAL, 1)));
    let all = (0..LARGE).map(|_| (true, large())).chain([(false, small)]);
    for (is_large, request) in all {
        let gate = Arc::clone(&gate);
        answers.spawn(async move { (is_large, gate.ask(request).await.http.as_u16()) });
    }
    let (mut before, mut overtaken, mut last) = (0, None, 0);
    while let Some(answer) = answers.join_next().await {
        match answer.unwrap() {
            (true, status) => (before, last) = (before + 1, status),
            (false, _) => {
                overtaken = Some(before);
                busy.take();
            }
        }
    }
    assert_eq!(gate.shared.0.budget.held(), 0, "no bytes stay reserved");
    (overtaken.unwrap(), last)
}

/// Scenario: bodies that become hundreds of times as long, up to the limit, in every coding that
/// has no length in front. Guarantees: a small request that came after them is answered first.
#[tokio::test]
async fn a_small_request_does_not_wait_for_large_ones_to_be_inflated() {
    let codings = [Coding::Gzip, Coding::Zstd, Coding::Zlib, Coding::Lz4, Coding::SnappyFramed];
    for coding in codings {
        let bomb = compressed(coding, &vec![b' '; 12 << 20]);
        let large = || {
            let request = post(SIGNAL, Encoding::Json, bomb.clone());
            with(request, "content-encoding", coding.http_name())
        };
        let gate = Gate::http(|server| server.server.max_request_bytes = 8 << 20);
        assert_eq!(overtaken_by(gate, large).await, (0, 413), "{coding:?}");
    }
}

/// A request that is decoded beside the thread that serves it.
fn long() -> Request<TestBody> {
    let mut text = export_json(SIGNAL).to_vec();
    text.resize(2 << 20, b' ');
    post(SIGNAL, Encoding::Json, Bytes::from(text))
}

/// Scenario: so many long bodies are decoded that there is no room for one more.
/// Guarantees: it waits for as long as its request may take and no longer, is refused so that it is
/// sent again, and holds nothing after that; the next is accepted once there is room.
#[tokio::test(start_paused = true)]
async fn a_long_body_without_room_is_refused_at_its_deadline_and_holds_nothing() {
    let wait = Duration::from_secs(7);
    let gate = Gate::http(|server| server.server.limits.request_timeout = wait);
    let busy = gate.shared.aside().occupy().await;
    let began = Instant::now();
    let reply = gate.refuses("deadline_exceeded", long()).await;
    assert_eq!(began.elapsed(), wait);
    let status = reply.http_status(503, Encoding::Json);
    assert_eq!(status.code, tonic::Code::DeadlineExceeded);
    assert!(status.message.contains("raise service.side_threads"), "{}", status.message);
    drop(busy);
    assert_eq!(gate.ask(long()).await.http, 200);
}

/// Scenario: the program breaks down over a long body, while a small request is under way.
/// Guarantees: its sender is told so and its bytes are let go of; the other sender, and whoever
/// sends the same again, notice nothing.
#[tokio::test]
async fn a_panic_over_a_long_body_is_an_internal_error_and_nobody_elses() {
    let gate = Gate::new();
    gate.shared.aside().break_next();
    let broken = gate.refuses("decoding_panicked", long()).await;
    let status = broken.http_status(500, Encoding::Json);
    assert_eq!(status.code, tonic::Code::Internal);
    assert!(status.message.ends_with("please report it"), "{}", status.message);
    gate.shared.aside().break_next();
    let small = post(SIGNAL, Encoding::Json, export_json(SIGNAL));
    let (broken, small) = tokio::join!(gate.ask(long()), gate.ask(small));
    assert_eq!((broken.http.as_u16(), small.http.as_u16()), (500, 200));
    assert_eq!(gate.ask(long()).await.http, 200);
}

/// Scenario: the program breaks down over short requests, each on a connection that is used again.
/// Guarantees: their senders are told so in their own protocol, it is counted, their bytes are let
/// go of, and the same connection serves whoever sends again.
async fn a_panic_over_a_short_request_is_its_answer_and_the_connection_goes_on(wire: Wire) {
    let gate = wire.gate();
    gate.break_next(3);
    let message = export(SIGNAL, 5);
    let ask = || call(SIGNAL, framed(false, &message));
    assert_eq!(gate.ask(ask()).await.grpc(), tonic::Code::Internal);
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let reply = gate.ask(post(SIGNAL, encoding, export_in(encoding, SIGNAL))).await;
        let status = reply.http_status(500, encoding);
        assert_eq!(status.code, tonic::Code::Internal);
        assert!(status.message.ends_with("please report it"), "{}", status.message);
    }
    let refused = "portcullis_requests_refused_total{reason=\"request_panicked\"}";
    assert_eq!(gate.count(refused), 3);
    let failed = "otelcol_receiver_failed_spans{receiver=\"otlp\",transport=\"grpc\"}";
    assert_eq!(gate.count(failed), 5);
    gate.settled().await;
    gate.ask(ask()).await.grpc_accepted(SIGNAL);
    let again = post(SIGNAL, Encoding::Json, export_json(SIGNAL));
    gate.ask(again).await.http_accepted(SIGNAL, Encoding::Json);
    assert!(gate.connections() <= 2, "one for each version of HTTP");
}

on_every_wire!(a_panic_over_a_short_request_is_its_answer_and_the_connection_goes_on);

/// Scenario: JSON of more than a megabyte. Guarantees: a small request that came after it is
/// answered first, and the large ones are accepted.
#[tokio::test]
async fn a_small_request_does_not_wait_for_large_json_to_be_decoded() {
    let mut text = export_json(SIGNAL).to_vec();
    text.resize(2 << 20, b' ');
    let text = Bytes::from(text);
    for coding in [None, Some(Coding::Gzip)] {
        let body = coding.map_or_else(|| text.clone(), |coding| compressed(coding, &text));
        let large = || {
            let request = post(SIGNAL, Encoding::Json, body.clone());
            match coding {
                Some(coding) => with(request, "content-encoding", coding.http_name()),
                None => request,
            }
        };
        assert_eq!(overtaken_by(Gate::new(), large).await, (0, 200), "{coding:?}");
    }
}
