//! Keys of an exporter that change how it keeps connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::backend::{Backend, Reply, Terms, h2, http1, page, read_http1, tls, unix};
use super::stage::Stage;
use crate::support::agent::{self, span};
use crate::support::eventually::eventually;
use crate::support::pki::TestPki;

fn success() -> String {
    page("200 OK", "content-type: application/x-protobuf\r\n", "")
}

/// Scenario: an upstream behind a unix socket, in clear and over TLS.
/// Guarantees: both work; TLS verifies `localhost`.
#[tokio::test]
async fn a_unix_socket_is_an_upstream_for_grpc() {
    let pki = TestPki::new();
    let (clear, secure) = (pki.path("clear.sock"), pki.path("secure.sock"));
    let (seen, _task) = unix(&clear, None, h2(|_| Reply::ok()));
    let config = tls(&pki.server, &Terms::default());
    let (seen_secure, _task) = unix(&secure, Some(config), h2(|_| Reply::ok()));
    let ca = pki.path("ca.crt").display().to_string();
    let mut stage = Stage::start(&[
        (
            "otlp_grpc",
            format!("{{ endpoint: 'unix://{}', tls: {{ insecure: true }} }}", clear.display()),
        ),
        (
            "otlp_grpc",
            format!("{{ endpoint: 'unix://{}', tls: {{ ca_file: {ca} }} }}", secure.display()),
        ),
    ])
    .await;
    stage.expect_ok(0).await;
    stage.expect_ok(1).await;
    stage.end().await;
    assert_eq!((seen.requests().len(), seen_secure.requests().len()), (2, 2));
}

/// Sends over gRPC from so many senders at once, `rounds` times each.
async fn crowd(stage: &Stage, which: usize, senders: usize, rounds: usize) {
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..senders {
        let address = stage.address(which);
        sending.spawn(async move {
            let mut client = agent::plaintext(address).await;
            for _ in 0..rounds {
                client.export(span("crowd")).await.unwrap();
            }
        });
    }
    while let Some(ended) = sending.join_next().await {
        ended.unwrap();
    }
}

/// Scenario: ten senders before an upstream on HTTP/1.1, with two connections allowed.
/// Guarantees: there are never more than two, and nobody fails. On HTTP/2 all share one, and the
/// key slows nobody down.
#[tokio::test]
async fn max_conns_per_host_limits_connections_and_fails_nobody() {
    let slow = Backend::start(None, |mut peer, seen| {
        Box::pin(async move {
            while read_http1(&mut peer).await.is_some() {
                sleep(Duration::from_millis(5)).await;
                if peer.write_all(success().as_bytes()).await.is_err() || seen.open() > 100 {
                    return;
                }
            }
        })
    })
    .await;
    let pki = TestPki::new();
    let terms = Terms::default();
    let shared = Backend::start(Some(tls(&pki.server, &terms)), h2(|_| Reply::success())).await;
    let ca = pki.path("ca.crt").display().to_string();
    let stage = Stage::start(&[
        ("otlp_http", format!("{{ endpoint: 'http://{}', max_conns_per_host: 2 }}", slow.address)),
        (
            "otlp_http",
            format!(
                "{{ endpoint: 'https://{}', max_conns_per_host: 1, tls: {{ ca_file: {ca} }} }}",
                shared.name()
            ),
        ),
    ])
    .await;
    crowd(&stage, 0, 10, 10).await;
    assert!(slow.seen.most_open() <= 2, "{}", slow.seen.most_open());
    assert!(slow.seen.connections() <= 4, "they are kept");
    crowd(&stage, 1, 10, 10).await;
    assert_eq!(shared.seen.connections(), 1);
    stage.end().await;
}

/// Scenario: `disable_keep_alives` on HTTP/1.1 and HTTP/2.
/// Guarantees: every request has a connection of its own, which ends with it.
#[tokio::test]
async fn disable_keep_alives_opens_a_connection_for_each_request() {
    let pki = TestPki::new();
    let old = Backend::start(None, http1(success(), true)).await;
    let terms = Terms::default();
    let new = Backend::start(Some(tls(&pki.server, &terms)), h2(|_| Reply::success())).await;
    let ca = pki.path("ca.crt").display().to_string();
    let mut stage = Stage::start(&[
        (
            "otlp_http",
            format!("{{ endpoint: 'http://{}', disable_keep_alives: true }}", old.address),
        ),
        (
            "otlp_http",
            format!(
                "{{ endpoint: 'https://{}', disable_keep_alives: true, tls: {{ ca_file: {ca} }} }}",
                new.name()
            ),
        ),
    ])
    .await;
    for (which, backend) in [&old, &new].into_iter().enumerate() {
        stage.expect_ok(which).await;
        stage.expect_ok(which).await;
        assert_eq!(backend.seen.connections(), 4);
        eventually("they end", || backend.seen.open() == 0).await;
    }
    let asked = old.seen.requests().pop().unwrap();
    assert_eq!(asked.headers["connection"], "close");
    stage.end().await;
}

/// Answers over HTTP/1.1, not at once, so that many senders need many connections.
async fn slow() -> Backend {
    Backend::start(None, |mut peer, _| {
        Box::pin(async move {
            while read_http1(&mut peer).await.is_some() {
                sleep(Duration::from_millis(30)).await;
                let _told = peer.write_all(success().as_bytes()).await;
            }
        })
    })
    .await
}

/// Scenario: many requests at once leave many connections behind.
/// Guarantees: as many as `max_idle_conns_per_host` are kept and used again, for
/// `idle_conn_timeout`.
#[tokio::test]
async fn idle_connections_are_few_and_do_not_stay_for_ever() {
    let (few, short) = (slow().await, slow().await);
    let exporter = |backend: &Backend, keys: &str| {
        ("otlp_http", format!("{{ endpoint: 'http://{}', {keys} }}", backend.address))
    };
    let mut stage = Stage::start(&[
        exporter(&few, "max_idle_conns_per_host: 3, idle_conn_timeout: 1h"),
        exporter(&short, "idle_conn_timeout: 700ms"),
    ])
    .await;
    for (which, backend) in [&few, &short].into_iter().enumerate() {
        crowd(&stage, which, 8, 2).await;
        assert!(backend.seen.most_open() > 3, "it was a crowd");
    }
    eventually("three are kept", || few.seen.open() == 3).await;
    let so_far = few.seen.connections();
    stage.expect_ok(0).await;
    assert_eq!((few.seen.open(), few.seen.connections()), (3, so_far));
    eventually("none is kept", || short.seen.open() == 0).await;
    stage.end().await;
}

/// Answers the first requests and then stops doing anything, with the connection open.
async fn freezing(pki: &TestPki) -> (Backend, Arc<AtomicUsize>) {
    let frozen = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&frozen);
    let config = tls(&pki.server, &Terms { alpn: &[b"h2"], ..Terms::default() });
    let backend = Backend::start(Some(config), move |peer, seen| {
        let frozen = Arc::clone(&counting);
        Box::pin(async move {
            let Ok(mut connection) = h2::server::handshake(peer).await else { return };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if seen.connections() == 1 && frozen.load(Ordering::SeqCst) > 0 {
                    // The request has come, and nothing more is read.
                    std::future::pending::<()>().await;
                }
                frozen.fetch_add(1, Ordering::SeqCst);
                let response = Response::builder()
                    .header("content-type", "application/x-protobuf")
                    .body(())
                    .unwrap();
                respond.send_response(response, true).unwrap();
            }
        })
    })
    .await;
    (backend, frozen)
}

/// Scenario: an upstream on HTTP/2 freezes; its connection stays open.
/// Guarantees: a ping finds it out long before the request's timeout, and the next request goes
/// over a new connection.
#[tokio::test]
async fn http2_pings_find_a_dead_upstream() {
    let pki = TestPki::new();
    let (backend, _) = freezing(&pki).await;
    let stage = Stage::start(&[(
        "otlp_http",
        format!(
            "{{ endpoint: 'https://{}', tls: {{ ca_file: {} }}, http2_read_idle_timeout: 200ms, http2_ping_timeout: 300ms }}",
            backend.name(),
            pki.path("ca.crt").display()
        ),
    )])
    .await;
    stage.over_grpc(0).await.unwrap();
    let began = Instant::now();
    let told = stage.over_grpc(0).await.unwrap_err();
    // The exporter's timeout is 30 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(told.code, Code::Unavailable, "{told:?}");
    assert!(told.message.contains("may have taken the batch"), "{told:?}");
    stage.over_grpc(0).await.unwrap();
    assert_eq!(backend.seen.connections(), 2);
    stage.end().await;
}

/// Scenario: the same without pings, which are off unless they are configured; the request before is
/// not answered in time.
/// Guarantees: the next request goes over a new connection: nothing was heard over the old one.
#[tokio::test]
async fn a_dead_upstream_on_http2_is_left_after_one_request() {
    let pki = TestPki::new();
    let (backend, _) = freezing(&pki).await;
    let stage = Stage::start(&[(
        "otlp_http",
        format!(
            "{{ endpoint: 'https://{}', tls: {{ ca_file: {} }}, timeout: 2s }}",
            backend.name(),
            pki.path("ca.crt").display()
        ),
    )])
    .await;
    stage.over_grpc(0).await.unwrap();
    let told = stage.over_grpc(0).await.unwrap_err();
    assert_eq!(told.code, Code::DeadlineExceeded, "{told:?}");
    stage.over_grpc(0).await.unwrap();
    assert_eq!(backend.seen.connections(), 2);
    stage.end().await;
}

/// Scenario: the same, and the senders have no patience.
/// Guarantees: that nothing was heard for a tenth of a second says nothing of the upstream; its
/// connection is kept.
#[tokio::test]
async fn an_upstream_on_http2_is_not_left_because_senders_have_no_patience() {
    let pki = TestPki::new();
    let (backend, _) = freezing(&pki).await;
    let stage = Stage::start(&[(
        "otlp_http",
        format!(
            "{{ endpoint: 'https://{}', tls: {{ ca_file: {} }} }}",
            backend.name(),
            pki.path("ca.crt").display()
        ),
    )])
    .await;
    stage.over_grpc(0).await.unwrap();
    let mut client = agent::plaintext(stage.address(0)).await;
    for _ in 0..3 {
        let mut request = tonic::Request::new(span("in a hurry"));
        request.set_timeout(Duration::from_millis(100));
        client.export(request).await.unwrap_err();
    }
    assert_eq!(backend.seen.connections(), 1);
    stage.end().await;
}
