//! A stream whose failed write is its reader's to find, behind what the peer said before it went.
//!
//! A peer that refuses us says why and hangs up. Who is writing at that moment sees a broken pipe,
//! and would never read the reason, which may even lie unannounced in the socket. So nobody is told
//! of a failed write: what is written from then on vanishes, and the reader gets everything that came, then
//! the error. Guarantees that it does so within [`PATIENCE`] and [`MOST`] bytes. Knows nothing of TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// See the module.
#[derive(Debug)]
pub(crate) struct LastWords<S> {
    stream: S,
    lost: Option<Box<Lost>>,
}

/// A write has failed.
#[derive(Debug)]
struct Lost {
    kind: io::ErrorKind,
    /// The number of the operating system, for its words.
    number: Option<i32>,
    patience: Pin<Box<Sleep>>,
    read: usize,
}

impl Lost {
    fn new(error: &io::Error) -> Self {
        Self {
            kind: error.kind(),
            number: error.raw_os_error(),
            patience: Box::pin(sleep(PATIENCE)),
            read: 0,
        }
    }

    fn error(&self) -> io::Error {
        self.number.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error)
    }
}

impl<S> LastWords<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, lost: None }
    }

    /// Passes on how a write of so many bytes went.
    fn written(
        &mut self,
        polled: Poll<io::Result<usize>>,
        length: usize,
        context: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(Err(error)) = &polled else { return polled };
        self.lost = Some(Box::new(Lost::new(error)));
        // Whoever writes may not mean to read now, and only a reader waits for the clock.
        context.waker().wake_by_ref();
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LastWords<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Self { stream, lost } = &mut *self;
        let Some(lost) = lost else { return Pin::new(stream).poll_read(context, buffer) };
        if lost.read > MOST {
            return Poll::Ready(Err(lost.error()));
        }
        match Pin::new(stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before || buffer.remaining() == 0 => {
                lost.read += buffer.filled().len() - before;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Err(lost.error())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => lost.patience.as_mut().poll(context).map(|()| Err(lost.error())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LastWords<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.lost.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(polled, bytes.len(), context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = || bytes.iter().map(|slice| slice.len()).sum();
        if self.lost.is_some() {
            return Poll::Ready(Ok(length()));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(polled, length(), context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lost.is_some() {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.stream).poll_flush(context).map_ok(|()| 0);
        self.written(polled, 0, context).map_ok(|_none| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lost.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// After a failed write the end of a socket is at hand: only the event loop has to come round.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than an answer of OTLP has.
const MOST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// A stream whose writes fail, and the end where its peer speaks.
    fn broken() -> (LastWords<Deaf>, DuplexStream) {
        let (near, far) = duplex(64 << 10);
        (LastWords::new(Deaf(near)), far)
    }

    /// Takes nothing.
    #[derive(Debug)]
    struct Deaf(DuplexStream);

    impl AsyncRead for Deaf {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Deaf {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Scenario: writing fails; what the peer said comes later; then it hangs up.
    #[tokio::test(start_paused = true)]
    async fn what_the_peer_said_is_read_before_the_error_of_the_write() {
        let (mut stream, mut far) = broken();
        stream.write_all(b"a request").await.unwrap();
        stream.flush().await.unwrap();
        let peer = async {
            sleep(PATIENCE / 2).await;
            far.write_all(b"no").await.unwrap();
            drop(far);
        };
        let mut heard = Vec::new();
        let (ended, ()) = tokio::join!(stream.read_to_end(&mut heard), peer);
        assert_eq!(heard, b"no");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::BrokenPipe);
        stream.write_all(b"into the void").await.unwrap();
    }

    /// Scenario: writing fails, and a peer that cannot be written to is silent, or never ends.
    #[tokio::test(start_paused = true)]
    async fn reading_on_is_bounded_in_time_and_in_bytes() {
        let (mut stream, _far) = broken();
        stream.write_all(b"a request").await.unwrap();
        let began = Instant::now();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());

        let (mut stream, mut far) = broken();
        stream.write_all(b"a request").await.unwrap();
        let endless = async { while far.write_all(&[7; 1024]).await.is_ok() {} };
        let mut heard = Vec::new();
        let read = async {
            let ended = stream.read_to_end(&mut heard).await;
            drop(stream);
            ended
        };
        let (ended, ()) = tokio::join!(read, endless);
        assert!(ended.is_err() && heard.len() <= MOST + (64 << 10), "{}", heard.len());
    }
}
