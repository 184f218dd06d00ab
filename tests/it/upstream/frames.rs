//! An upstream that speaks HTTP/2 in single frames, and breaks its rules where a test wants it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::backend::{Asked, Peer, Seen, Serving};
use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM,
    SETTINGS, frame, next, push_header, settings,
};

/// HEADERS with these fields, each written out, in one frame or continued in several.
pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        push_header(&mut block, name, value);
    }
    let mut pieces = block.chunks(16 << 10).peekable();
    let mut out = Vec::new();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        out.extend(frame(kind, end | if kind == HEADERS { flags } else { 0 }, stream, piece));
        kind = CONTINUATION;
    }
    out
}

pub fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Nothing above `last` was looked at.
pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[7; 8])
}

/// The fields with which an answer of gRPC begins.
pub const GRPC: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

/// A whole answer of gRPC: OK.
pub fn ok(stream: u32) -> Vec<u8> {
    let begun = headers(stream, 0, &GRPC);
    let message = data(stream, 0, &[0; 5]);
    [begun, message, headers(stream, END_STREAM, &[("grpc-status", "0")])].concat()
}

type Script = Arc<dyn Fn(usize, u32) -> Vec<u8> + Send + Sync>;

/// Begins with these settings, and sends for each request what `script` makes of its number and its
/// stream; nothing more than that, and it hangs up when that ends with [`HANG_UP`].
pub fn frames(
    values: &[(u16, u32)],
    script: impl Fn(usize, u32) -> Vec<u8> + Send + Sync + 'static,
) -> impl Fn(Peer, Arc<Seen>) -> Serving + Send + Sync + 'static {
    let hello = settings(values);
    let script: Script = Arc::new(script);
    move |peer, seen| {
        let (hello, script) = (hello.clone(), Arc::clone(&script));
        Box::pin(async move {
            let _ended = serve(peer, &seen, hello, script).await;
        })
    }
}

/// Not a frame.
pub const HANG_UP: &[u8] = b"hang up";

async fn serve(mut peer: Peer, seen: &Seen, hello: Vec<u8>, script: Script) -> std::io::Result<()> {
    peer.read_exact(&mut [0; 24]).await?;
    peer.write_all(&hello).await?;
    loop {
        let Some(Frame { kind, flags, stream, payload }) = next(&mut peer).await else {
            return Ok(());
        };
        match kind {
            SETTINGS if flags & ACK == 0 => peer.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            PING if flags & ACK == 0 => peer.write_all(&frame(PING, ACK, 0, &payload)).await?,
            DATA | HEADERS if flags & END_STREAM != 0 => {
                let (uri, headers, body) = (Uri::default(), HeaderMap::new(), Bytes::new());
                let answer = script(seen.note(Asked { uri, headers, body }), stream);
                let (answer, ends) = match answer.strip_suffix(HANG_UP) {
                    Some(answer) => (answer, true),
                    None => (&*answer, false),
                };
                peer.write_all(answer).await?;
                if ends {
                    return peer.shutdown().await;
                }
            }
            _ => {}
        }
    }
}
