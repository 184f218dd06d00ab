//! Requests that are cut off: sent again only when the upstream did nothing.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use crate::config::sections::{ClientKeepalive, GrpcExporter};
use crate::exporter::Kind;
use crate::exporter::testing::{Backend, Reply, batch, grpc, grpc_config, told_in_time};
use crate::outcome::{Accepted, Failure};
use crate::signal::Signal;

async fn told(reply: Reply) -> (Failure, usize) {
    let backend = Backend::start(None, move |_, _| reply.clone()).await;
    let exporter = grpc(grpc_config(backend.address, None));
    let failure = exporter.export(&batch(Signal::Traces, b"x")).await.unwrap_err();
    let text = format!("the gateway's exporter otlp_grpc/up, upstream {}: ", backend.address);
    assert!(failure.message.starts_with(&text), "{}", failure.message);
    (failure, backend.seen().len())
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_and_not_forever() {
    let backend = Backend::start(None, |number, _| match number {
        0 => Reply::Reset(Reason::REFUSED_STREAM),
        _ => Reply::ok(),
    })
    .await;
    let exporter = grpc(grpc_config(backend.address, None));
    let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
    assert_eq!(outcome, Ok(Accepted::default()));
    assert_eq!((backend.seen().len(), backend.connections()), (2, 1));

    let (failure, seen) = told(Reply::Reset(Reason::REFUSED_STREAM)).await;
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_refused_stream"));
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn a_request_that_may_have_been_processed_is_not_sent_again() {
    let cases = [
        (Reply::Reset(Reason::INTERNAL_ERROR), Code::Internal, "upstream_reset"),
        (Reply::Reset(Reason::ENHANCE_YOUR_CALM), Code::ResourceExhausted, "upstream_calm"),
        (
            Reply::Cut(Bytes::from_static(b"\0"), Reason::CANCEL),
            Code::Cancelled,
            "upstream_cancelled",
        ),
        (Reply::Drop, Code::Unavailable, "upstream_disconnected"),
    ];
    for (reply, code, reason) in cases {
        let (failure, seen) = told(reply).await;
        assert_eq!((failure.code, failure.reason), (code, reason), "{}", failure.message);
        assert!(failure.message.contains("the request was cut off: "), "{}", failure.message);
        assert_eq!(seen, 1);
    }
}

/// Scenario: the upstream sends GOAWAY with every tenth answer, while 8 senders send.
/// Guarantees: no request fails: what the upstream did not take goes over the next connection.
#[tokio::test]
async fn connections_that_go_away_under_load_lose_nothing() {
    let backend = Backend::start(None, |number, _| match number % 10 {
        9 => Reply::GoAway(Box::new(Reply::ok())),
        _ => Reply::ok(),
    })
    .await;
    let exporter = std::sync::Arc::new(grpc(grpc_config(backend.address, None)));
    let mut senders = JoinSet::new();
    for _ in 0..8 {
        let exporter = std::sync::Arc::clone(&exporter);
        senders.spawn(async move {
            for _ in 0..50 {
                let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
                assert_eq!(outcome, Ok(Accepted::default()));
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    assert_eq!(backend.seen().len(), 400, "and none is sent twice");
    assert!(backend.connections() > 5);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_before_the_sender_gives_up() {
    let backend = Backend::start(None, |number, _| match number {
        0 => Reply::Hang,
        _ => Reply::ok(),
    })
    .await;
    let exporter = grpc(grpc_config(backend.address, None));
    let failure = told_in_time(&exporter, Duration::from_millis(500)).await;
    assert_eq!((failure.code, failure.reason), (Code::DeadlineExceeded, "upstream_deadline"));
    assert_eq!(
        failure.message,
        format!(
            "the gateway's exporter otlp_grpc/up, upstream {}: no answer in time: it is slow or hangs, or the exporter's timeout is too short; it may have taken the batch",
            backend.address
        )
    );
    let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
    assert_eq!(outcome, Ok(Accepted::default()));
    assert_eq!(backend.connections(), 1);
}

/// Scenario: the program breaks down over an attempt to connect.
/// Guarantees: the next one is made at once, and no request fails.
#[tokio::test]
async fn a_panic_over_an_attempt_to_connect_is_not_the_end_of_attempts() {
    let backend = Backend::start(None, |_, _| Reply::ok()).await;
    let exporter = grpc(grpc_config(backend.address, None));
    let Kind::Grpc(client) = &exporter.kind else { panic!("it is of gRPC") };
    client.pool.break_next();
    let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
    assert_eq!(outcome, Ok(Accepted::default()));
}

/// Scenario: an upstream takes a request and freezes, with the connection open; another one is only
/// slow.
/// Guarantees: with `keepalive` the frozen one is found out long before the timeout; the slow one
/// answers pings and is waited for.
#[tokio::test]
async fn keepalive_finds_a_dead_upstream_and_spares_a_slow_one() {
    let with_pings = |address| {
        let keepalive = ClientKeepalive {
            time: Duration::from_millis(100),
            timeout: Duration::from_millis(300),
            permit_without_stream: false,
        };
        let config = grpc_config(address, None);
        grpc(GrpcExporter { keepalive: Some(keepalive), ..config })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = with_pings(listener.local_addr().unwrap());
    let freezing = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake::<TcpStream>(stream).await.unwrap();
        let request = connection.accept().await;
        std::future::pending::<()>().await;
        drop(request);
    };
    let x = batch(Signal::Traces, b"x");
    let began = Instant::now();
    let failure = tokio::select! {
        outcome = exporter.export(&x) => outcome.unwrap_err(),
        () = freezing => unreachable!("it is frozen"),
    };
    // The exporter's timeout is 5 s.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_disconnected"));
    assert!(failure.message.contains("did not answer a ping"), "{}", failure.message);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = with_pings(listener.local_addr().unwrap());
    let slow = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake::<TcpStream>(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let until = Instant::now() + Duration::from_millis(1000);
        let polled = std::future::poll_fn(|context| connection.poll_closed(context));
        assert!(timeout_at(until, polled).await.is_err(), "it is still wanted");
        let mut response = Reply::head();
        response.headers_mut().insert("grpc-status", "0".parse().unwrap());
        respond.send_response(response, true).unwrap();
        let _ended = std::future::poll_fn(|context| connection.poll_closed(context)).await;
    };
    let sending = async {
        let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
        drop(exporter);
        outcome
    };
    let (outcome, ()) = tokio::join!(sending, slow);
    assert_eq!(outcome, Ok(Accepted::default()));
}
