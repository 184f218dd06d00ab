//! Connections that grow old.

use std::collections::BTreeSet;

use http::StatusCode;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::*;

/// Scenario: connections live beyond `max_connection_age`.
/// Guarantees: HTTP/1.1 is told so with the next answer, HTTP/2 by GOAWAY; both within the jitter
/// of a tenth; one that goes on is cut after the grace.
#[tokio::test(start_paused = true)]
async fn an_old_connection_is_retired() {
    let bench = Bench::new(aged(), None);
    let (mut near, serving) = bench.connect();
    assert!(!http1_exchange(&mut near).await.contains("connection: close"));
    tokio::time::sleep(Duration::from_secs(111)).await;
    assert!(http1_exchange(&mut near).await.contains("connection: close"));
    assert_eq!(seconds_until_closed(&mut near).await, 0);
    drop(near);
    serving.await.unwrap();

    let (mut near, serving) = bench.connect();
    http1_exchange(&mut near).await;
    let seconds = seconds_until_closed(&mut near).await;
    assert!((120..=141).contains(&seconds), "cut after {seconds} s");
    serving.await.unwrap();

    let (near, serving) = bench.connect();
    let (mut sender, driving) = http2_client(near).await;
    get(&mut sender).await.unwrap();
    let start = Instant::now();
    driving.await.unwrap();
    let seconds = start.elapsed().as_secs();
    assert!((90..=111).contains(&seconds), "GOAWAY after {seconds} s");
    serving.await.unwrap();
}

/// A batch of one span.
fn batch() -> Bytes {
    let spans = vec![Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Default::default() }];
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

fn aged() -> ServerLimits {
    ServerLimits {
        max_connection_age: Some(Duration::from_secs(100)),
        max_connection_age_grace: Duration::from_secs(30),
        ..ServerLimits::default()
    }
}

/// Scenario: a request is under way on each protocol when its connection grows old.
/// Guarantees: it is answered with OK; on HTTP/1.1 the answer says that the connection ends, on
/// HTTP/2 no further request can be sent meanwhile; then both end.
#[tokio::test(start_paused = true)]
async fn an_old_connection_finishes_what_is_under_way() {
    let bench = Bench::slow(aged(), None, Duration::from_secs(30));
    let post = |url: &str| {
        let head = Request::post(url).header("host", "x");
        head.header("content-type", "application/x-protobuf").body(Full::new(batch())).unwrap()
    };
    let (near, serving) = bench.connect();
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(near)).await;
    let (mut sender, connection) = shaken.unwrap();
    let driving = tokio::spawn(connection);
    let first = Request::get("/none").header("host", "x").body(Full::default()).unwrap();
    drop(sender.send_request(first).await.unwrap());
    tokio::time::sleep(Duration::from_secs(85)).await;
    let answer = sender.send_request(post("/v1/traces")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["connection"], "close");
    drop((answer, sender));
    serving.await.unwrap();
    let _ended = driving.await.unwrap();

    let (near, serving) = bench.connect();
    let shaken =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await;
    let (mut sender, connection) = shaken.unwrap();
    let driving = tokio::spawn(connection);
    tokio::time::sleep(Duration::from_secs(25)).await;
    let early = sender.send_request(post("http://x/v1/traces")).await.unwrap();
    assert_eq!(early.status(), StatusCode::OK);
    drop(early);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let under_way = sender.send_request(post("http://x/v1/traces"));
    let (answer, further) = tokio::join!(under_way, async {
        tokio::time::sleep(Duration::from_secs(27)).await;
        sender.clone().send_request(post("http://x/v1/traces")).await
    });
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    further.unwrap_err();
    serving.await.unwrap();
    let _ended = driving.await.unwrap();
}

/// Scenario: fifty connections are opened together, with an age and without.
/// Guarantees: they end spread over a fifth of the age; without one they live on.
#[tokio::test(start_paused = true)]
async fn connections_opened_together_do_not_grow_old_together() {
    let bench = Bench::new(aged(), None);
    let start = Instant::now();
    let mut living = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (near, _serving) = bench.connect();
        let (mut sender, driving) = http2_client(near).await;
        living.spawn(async move {
            get(&mut sender).await.unwrap();
            driving.await.unwrap();
            start.elapsed().as_secs()
        });
    }
    let ends: BTreeSet<u64> = living.join_all().await.into_iter().collect();
    assert!(ends.iter().all(|end| (90..=111).contains(end)), "{ends:?}");
    assert!(ends.len() > 8, "{ends:?}");

    let bench = Bench::new(ServerLimits::default(), None);
    let (near, _serving) = bench.connect();
    let (mut http2, _driving) = http2_client(near).await;
    let (mut http1, _serving) = bench.connect();
    for _ in 0..100 {
        get(&mut http2).await.unwrap();
        assert!(!http1_exchange(&mut http1).await.contains("connection: close"));
        tokio::time::sleep(Duration::from_secs(200)).await;
    }
}
