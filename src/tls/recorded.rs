//! Keeps the first bytes of a peer until the handshake is over, so that a failure can be explained
//! by what the peer really said.
//!
//! Decides nothing: the TLS library parses every byte itself. Guarantees that nothing is sent in
//! TLS to a peer whose first byte is not TLS, so that it can be answered in the clear.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::{Error, InvalidMessage};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::ahead::Ahead;

/// A stream and what came first out of it.
#[derive(Debug)]
pub(crate) struct Recorded<S> {
    stream: S,
    first: Option<Vec<u8>>,
    /// In use when the handshake is over: until then others may read from the stream.
    ahead: Ahead,
}

impl<S> Recorded<S> {
    /// Starts to record.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, first: Some(Vec::new()), ahead: Ahead::default() }
    }

    /// Ends the recording: the handshake is over.
    pub(crate) fn forget(&mut self) {
        self.first = None;
    }

    /// The stream and at most [`MAX_RECORDED`] bytes.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.first.unwrap_or_default())
    }

    fn is_not_tls(&self) -> bool {
        self.first.as_ref().and_then(|bytes| bytes.first()).is_some_and(|byte| !is_tls(*byte))
    }
}

/// Whether a first byte can be of a TLS record: a handshake or an alert.
pub(crate) fn is_tls(byte: u8) -> bool {
    matches!(byte, 0x15 | 0x16)
}

/// The length of a ClientHello as its first bytes announce it, in however many records they come;
/// `None` while it is not known, and for anything else.
fn hello_bytes(mut rest: &[u8]) -> Option<usize> {
    const HELLO: u8 = 1;
    const HANDSHAKE: u8 = 0x16;
    let mut head = Vec::with_capacity(4);
    while head.len() < 4 {
        let (&[kind, _, _, high, low], after) = rest.split_first_chunk()?;
        let (body, next) =
            after.split_at(after.len().min(usize::from(u16::from_be_bytes([high, low]))));
        if kind != HANDSHAKE {
            return None;
        }
        head.extend(body.iter().take(4 - head.len()));
        rest = next;
    }
    let [HELLO, length @ ..] = head.as_slice() else { return None };
    Some(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(first) = &mut this.first else {
            return this.ahead.poll_read(&mut this.stream, context, buffer);
        };
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &polled {
            let new = buffer.filled().get(before..).unwrap_or_default();
            let room = MAX_RECORDED.saturating_sub(first.len()).min(new.len());
            first.extend_from_slice(new.get(..room).unwrap_or_default());
            if hello_bytes(first).is_some_and(|length| length > MAX_HELLO) {
                buffer.set_filled(before);
                let error = Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_not_tls() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_not_tls() {
            return Poll::Ready(Ok(bytes.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut this.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Holds a ClientHello with a post-quantum key share.
pub(crate) const MAX_RECORDED: usize = 4096;

/// With post-quantum key shares and a session it has some 4 kB. The library keeps up to 64 kB of one
/// for each peer that does not end it, and whoever says no more than that has proved nothing.
const MAX_HELLO: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[0x16, 3, 1], &length[..], body].concat()
    }

    /// Guarantees: a hello is read up to 16 KiB, and one that announces more is refused with its first
    /// bytes, however they are cut into records; other messages are not concerned.
    #[tokio::test]
    async fn a_hello_that_announces_too_much_is_refused_at_once() {
        for (head, is_fine) in [
            ([1, 0, 0x40, 0], true),
            ([1, 0, 0x40, 1], false),
            ([1, 0xff, 0xff, 0xff], false),
            ([2, 0xff, 0xff, 0xff], true),
        ] {
            let whole = record(&[&head[..], &[3; 40]].concat());
            let pieces = head.map(|byte| record(&[byte])).concat();
            for text in [whole, [pieces, record(&[3; 40])].concat()] {
                let mut read = Vec::new();
                let ended = Recorded::new(text.as_slice()).read_to_end(&mut read).await;
                assert_eq!(ended.is_ok(), is_fine, "{head:?}: {ended:?}");
            }
        }
    }
}
