//! Upstreams on HTTP/2 that reset, leave, or break its rules. Each has one answer that the
//! sender can act on, and the next request is served.

use tonic::Code;

use super::backend::{Backend, Terms, tls};
use super::frames::{GRPC, HANG_UP, data, frames, goaway, headers, ok, reset};
use super::stage::{Expected, Stage};
use crate::support::frames::{END_STREAM, frame};
use crate::support::pki::TestPki;

pub fn grpc(backend: &Backend, keys: &str) -> (&'static str, String) {
    let address = backend.address;
    ("otlp_grpc", format!("{{ endpoint: '{address}', tls: {{ insecure: true }}, {keys} }}"))
}

pub fn https(backend: &Backend, pki: &TestPki, keys: &str) -> (&'static str, String) {
    let (name, ca) = (backend.name(), pki.path("ca.crt").display().to_string());
    ("otlp_http", format!("{{ endpoint: 'https://{name}', tls: {{ ca_file: {ca} }}, {keys} }}"))
}

/// As many requests as [`Stage::expect`] sends are answered so, and those after them with OK.
pub async fn at_first(bad: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Backend {
    let script = move |number, stream| if number < 4 { bad(stream) } else { ok(stream) };
    Backend::start(None, frames(&[], script)).await
}

/// Scenario: streams reset with each code of RFC 9113.
/// Guarantees: gRPC's own table of codes; sent again here only where the upstream says that it did
/// nothing; and the connection goes on.
#[tokio::test]
async fn each_code_of_a_reset_stream_has_its_code_of_grpc() {
    let internal = (Code::Internal, 500, false, "upstream_reset");
    let cases = [
        (0, internal),
        (1, internal),
        (2, internal),
        (3, internal),
        (4, internal),
        (5, internal),
        (6, internal),
        (8, (Code::Cancelled, 503, false, "upstream_cancelled")),
        (9, internal),
        (10, internal),
        (11, (Code::ResourceExhausted, 429, true, "upstream_calm")),
        (12, (Code::PermissionDenied, 403, false, "upstream_inadequate_security")),
        (13, internal),
        (0xffff, internal),
    ];
    let mut backends = Vec::new();
    for (code, _) in cases {
        backends.push(at_first(move |stream| reset(stream, code)).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| grpc(backend, "timeout: 10s")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, (_, (code, http, hint, reason))) in cases.into_iter().enumerate() {
        let says = &["the request was cut off: ", "; the upstream may have taken the batch"];
        stage.expect(which, &Expected { code, http, hint, reason, says }).await;
        stage.expect_ok(which).await;
        let seen = &backends[which].seen;
        assert_eq!((seen.requests().len(), seen.connections()), (6, 1), "{reason}");
    }
    stage.end().await;
}

/// Scenario: streams that are refused (REFUSED_STREAM), and a GOAWAY that says that nothing was
/// looked at, twice each, and then an answer.
/// Guarantees: senders notice nothing, and nothing is delivered twice.
#[tokio::test]
async fn what_an_upstream_did_not_look_at_is_sent_again_at_once() {
    let refused =
        |number: usize, stream| if number % 3 < 2 { reset(stream, 7) } else { ok(stream) };
    let refused = Backend::start(None, frames(&[], refused)).await;
    let leaves = |number: usize, stream| if number % 3 < 2 { goaway(0, 0) } else { ok(stream) };
    let leaves = Backend::start(None, frames(&[], leaves)).await;
    let mut stage = Stage::start(&[grpc(&refused, ""), grpc(&leaves, "")]).await;
    for which in 0..2 {
        stage.expect_ok(which).await;
        stage.expect_ok(which).await;
    }
    stage.end().await;
    assert_eq!((refused.seen.requests().len(), refused.seen.connections()), (12, 1));
    assert_eq!(leaves.seen.requests().len(), 12);
}

/// Scenario: an upstream refuses every stream, one takes leave before each answer, and one hangs up
/// after a GOAWAY that takes the request on itself.
/// Guarantees: after a few attempts the sender is told, and that it may try again; what may have
/// been taken is not sent twice.
#[tokio::test]
async fn an_upstream_that_never_takes_a_request_is_given_up() {
    let refuses = Backend::start(None, frames(&[], |_, stream| reset(stream, 7))).await;
    let leaves = Backend::start(None, frames(&[], |_, _| goaway(0, 11))).await;
    let hangs_up = |_, stream| [&goaway(stream, 0)[..], HANG_UP].concat();
    let hangs_up = Backend::start(None, frames(&[], hangs_up)).await;
    let mut stage =
        Stage::start(&[grpc(&refuses, ""), grpc(&leaves, ""), grpc(&hangs_up, "")]).await;
    let not_taken = ["the request was cut off: ", "; the upstream did not take the batch"];
    let maybe_taken = ["the request was cut off: ", "may have taken the batch"];
    for (which, reason, says) in [
        (0, "upstream_refused_stream", &not_taken),
        (1, "upstream_disconnected", &not_taken),
        (2, "upstream_disconnected", &maybe_taken),
    ] {
        let expected = Expected::perhaps_taken(reason, says);
        stage.expect(which, &expected).await;
    }
    stage.end().await;
    assert_eq!(refuses.seen.requests().len(), 12);
    assert_eq!(leaves.seen.requests().len(), 12);
    assert_eq!(hangs_up.seen.requests().len(), 4);
}

/// Scenario: answers whose status is alone in the headers, in headers and trailers, unreadable, or
/// nowhere; with an early hint before them; compressed; and with two messages.
/// Guarantees: the last status counts, none at all is no success, and an OK stays one.
#[tokio::test]
async fn a_status_of_grpc_is_found_where_it_may_be() {
    let alone =
        |stream, status| headers(stream, END_STREAM, &[GRPC[0], GRPC[1], ("grpc-status", status)]);
    let failed = |code, http, reason| (Some((code, http)), reason);
    let unknown = failed(Code::Unknown, 500, "upstream_status_unknown");
    let none = failed(Code::Unknown, 500, "upstream_no_grpc_status");
    type Answer = Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>;
    let cases: Vec<(Answer, _)> = vec![
        (Box::new(move |s| alone(s, "0")), (None, "")),
        (
            Box::new(move |s| alone(s, "9")),
            failed(Code::FailedPrecondition, 500, "upstream_status_failed_precondition"),
        ),
        (Box::new(move |s| alone(s, "-1")), unknown),
        (Box::new(move |s| alone(s, "zero")), unknown),
        (Box::new(move |s| alone(s, "")), unknown),
        (
            // OK in the headers, and then not.
            Box::new(|s| {
                let begun = headers(s, 0, &[GRPC[0], GRPC[1], ("grpc-status", "0")]);
                [begun, headers(s, END_STREAM, &[("grpc-status", "13")])].concat()
            }),
            failed(Code::Internal, 500, "upstream_status_internal"),
        ),
        (Box::new(|s| headers(s, END_STREAM, &GRPC)), none),
        (Box::new(|s| [headers(s, 0, &GRPC), data(s, END_STREAM, &[0; 5])].concat()), none),
        (
            Box::new(|s| {
                let begun = headers(s, 0, &GRPC);
                [begun, headers(s, END_STREAM, &[("x-other", "1")])].concat()
            }),
            none,
        ),
        (Box::new(|s| [headers(s, 0, &[(":status", "103")]), ok(s)].concat()), (None, "")),
        (
            Box::new(|s| {
                let two = [headers(s, 0, &GRPC), data(s, 0, &[0; 10])].concat();
                [two, headers(s, END_STREAM, &[("grpc-status", "0")])].concat()
            }),
            (None, ""),
        ),
        (
            // Marked as compressed, and is not.
            Box::new(|s| {
                let message = [headers(s, 0, &GRPC), data(s, 0, &[1, 0, 0, 0, 1, 9])].concat();
                [message, headers(s, END_STREAM, &[("grpc-status", "0")])].concat()
            }),
            (None, ""),
        ),
    ];
    let mut backends = Vec::new();
    let mut expected = Vec::new();
    for (answer, outcome) in cases {
        backends.push(at_first(answer).await);
        expected.push(outcome);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| grpc(backend, "timeout: 10s")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, (failed, reason)) in expected.into_iter().enumerate() {
        if let Some((code, http)) = failed {
            let expected = Expected { code, http, hint: false, reason, says: &["upstream "] };
            stage.expect(which, &expected).await;
        }
        stage.expect_ok(which).await;
    }
    stage.end().await;
}

/// Scenario: frames that the rules of HTTP/2 forbid, after a request.
/// Guarantees: the connection is given up, the sender is told why and that the batch may have been
/// taken, and the next request goes over another connection.
#[tokio::test]
async fn a_broken_rule_ends_one_connection_and_one_request() {
    type Answer = Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>;
    let cases: Vec<Answer> = vec![
        // PUSH_PROMISE, which was switched off.
        Box::new(|s| frame(5, 4, s, &[0, 0, 0, 2, 0x88])),
        // HEADERS on a stream that was never opened.
        Box::new(|_| headers(4001, END_STREAM, &GRPC)),
        // A window above 2^31 - 1.
        Box::new(|_| frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2)),
        // A frame larger than was allowed.
        Box::new(|s| data(s, 0, &vec![0; (16 << 10) + 1])),
        // CONTINUATION of nothing.
        Box::new(|s| frame(9, 4, s, &[0x88])),
        // A header block that does not decode.
        Box::new(|s| frame(1, 5, s, &[0xff; 9])),
        // SETTINGS with half an entry.
        Box::new(|_| frame(4, 0, 0, &[0; 5])),
    ];
    let mut backends = Vec::new();
    for bad in cases {
        backends.push(at_first(bad).await);
    }
    let exporters: Vec<_> = backends.iter().map(|backend| grpc(backend, "timeout: 10s")).collect();
    let mut stage = Stage::start(&exporters).await;
    for (which, backend) in backends.iter().enumerate() {
        let expected = Expected::perhaps_taken(
            "upstream_protocol_error",
            &["it broke the rules of HTTP/2 (", "), so the connection was closed", "may have"],
        );
        stage.expect(which, &expected).await;
        stage.expect_ok(which).await;
        assert_eq!(backend.seen.requests().len(), 6);
    }
    stage.end().await;
}

/// Scenario: headers of 300 kB, by an upstream for gRPC, and of 100 kB, by one for HTTP.
/// Guarantees: they are not kept, and the sender is told not to try again; the next request is served
/// over the same connection.
#[tokio::test]
async fn huge_headers_are_not_read() {
    let huge = |stream, count| {
        let long = "x".repeat(10_000);
        let fields = GRPC.into_iter().chain((0..count).map(|_| ("x-long", &*long)));
        headers(stream, END_STREAM, &fields.collect::<Vec<_>>())
    };
    let backend = at_first(move |stream| huge(stream, 30)).await;
    let pki = TestPki::new();
    let config = tls(&pki.server, &Terms { alpn: &[b"h2"], ..Terms::default() });
    let script = move |number, stream| if number < 4 { huge(stream, 10) } else { ok(stream) };
    let web = Backend::start(Some(config), frames(&[], script)).await;
    let mut stage = Stage::start(&[grpc(&backend, ""), https(&web, &pki, "")]).await;
    for (which, backend) in [&backend, &web].into_iter().enumerate() {
        let expected = Expected::internal(
            "upstream_protocol_error",
            &["breaks the rules of HTTP/2, or has headers that are too large", "may have taken"],
        );
        stage.expect(which, &expected).await;
        stage.expect_ok(which).await;
        assert_eq!(backend.seen.connections(), 1);
    }
    stage.end().await;
}
