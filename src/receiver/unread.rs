//! Requests over HTTP/1 whose head cannot be read, and which hyper answers by itself with a status
//! and nothing else.
//!
//! Guarantees that those answers, too, have the `google.rpc.Status` that OTLP demands, in JSON, for
//! nobody knows what the sender wanted. hyper has no hook for it: its bytes are recognised.

use tonic::Code;

use super::{Peer, Receiver, refusal};
use crate::otlp::answer::{Encoding, encode_status};
use crate::outcome::Failure;

/// Most headers of a request over HTTP/1.
pub(crate) const MAX_HEADERS: usize = 64;

/// Most bytes of its head.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;

impl<C> Receiver<C> {
    /// What to send instead of hyper's own answer, if `written` is one; it is counted as a refusal.
    pub(crate) fn retell(&self, peer: &Peer, written: &[u8]) -> Option<Vec<u8>> {
        let head = Bare::read(written)?;
        let failure = self.shared.0.refused(peer, failure(head.status));
        let body = encode_status(&failure, Encoding::Json);
        let mut text = Vec::with_capacity(written.len() + body.len() + 64);
        text.extend_from_slice(head.before);
        let length = body.len();
        let fields = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
        text.extend_from_slice(fields.as_bytes());
        text.extend_from_slice(head.after);
        text.extend_from_slice(&body);
        Some(text)
    }
}

/// An answer without a body, around its `content-length: 0`.
struct Bare<'a> {
    status: u16,
    before: &'a [u8],
    after: &'a [u8],
}

impl<'a> Bare<'a> {
    /// No answer of the receiver looks like this: where it says 4xx, it says why.
    fn read(written: &'a [u8]) -> Option<Self> {
        let rest = written.strip_prefix(b"HTTP/1.")?;
        let [b'0' | b'1', b' ', b'4', tens, ones, b' ', ..] = rest else { return None };
        if !written.ends_with(b"\r\n\r\n") {
            return None;
        }
        let digit =
            |byte: &u8| char::from(*byte).to_digit(10).and_then(|one| u16::try_from(one).ok());
        let status = 400 + 10 * digit(tens)? + digit(ones)?;
        let at = memchr::memmem::find(written, NO_BODY)?;
        Some(Self { status, before: written.get(..at)?, after: written.get(at + NO_BODY.len()..)? })
    }
}

fn failure(status: u16) -> Failure {
    let (reason, text) = match status {
        414 => (
            "http_uri_too_long",
            "the request line is too long: OTLP/HTTP needs a path and no more".to_owned(),
        ),
        431 => (
            "http_headers_too_large",
            format!(
                "the request has more than {MAX_HEADERS} headers, or a head of more than \
                 {MAX_HEAD_BYTES} bytes: send fewer or shorter ones"
            ),
        ),
        _ => (
            "http_malformed",
            "the request head is not HTTP/1.1 (RFC 9112): look at what the client, or a proxy \
             before it, sends"
                .to_owned(),
        ),
    };
    refusal::bad(Code::InvalidArgument, reason, text).with_http_status(status)
}

const NO_BODY: &[u8] = b"content-length: 0\r\n";
