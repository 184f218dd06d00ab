//! Clients that ask and do not read. That they do not hold up a drain is shown in
//! `src/connection/tests/mod.rs`.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::Scene;
use super::wire::{self, Client};
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::frames::{
    self, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, SETTINGS, frame,
};

/// Calls whose answers cannot be sent.
async fn stalled(scene: &Scene, calls: u32) -> Client {
    let io = scene.dial(b"h2").await;
    let mut client = Client::begin(io, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for number in 0..calls {
        client.send(&wire::call(2 * number + 1)).await.unwrap();
    }
    client.wait_for(HEADERS, 2 * calls - 1).await;
    client
}

/// Scenario: a client opens no window for the answers of fifty calls, and pings all the while.
/// Guarantees: it is cut when `write_timeout` is over; in clear and in TLS.
#[tokio::test]
async fn a_client_with_a_window_of_zero_is_cut() {
    for is_tls in [false, true] {
        let scene = Scene::new(is_tls, "write_timeout: 1s").await;
        let neighbour = scene.neighbour().await;
        let start = Instant::now();
        let (mut reader, mut writer) = tokio::io::split(stalled(&scene, 50).await.0);
        let pings = async {
            while writer.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let read = async { while frames::next(&mut reader).await.is_some() {} };
        let both = async {
            tokio::select! {
                () = read => {}
                () = pings => {}
            }
        };
        timeout(DEADLINE, both).await.expect("it is not cut");
        assert!(start.elapsed() >= Duration::from_secs(1), "cut after {:?}", start.elapsed());
        eventually("it is counted", || scene.ended("answers_not_read") > 0.0).await;
        neighbour.noticed_nothing().await;
        scene.gateway.stop().await;
    }
}

/// Scenario: clients send requests for ever and never read from their sockets, over HTTP/2 and over
/// HTTP/1.
/// Guarantees: once the socket takes no more, each is cut when `write_timeout` is over.
#[tokio::test]
async fn a_client_that_never_reads_is_cut() {
    let scene = Scene::new(false, "write_timeout: 1s").await;
    let neighbour = scene.neighbour().await;
    for is_http1 in [false, true] {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(scene.address()).await.unwrap();
        if !is_http1 {
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            stream.write_all(preface).await.unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        }
        // Each is answered with several hundred bytes.
        let flood = async {
            let mut number = 1;
            loop {
                let calls = (0..100).map(|n| number + 2 * n).map(|stream| {
                    let flags = END_HEADERS | END_STREAM;
                    frame(HEADERS, flags, stream, &wire::call_head())
                });
                let requests = if is_http1 {
                    b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100)
                } else {
                    calls.flatten().collect()
                };
                number += 200;
                if stream.write_all(&requests).await.is_err() {
                    return;
                }
            }
        };
        timeout(DEADLINE, flood).await.expect("it is not cut");
        scene.only_open(1.0).await;
    }
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}
