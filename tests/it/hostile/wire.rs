//! HTTP/2 frame by frame, so that a client can break every rule.

use std::io;

use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Io;
use crate::support::agent::span;
use crate::support::eventually::DEADLINE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// One frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = self.payload.len().min(if self.kind == GOAWAY { 4 } else { 0 });
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The client's end.
pub struct Client(pub Box<dyn Io>);

impl Client {
    /// Sends the preface with these settings.
    pub async fn begin(mut io: Box<dyn Io>, settings: &[(u16, u32)]) -> Self {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let settings = frame(SETTINGS, 0, 0, &payload);
        io.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice()].concat())
            .await
            .unwrap();
        io.flush().await.unwrap();
        Self(io)
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// The next frame; `None` when the gateway has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(DEADLINE, next(&mut self.0)).await.expect("the gateway says nothing")
    }

    /// The next frame of a kind on a stream.
    pub async fn wait_for(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.next().await.expect("the gateway has closed");
            if (frame.kind, frame.stream) == (kind, stream) {
                return frame;
            }
        }
    }

    /// One good call on this stream, to its end.
    pub async fn call(&mut self, stream: u32) {
        self.send(&call(stream)).await.unwrap();
        loop {
            let frame = self.next().await.expect("the gateway has closed");
            let is_own = frame.stream == stream;
            assert!(frame.kind != GOAWAY && !(is_own && frame.kind == RST_STREAM), "{frame:?}");
            if is_own && frame.flags & END_STREAM != 0 {
                assert!(frame.kind == HEADERS, "{frame:?}");
                return;
            }
        }
    }

    /// Everything until the gateway closes.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

/// A frame of whatever is read; `None` at its end.
pub async fn next(io: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let [high, middle, low, kind, flags, a, b, c, d] = head;
    let length = u32::from_be_bytes([0, high, middle, low]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    io.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes([a, b, c, d]), payload })
}

/// A frame in bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a call.
pub fn call_head() -> Vec<u8> {
    // Static table: :method POST, :scheme http; then names of the table with values of ours.
    let mut block = vec![0x83, 0x86, 0x04];
    push_text(&mut block, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    block.push(0x01);
    push_text(&mut block, "localhost");
    push_header(&mut block, "content-type", "application/grpc");
    push_header(&mut block, "te", "trailers");
    block
}

/// A header that is not indexed.
pub fn push_header(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    push_text(block, name);
    push_text(block, value);
}

/// RFC 7541, 5.1 and 5.2.
fn push_text(block: &mut Vec<u8>, text: &str) {
    if text.len() < 127 {
        block.push(u8::try_from(text.len()).unwrap());
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap());
    }
    block.extend_from_slice(text.as_bytes());
}

/// A message with its prefix.
pub fn message(name: &str) -> Vec<u8> {
    let message = span(name).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// A whole good call.
pub fn call(stream: u32) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &call_head());
    [head, frame(DATA, END_STREAM, stream, &message("by hand"))].concat()
}
