//! Clients that are slow or silent: no hello, half a hello, a head or a body byte by byte.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::wire::{Client, call_head, message};
use super::{Io, Scene, read_to_end};
use crate::support::agent::{self, span};
use crate::support::eventually::DEADLINE;
use crate::support::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, frame};

/// Writes a byte every `pause` until the gateway closes or all are written.
async fn dribble(io: &mut (impl Io + ?Sized), bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if io.write_all(&[*byte]).await.is_err() || io.flush().await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}

/// Scenario: 40 peers open a connection to a TLS port that allows four handshakes; a third says
/// nothing, a third one byte, a third half a hello.
/// Guarantees: fresh handshakes of good clients beside them succeed at once all the while, and the
/// silent are closed when `handshake_timeout` is over.
#[tokio::test]
async fn peers_that_do_not_finish_their_hello_hold_no_handshake() {
    let scene = Scene::new(true, "max_handshakes: 4, handshake_timeout: 4s").await;
    let neighbour = scene.neighbour().await;
    let half = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat();
    let mut silent = Vec::new();
    let start = Instant::now();
    for number in 0..40 {
        let mut stream = scene.dial_tcp().await;
        stream.write_all([&b""[..], &half[..1], &half][number % 3]).await.unwrap();
        silent.push(stream);
    }
    let pki = scene.pki.as_ref().unwrap();
    for _ in 0..5 {
        let good = async {
            let client = agent::mtls(scene.address(), pki, Some(&pki.client)).await;
            client.unwrap().export(span("good")).await.unwrap();
        };
        timeout(Duration::from_secs(3), good).await.expect("a good client waits");
    }
    for stream in &mut silent {
        read_to_end(stream).await;
    }
    let took = start.elapsed();
    assert!((4..12).contains(&took.as_secs()), "closed after {took:?}");
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: heads and bodies come byte by byte, over HTTP/1 and HTTP/2, in clear and in TLS.
/// Guarantees: a head has `read_header_timeout` and a body `read_timeout`, however many bytes come
/// in between; a body that is late is answered, a head is cut.
#[tokio::test]
async fn what_comes_byte_by_byte_has_a_deadline() {
    let limits = "read_header_timeout: 1500ms, read_timeout: 1s";
    let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 1000\r\n\r\n";
    let pause = Duration::from_millis(50);
    let attacked = async |is_tls: bool| {
        let scene = Scene::new(is_tls, limits).await;
        let neighbour = scene.neighbour().await;
        let start = Instant::now();
        let slow_head = async {
            let mut io = scene.dial(b"http/1.1").await;
            let bytes = format!("{}{}", &head[..head.len() - 4], "y".repeat(1000));
            dribble(&mut *io, bytes.as_bytes(), pause).await;
            assert_eq!(read_to_end(&mut *io).await, "");
        };
        let slow_but_in_time = async {
            let mut io = scene.dial(b"http/1.1").await;
            let request = b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            dribble(&mut *io, request, Duration::from_millis(10)).await;
            let answer = read_to_end(&mut *io).await;
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        };
        let slow_body = async {
            let mut io = scene.dial(b"http/1.1").await;
            io.write_all(head.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = tokio::io::split(io);
            let write = async {
                for _ in 0..1000 {
                    if writer.write_all(b" ").await.is_err() || writer.flush().await.is_err() {
                        return;
                    }
                    sleep(pause).await;
                }
            };
            let mut answer = Vec::new();
            let read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer);
            let (_end, ()) = timeout(DEADLINE, async { tokio::join!(read, write) }).await.unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.contains("did not arrive within"), "{answer}");
        };
        let slow_call = async {
            let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
            client.send(&frame(HEADERS, END_HEADERS, 1, &call_head())).await.unwrap();
            for byte in &message("slow")[..8] {
                client.send(&frame(DATA, 0, 1, &[*byte])).await.unwrap();
                sleep(pause).await;
            }
            let answer = client.wait_for(HEADERS, 1).await;
            assert_eq!(answer.flags & END_STREAM, END_STREAM, "{answer:?}");
            // The connection is no worse for it.
            client.call(3).await;
        };
        let half_a_block = async {
            let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
            client.send(&frame(HEADERS, 0, 1, &call_head())).await.unwrap();
            client.rest().await;
        };
        let all = Box::pin(async {
            tokio::join!(slow_head, slow_but_in_time, slow_body, slow_call, half_a_block)
        });
        timeout(DEADLINE, all).await.expect("one of them is not cut");
        assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
        neighbour.noticed_nothing().await;
        scene.gateway.stop().await;
    };
    tokio::join!(Box::pin(attacked(false)), Box::pin(attacked(true)));
}

/// Scenario: a whole request, each byte in a segment and in TLS in a record of its own.
/// Guarantees: slow is not wrong. It is answered as any other.
#[tokio::test]
async fn a_request_in_pieces_of_one_byte_is_answered() {
    let request = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                    Connection: close\r\nContent-Length: 2\r\n\r\n{}";
    for is_tls in [false, true] {
        let scene = Scene::new(is_tls, "").await;
        let mut io = scene.dial(b"http/1.1").await;
        dribble(&mut *io, request, Duration::ZERO).await;
        let answer = read_to_end(&mut *io).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
        for byte in super::wire::call(1) {
            client.send(&[byte]).await.unwrap();
        }
        client.call(3).await;
        drop(client);
        scene.gateway.stop().await;
    }
}
