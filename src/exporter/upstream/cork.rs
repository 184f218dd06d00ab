//! A stream that holds small writes back until whoever drives the connection says that this was
//! all for now. HTTP/2 writes each request by itself; requests that are sent in one turn then
//! share a TLS record and a system call.
//!
//! Knows nothing of HTTP/2. It holds nothing back before [`Cork::push_in`].

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a TLS record holds: more at a time saves nothing.
const MOST: usize = 16 << 10;

/// A write of this size is worth a record of its own; to copy it would cost more.
const LARGE: usize = 8 << 10;

/// The stream, for whoever reads and writes.
#[derive(Debug)]
pub(super) struct Corked<S>(Arc<Mutex<Inner<S>>>);

/// The cork in it, for whoever drives.
#[derive(Debug)]
pub(super) struct Cork<S>(Arc<Mutex<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    is_in: bool,
    held: Vec<u8>,
    /// So many of them are written.
    written: usize,
    /// What writing them ended with, for the reader.
    broken: Option<io::Error>,
}

impl<S> Corked<S> {
    pub(super) fn new(stream: S) -> (Self, Cork<S>) {
        let inner = Inner { stream, is_in: false, held: Vec::new(), written: 0, broken: None };
        let inner = Arc::new(Mutex::new(inner));
        (Self(Arc::clone(&inner)), Cork(inner))
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// From now on small writes are held back.
    pub(super) fn push_in(&self) {
        self.lock().is_in = true;
    }

    /// Writes what was held back. The error of the stream is the reader's to find: true when there
    /// is one for it.
    pub(super) fn poll_release(&self, context: &mut Context<'_>) -> bool {
        let mut inner = self.lock();
        if inner.held.is_empty() {
            return false;
        }
        let Poll::Ready(Err(error)) = inner.poll_release(context) else { return false };
        inner.broken = Some(error);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.held.get(self.written..).filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.held.clear();
        self.written = 0;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Whether a write of this length is to be held back; makes room for it, or sees to it that
    /// it comes after what is held already.
    fn poll_hold(&mut self, length: usize, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let holds = self.is_in && length < LARGE;
        if !self.held.is_empty() && (!holds || self.held.len() + length > MOST) {
            ready!(self.poll_release(context))?;
        }
        Poll::Ready(Ok(holds))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        let polled = Pin::new(&mut inner.stream).poll_read(context, buffer);
        match inner.broken.take() {
            // What the peer said before it hung up comes first.
            Some(error) if polled.is_pending() => Poll::Ready(Err(error)),
            _ => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        let length = bytes.iter().map(|slice| slice.len()).sum();
        if !ready!(inner.poll_hold(length, context))? {
            return Pin::new(&mut inner.stream).poll_write_vectored(context, bytes);
        }
        bytes.iter().for_each(|slice| inner.held.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        if inner.is_in && !inner.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut inner.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_release(context))?;
        Pin::new(&mut inner.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Remembers each write.
    #[derive(Debug, Default)]
    struct Writes(Vec<Vec<u8>>, bool);

    impl AsyncRead for Writes {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.1 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn release(cork: &Cork<Writes>) -> bool {
        poll_fn(|context| Poll::Ready(cork.poll_release(context))).await
    }

    #[tokio::test]
    async fn small_writes_go_out_together_and_large_ones_after_them_at_once() {
        let (mut stream, cork) = Corked::new(Writes::default());
        let lengths = || cork.lock().stream.0.iter().map(Vec::len).collect::<Vec<_>>();
        stream.write_all(b"before").await.unwrap();
        assert_eq!(lengths(), [6], "nothing is held back before the cork is in");
        cork.push_in();
        for small in [b"a", b"b"] {
            stream.write_all(small).await.unwrap();
            stream.flush().await.unwrap();
        }
        assert_eq!(lengths(), [6]);
        assert!(!release(&cork).await);
        assert_eq!(lengths(), [6, 2]);
        stream.write_all(b"c").await.unwrap();
        stream.write_all(&[0; LARGE]).await.unwrap();
        assert_eq!(lengths(), [6, 2, 1, LARGE], "in order");
        for _ in 0..3 {
            stream.write_all(&[0; LARGE - 1]).await.unwrap();
        }
        assert_eq!(lengths(), [6, 2, 1, LARGE, 2 * (LARGE - 1)], "no more than a record");
        stream.shutdown().await.unwrap();
        assert_eq!(lengths(), [6, 2, 1, LARGE, 2 * (LARGE - 1), LARGE - 1]);
    }

    #[tokio::test]
    async fn the_reader_learns_that_what_was_held_back_could_not_be_written() {
        let (mut stream, cork) = Corked::new(Writes::default());
        cork.push_in();
        stream.write_all(b"a").await.unwrap();
        cork.lock().stream.1 = true;
        assert!(release(&cork).await);
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
