//! Keeps the first bytes of a peer until the handshake is over, so that a failure can be explained
//! by what the peer really said.
//!
//! Decides nothing: the TLS library parses every byte itself. Guarantees that nothing is sent in
//! TLS to a peer whose first byte is not TLS, so that it can be answered in the clear.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

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
