//! Upstreams on HTTP/2 that take no more requests, no bytes, or do not come to an end.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use super::backend::{Backend, Terms, tls};
use super::frames::{GRPC, data, frames, headers, ok, ping};
use super::hostile::{at_first, grpc, https};
use super::stage::{Expected, Stage};
use crate::support::agent::{self, span};
use crate::support::frames::{INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS};
use crate::support::pki::TestPki;

/// Scenario: upstreams that take one request at a time, over gRPC and over HTTP.
/// Guarantees: a crowd of senders is served, one after the other.
#[tokio::test]
async fn an_upstream_that_takes_one_request_at_a_time_serves_a_crowd() {
    let pki = TestPki::new();
    let one = [(MAX_CONCURRENT_STREAMS, 1)];
    let backend = Backend::start(None, frames(&one, |_, stream| ok(stream))).await;
    let config = tls(&pki.server, &Terms { alpn: &[b"h2"], ..Terms::default() });
    let web = Backend::start(Some(config), frames(&one, |_, stream| ok(stream))).await;
    let stage = Stage::start(&[grpc(&backend, ""), https(&web, &pki, "")]).await;
    for which in 0..2 {
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let address = stage.address(which);
            crowd.spawn(async move {
                let mut client = agent::plaintext(address).await;
                for _ in 0..5 {
                    client.export(span("crowd")).await.unwrap();
                }
            });
        }
        while let Some(ended) = crowd.join_next().await {
            ended.unwrap();
        }
    }
    stage.end().await;
    for backend in [&backend, &web] {
        assert_eq!(backend.seen.requests().len(), 40);
        assert!(backend.seen.most_open() <= 8, "{}", backend.seen.most_open());
    }
}

/// Scenario: an upstream that takes no request at all (`max_concurrent_streams` 0), and one that
/// opens no window for a body.
/// Guarantees: senders hear of it within `timeout`, the first that nothing was sent; few
/// connections are opened for it.
#[tokio::test]
async fn an_upstream_that_takes_nothing_is_told_apart_from_one_that_is_slow() {
    let none = Backend::start(None, frames(&[(MAX_CONCURRENT_STREAMS, 0)], |_, s| ok(s))).await;
    let shut = Backend::start(None, frames(&[(INITIAL_WINDOW_SIZE, 0)], |_, s| ok(s))).await;
    let keys = "timeout: 700ms";
    let mut stage = Stage::start(&[grpc(&none, keys), grpc(&shut, keys)]).await;
    let full = Expected::unavailable(
        "upstream_streams_exhausted",
        &["as many requests as the upstream allows", "max_concurrent_streams"],
    );
    let late = Expected::too_late(&["no answer in time", "it may have taken the batch"]);
    stage.expect_at_once(&[full, late]).await;
    stage.end().await;
    assert!(none.seen.connections() <= 8, "{}", none.seen.connections());
}

/// Scenario: an answer that never ends, under a flood of frames that carry nothing.
/// Guarantees: the sender is told, at the latest after `timeout`; others beside it are served all the
/// time.
#[tokio::test]
async fn a_flood_instead_of_an_answer_is_given_up_in_time() {
    let empty = |stream| [headers(stream, 0, &GRPC), data(stream, 0, &[]).repeat(5000)].concat();
    let empty = at_first(empty).await;
    let pings = at_first(|_| ping().repeat(5000)).await;
    let settings = at_first(|_| crate::support::frames::settings(&[]).repeat(5000)).await;
    let keys = "timeout: 500ms";
    let mut stage =
        Stage::start(&[grpc(&empty, keys), grpc(&pings, keys), grpc(&settings, keys)]).await;
    let late = || Expected::too_late(&["no answer in time"]);
    // Pieces without bytes, for which there is a limit.
    let broken = || Expected {
        code: Code::Unavailable,
        reason: "upstream_protocol_error",
        says: &["it broke the rules of HTTP/2", "excessive load", "may have taken the batch"],
        ..late()
    };
    for _ in 0..2 {
        let began = Instant::now();
        stage.expect_at_once(&[broken(), late(), late()]).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    for which in 0..3 {
        stage.expect_ok(which).await;
    }
    stage.end().await;
}

/// Scenario: an answer that comes a byte at a time, for ever.
/// Guarantees: it is given up within `timeout`, and the upstream is told so.
#[tokio::test]
async fn an_answer_in_drops_is_given_up_in_time() {
    let backend = Backend::start(None, |peer, seen| {
        Box::pin(async move {
            let Ok(mut connection) = h2::server::handshake(peer).await else { return };
            let mut dripping = tokio::task::JoinSet::new();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let seen = std::sync::Arc::clone(&seen);
                dripping.spawn(async move {
                    let response = http::Response::builder()
                        .header("content-type", "application/grpc")
                        .body(())
                        .unwrap();
                    let mut stream = respond.send_response(response, false).unwrap();
                    while stream.send_data(bytes::Bytes::from_static(b"\0"), false).is_ok() {
                        sleep(Duration::from_millis(10)).await;
                    }
                    seen.note(super::backend::Asked {
                        uri: http::Uri::default(),
                        headers: http::HeaderMap::new(),
                        body: bytes::Bytes::new(),
                    });
                });
            }
        })
    })
    .await;
    let mut stage = Stage::start(&[grpc(&backend, "timeout: 300ms")]).await;
    let expected = Expected::too_late(&["no answer in time"]);
    stage.expect(0, &expected).await;
    crate::support::eventually::eventually("the streams are reset", || {
        backend.seen.requests().len() == 4
    })
    .await;
    assert_eq!(backend.seen.connections(), 1);
    stage.end().await;
}
