//! Requests that other servers answer with OK and lose, or die of, over real connections. That the
//! receiver refuses each of them is shown one by one in `src/receiver/conformance/data.rs`.

use std::io::Write as _;

use prost::Message as _;

use super::wire::{Client, call_head, message};
use super::{Scene, said};
use crate::support::agent::{self, first_name, span};
use crate::support::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame};

/// Scenario: two messages in one unary call, a message and one byte, a call that ends with its
/// head, a message that is cut; in clear and in TLS.
/// Guarantees: none is answered OK, nothing of them reaches the backend, the connection goes on.
#[tokio::test]
async fn no_call_is_answered_ok_of_which_a_part_is_lost() {
    let one = message("lost");
    let bodies = [
        [one.clone(), one.clone()].concat(),
        [&one[..], &[0]].concat(),
        one[..one.len() - 1].to_vec(),
        one[..4].to_vec(),
        vec![],
    ];
    for is_tls in [false, true] {
        let mut scene = Scene::new(is_tls, "").await;
        let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
        for (number, body) in bodies.iter().enumerate() {
            let stream = u32::try_from(2 * number + 1).unwrap();
            let call = if body.is_empty() {
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &call_head())
            } else {
                let head = frame(HEADERS, END_HEADERS, stream, &call_head());
                [head, frame(DATA, END_STREAM, stream, body)].concat()
            };
            client.send(&call).await.unwrap();
            let answer = client.wait_for(HEADERS, stream).await;
            assert_eq!(answer.flags & END_STREAM, END_STREAM, "a status alone: {answer:?}");
        }
        client.call(101).await;
        let first = scene.upstream.received.recv().await.unwrap();
        assert_eq!(first_name(&first), "by hand");
        assert_eq!(scene.upstream.begun(), 1);
        drop(client);
        scene.gateway.stop().await;
    }
}

/// Guarantees: the second object in a JSON body is never lost under a 200, in clear and in TLS.
#[tokio::test]
async fn no_body_is_answered_200_of_which_a_part_is_lost() {
    for is_tls in [false, true] {
        let scene = Scene::new(is_tls, "").await;
        for body in ["{}{}", "{} x", "{\"resourceSpans\":[]}\n{\"resourceSpans\":[]}", "[{}]"] {
            let request = format!(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = said(scene.dial(b"http/1.1").await, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{body}: {answer}");
        }
        assert_eq!(scene.upstream.begun(), 0);
        scene.gateway.stop().await;
    }
}

/// Scenario: a body over HTTP/1.1 and HTTP/1.0 of which the head says nothing.
/// Guarantees: the first answer is no success, for what follows the head is not taken for a body.
#[tokio::test]
async fn a_body_without_a_length_is_not_lost_under_a_200() {
    let scene = Scene::new(false, "").await;
    let body = span("lost").encode_to_vec();
    for version in ["1.1", "1.0"] {
        let head = format!(
            "POST /v1/traces HTTP/{version}\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
             Connection: close\r\n\r\n"
        );
        let request = [head.as_bytes(), &body].concat();
        let answer = said(scene.dial(b"http/1.1").await, &request).await;
        assert!(answer.starts_with(&format!("HTTP/{version} 411 ")), "{answer}");
    }
    assert_eq!(scene.upstream.begun(), 0);
    scene.gateway.stop().await;
}

/// Scenario: over HTTP/1, in clear and in TLS, a body of which the gateway knows early that it is too
/// large, whose client writes all of it before it reads; and a call that belongs on HTTP/2.
/// Guarantees: the client can read why it was refused: the answer is not lost with a reset.
#[tokio::test]
async fn a_refusal_is_readable_whatever_is_still_to_come() {
    for is_tls in [false, true] {
        let scene = Scene::with(is_tls, "max_recv_msg_size_mib: 1", "").await;
        let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let length = 3 << 20;
        let json = format!("{head}Content-Type: application/json\r\n");
        let sized = format!("{json}Content-Length: {length}\r\n\r\n{}", " ".repeat(length));
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).repeat(length >> 16);
        let chunked = format!("{json}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
        for request in [sized, chunked] {
            let answer = said(scene.dial(b"http/1.1").await, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
            assert!(answer.contains("max_request_body_size"), "{answer}");
        }
        let call =
            format!("{head}Content-Type: application/grpc\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0");
        let answer = said(scene.dial(b"http/1.1").await, call.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 505 "), "{answer:?}");
        assert!(answer.contains("gRPC needs HTTP/2"), "{answer}");
        assert_eq!(scene.upstream.begun(), 0);
        scene.gateway.stop().await;
    }
}

/// Scenario: the requests that end the Collector's process: arrays nested for 19 MB in JSON; and in
/// protobuf values nested for 2 MB.
/// Guarantees: refused with 400; the process lives, and a neighbour does not notice.
#[tokio::test]
async fn a_deep_request_ends_nothing() {
    let scene = Scene::new(false, "").await;
    let neighbour = scene.neighbour().await;
    let json = |depth: usize| {
        let start = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"k\",\"value\":";
        let open = "{\"arrayValue\":{\"values\":[".repeat(depth);
        format!("{start}{open}").into_bytes()
    };
    let protobuf = || {
        // AnyValue in ArrayValue in AnyValue and so on, from the inside.
        let mut lengths = Vec::new();
        let mut length = 0_u64;
        for _ in 0..200_000 {
            let mut head = vec![if lengths.len() % 2 == 0 { 0x0a } else { 0x2a }];
            prost::encoding::encode_varint(length, &mut head);
            length += head.len() as u64;
            lengths.push(head);
        }
        let value: Vec<u8> = lengths.into_iter().rev().flatten().collect();
        let wrap = |tag: u8, inner: Vec<u8>| {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        };
        let attribute = wrap(0x0a, wrap(0x12, value));
        wrap(0x0a, wrap(0x0a, attribute))
    };
    for (media, body) in [
        ("application/json", json(760_000)),
        ("application/json", "[".repeat(19_000_000).into_bytes()),
        ("application/x-protobuf", protobuf()),
    ] {
        let stream = tokio::net::TcpStream::connect(scene.gateway.http()).await.unwrap();
        let answer = agent::post(stream, "/v1/traces", media, body).await.unwrap();
        assert_eq!(answer.status(), 400, "{media}");
    }
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: bodies that inflate to twice the limit from a few hundredths of it.
/// Guarantees: refused as too large, and a neighbour does not notice.
#[tokio::test]
async fn a_body_that_inflates_without_end_is_given_up() {
    let scene = Scene::new(false, "").await;
    let neighbour = scene.neighbour().await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..128 {
        bomb.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 2 << 20);
    let mut request = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    request.extend(&bomb);
    let bombs = (0..2).map(|_| async {
        let answer = said(scene.dial(b"").await, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    });
    for bomb in bombs {
        bomb.await;
    }
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: requests as one sends them to a proxy, and upgrades.
/// Guarantees: nothing is passed on, nothing is switched, and each is answered (threat 38).
#[tokio::test]
async fn the_gateway_is_no_proxy() {
    let scene = Scene::new(true, "").await;
    for (line, status) in [
        (format!("CONNECT {} HTTP/1.1", scene.upstream.address), 404),
        (format!("GET http://{}/v1/traces HTTP/1.1", scene.upstream.address), 405),
        ("OPTIONS * HTTP/1.1".to_owned(), 404),
        ("TRACE /v1/traces HTTP/1.1".to_owned(), 405),
        (
            "GET /v1/traces HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"
                .to_owned(),
            405,
        ),
        ("GET /v1/traces HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade".to_owned(), 405),
    ] {
        let request = format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = said(scene.dial(b"http/1.1").await, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
    assert_eq!(scene.upstream.begun(), 0);
    scene.gateway.stop().await;
}

/// Scenario: calls are reset in the middle of their bodies, and connections dropped there.
/// Guarantees: nothing of them is delivered, and what they held is free again.
#[tokio::test]
async fn calls_given_up_half_way_deliver_nothing_and_hold_nothing() {
    let mut scene = Scene::new(false, "max_in_flight_bytes: 200000").await;
    let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
    for round in 0..100 {
        let stream = 4 * round + 1;
        let head = frame(HEADERS, END_HEADERS, stream, &call_head());
        let part = [&[0, 0, 0, 0x27, 0x10][..], &[0x0a, 0x8e, 0x4e]].concat();
        client.send(&[head, frame(DATA, 0, stream, &part)].concat()).await.unwrap();
        // The answer shows that the call before was begun.
        client.call(stream + 2).await;
        client.send(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])).await.unwrap();
    }
    drop(client);
    for _ in 0..100 {
        let received = scene.upstream.received.recv().await.unwrap();
        assert_eq!(first_name(&received), "by hand");
    }
    scene.only_open(0.0).await;
    agent::plaintext(scene.address()).await.export(span(&"x".repeat(190_000))).await.unwrap();
    assert_eq!(scene.upstream.begun(), 101);
    scene.gateway.stop().await;
}
