//! HTTP/2 frame by frame, so that a client can break every rule.

use std::io;

use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::Io;
use crate::support::agent::span;
use crate::support::eventually::DEADLINE;
use crate::support::frames::{
    self, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, frame, push_header,
    push_text,
};

/// The client's end.
pub struct Client(pub Box<dyn Io>);

impl Client {
    /// Sends the preface with these settings.
    pub async fn begin(mut io: Box<dyn Io>, settings: &[(u16, u32)]) -> Self {
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*frames::settings(settings)].concat();
        io.write_all(&hello).await.unwrap();
        io.flush().await.unwrap();
        Self(io)
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// The next frame; `None` when the gateway has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(DEADLINE, frames::next(&mut self.0)).await.expect("the gateway says nothing")
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
