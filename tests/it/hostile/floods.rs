//! Frames without end that carry nothing.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Scene;
use super::wire::{Client, call_head, message};
use crate::support::eventually::DEADLINE;
use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PADDED, PING,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, next,
};

/// What is sent once, and what then again and again; it is given the number of the round.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    round: Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
}

impl Flood {
    /// The same frame again and again.
    fn of(name: &'static str, first: Vec<u8>, again: Vec<u8>) -> Self {
        Self { name, first, round: Box::new(move |_| again.clone()) }
    }

    /// Floods one connection until it is cut; returns what was said last, the newest first.
    async fn run(&self, scene: &Scene) -> Vec<Frame> {
        let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
        // So that it is no peer without a request, who has a deadline anyway.
        client.call(1).await;
        client.send(&self.first).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(client.0);
        let write = async {
            let mut number = 0;
            loop {
                let mut bytes = Vec::with_capacity(32 << 10);
                while bytes.len() < 16 << 10 {
                    bytes.extend((self.round)(number));
                    number += 1;
                }
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
        };
        let read = async {
            let mut last = Vec::new();
            while let Some(frame) = next(&mut reader).await {
                if matches!(frame.kind, GOAWAY | RST_STREAM) {
                    last.truncate(15);
                    last.insert(0, frame);
                }
            }
            let _ended = reader.read_u8().await;
            last
        };
        let both = async {
            // The gateway may close its reading half first, or its writing half.
            tokio::select! {
                last = read => last,
                () = async { write.await; std::future::pending().await } => Vec::new(),
            }
        };
        let ended = timeout(DEADLINE, both).await;
        ended.unwrap_or_else(|_| panic!("{} is not cut", self.name))
    }
}

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &call_head())
}

/// Scenario: a client floods its connection with one kind of frame that means nothing.
/// Guarantees: the connection is cut and counted, whatever the kind; others do not notice.
#[tokio::test]
async fn control_frames_without_end_are_cut() {
    let floods = [
        Flood::of("PING", vec![], frame(PING, 0, 0, &[7; 8])),
        Flood::of("PING answers", vec![], frame(PING, ACK, 0, &[7; 8])),
        Flood::of("SETTINGS", vec![], frame(SETTINGS, 0, 0, &[])),
        Flood::of("PRIORITY", vec![], frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 9])),
        Flood::of("unknown frames", vec![], frame(0xbe, 0, 0, &[1; 20])),
        Flood::of("WINDOW_UPDATE", vec![], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        Flood::of("RST_STREAM of an old stream", vec![], frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
    ];
    flooded(&floods, Some("frame_flood")).await;
}

/// Scenario: floods that the HTTP/2 library knows.
/// Guarantees: it cuts them with its limits as they are set here.
#[tokio::test]
async fn floods_within_streams_are_cut() {
    let body = frame(DATA, 0, 3, &message("begun")[..5]);
    let floods = [
        Flood::of("empty DATA", [open(3), body.clone()].concat(), frame(DATA, 0, 3, &[])),
        Flood::of(
            "DATA that is padding alone",
            [open(3), frame(DATA, 0, 3, &[0, 3, 0, 0, 0])].concat(),
            frame(DATA, PADDED, 3, &[&[255][..], &[0; 255]].concat()),
        ),
        Flood::of(
            "empty CONTINUATION",
            frame(HEADERS, 0, 3, &call_head()),
            frame(CONTINUATION, 0, 3, &[]),
        ),
        Flood::of("HEADERS of a stream without end", open(3), frame(HEADERS, END_HEADERS, 3, &[])),
        Flood {
            name: "rapid reset",
            first: vec![],
            round: Box::new(|number| {
                let stream = 2 * number + 3;
                [open(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            }),
        },
        Flood {
            name: "streams that the gateway must reset",
            first: vec![],
            round: Box::new(|number| {
                let stream = 2 * number + 3;
                [open(stream), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
            }),
        },
    ];
    flooded(&floods, None).await;
}

async fn flooded(floods: &[Flood], reason: Option<&str>) {
    for is_tls in [false, true] {
        let scene = Scene::new(is_tls, "").await;
        let neighbour = scene.neighbour().await;
        for (number, flood) in floods.iter().enumerate() {
            let last = flood.run(&scene).await;
            scene.only_open(1.0).await;
            if let Some(reason) = reason {
                let before = f64::from(u32::try_from(number).unwrap());
                assert!(scene.ended(reason) > before, "{}: {last:?}", flood.name);
            }
        }
        neighbour.noticed_nothing().await;
        scene.gateway.stop().await;
    }
}

/// Scenario: an eager but honest client: thousands of calls, each followed by pings and updates.
/// Guarantees: it is not taken for a flood.
#[tokio::test]
async fn an_eager_client_is_not_taken_for_a_flood() {
    let scene = Scene::new(false, "").await;
    let mut client = Client::begin(scene.dial(b"h2").await, &[]).await;
    let extra = [
        frame(PING, 0, 0, &[1; 8]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 50]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]),
    ]
    .concat();
    for round in 0..150 {
        let calls: Vec<u8> = (0..20)
            .flat_map(|n| {
                let stream = 2 * (20 * round + n) + 1;
                let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &call_head());
                [head, extra.clone()].concat()
            })
            .collect();
        client.send(&calls).await.unwrap();
        client.wait_for(HEADERS, 2 * (20 * round + 19) + 1).await;
    }
    client.call(100_001).await;
    drop(client);
    assert!(scene.ended("frame_flood") < 1.0);
    scene.gateway.stop().await;
}
