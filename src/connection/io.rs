//! The byte stream under hyper: bytes read ahead are replayed, a peer that does not read or floods
//! is given up, an answer that hyper gives by itself gets a body, and a close waits a moment so that
//! the last answer is not reset away.
//!
//! Knows nothing of requests.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::acceptor::Transport;
use crate::connection::activity::Activity;
use crate::connection::meter::Meter;

/// See the module.
pub(super) struct Guarded<C> {
    transport: Transport,
    activity: Arc<Activity<C>>,
    ahead: ReadAhead,
    /// HTTP/2 only.
    meter: Option<Meter>,
    /// HTTP/1 only: what is written for something else.
    retold: Option<Retold>,
    write_timeout: Duration,
    /// Runs while `is_stalled`; kept between stalls.
    stall: Option<Pin<Box<Sleep>>>,
    is_stalled: bool,
    has_ended: bool,
    closing: Closing,
}

/// Bytes that were read to tell protocols apart.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    bytes: [u8; PREFACE.len()],
    read: u8,
    replayed: u8,
}

/// What the first bytes of a plaintext connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preface {
    /// The start of an HTTP/1 request.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Nothing: the peer closed.
    Nothing,
}

/// Bytes that are written for `instead_of` bytes of hyper's.
struct Retold {
    text: Vec<u8>,
    written: usize,
    instead_of: usize,
}

enum Closing {
    Open,
    ShuttingDown(Pin<Box<Sleep>>),
    Lingering(Pin<Box<Sleep>>),
    Done,
}

impl ReadAhead {
    /// Reads until the first bytes are known to be HTTP/2's connection preface or not.
    pub(super) async fn sniff(&mut self, transport: &mut Transport) -> io::Result<Preface> {
        loop {
            let read = usize::from(self.read);
            let (known, free) = self.bytes.split_at_mut_checked(read).unwrap_or_default();
            if !PREFACE.starts_with(known) {
                return Ok(Preface::Http1);
            }
            if free.is_empty() {
                return Ok(Preface::Http2);
            }
            let added = transport.read(free).await?;
            if added == 0 {
                return Ok(if read == 0 { Preface::Nothing } else { Preface::Http1 });
            }
            self.read += u8::try_from(added).unwrap_or_default();
        }
    }

    fn replay(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest =
            self.bytes.get(usize::from(self.replayed)..usize::from(self.read)).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        self.replayed += u8::try_from(count).unwrap_or_default();
        count > 0
    }
}

impl<C> Guarded<C> {
    pub(super) fn new(
        transport: Transport,
        ahead: ReadAhead,
        preface: Preface,
        write_timeout: Duration,
        activity: Arc<Activity<C>>,
    ) -> Self {
        let length = u32::try_from(PREFACE.len()).unwrap_or_default();
        Self {
            transport,
            activity,
            ahead,
            meter: (preface == Preface::Http2).then(|| Meter::new(length)),
            retold: None,
            write_timeout,
            stall: None,
            is_stalled: false,
            has_ended: false,
            closing: Closing::Open,
        }
    }

    /// Passes a result on, unless the peer has taken nothing for `write_timeout`.
    fn unless_stalled<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_stalled = false;
            return written;
        }
        let deadline = Instant::now() + self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        if !self.is_stalled {
            self.is_stalled = true;
            stall.as_mut().reset(deadline);
        }
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }

    /// Takes note of bytes that came.
    fn arrived(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.activity.bytes_arrived();
        let Some(meter) = &mut self.meter else { return Ok(()) };
        let is_fine = meter.take(bytes);
        self.activity.set_window_small(meter.is_window_small());
        if is_fine {
            return Ok(());
        }
        self.activity.floods();
        Err(io::Error::other("the peer floods the connection with frames that carry nothing"))
    }

    fn poll_write_bare(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.meter.is_none() && self.retold.is_none() {
            let text = self.activity.retell(bytes);
            self.retold = text.map(|text| Retold { text, written: 0, instead_of: bytes.len() });
        }
        let Some(retold) = &mut self.retold else {
            return Pin::new(&mut self.transport).poll_write(context, bytes);
        };
        while let Some(rest) = retold.text.get(retold.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.transport).poll_write(context, rest)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => retold.written += count,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let count = retold.instead_of;
        self.retold = None;
        Poll::Ready(Ok(count))
    }

    /// Reads and forgets until the peer closes. Closing with unread bytes in the kernel would
    /// reset the connection and take an answer away that the peer has not read yet.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; SCRATCH_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.transport).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
            // As a stream that is always ready would keep this thread to itself.
            let progress = ready!(tokio::task::coop::poll_proceed(context));
            progress.made_progress();
        }
    }
}

impl<C> AsyncRead for Guarded<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ahead.replayed == self.ahead.read || !self.ahead.replay(buffer) {
            ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        if new.is_empty() {
            self.has_ended = true;
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.arrived(new))
    }
}

impl<C> AsyncWrite for Guarded<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_write_bare(context, bytes);
        self.unless_stalled(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match bytes {
            [bytes] => self.poll_write_bare(context, bytes),
            _ => Pin::new(&mut self.transport).poll_write_vectored(context, bytes),
        };
        self.unless_stalled(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.unless_stalled(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match std::mem::replace(&mut self.closing, Closing::Done) {
                Closing::Open => self.closing = Closing::ShuttingDown(Box::pin(sleep(LINGER))),
                Closing::ShuttingDown(mut patience) => {
                    let shut = Pin::new(&mut self.transport).poll_shutdown(context);
                    match shut {
                        Poll::Ready(Ok(())) if !self.has_ended => {
                            self.closing = Closing::Lingering(patience);
                        }
                        Poll::Ready(shut) => return Poll::Ready(shut),
                        Poll::Pending if patience.as_mut().poll(context).is_ready() => {}
                        Poll::Pending => {
                            self.closing = Closing::ShuttingDown(patience);
                            return Poll::Pending;
                        }
                    }
                }
                Closing::Lingering(mut patience) => {
                    let over = self.poll_discard(context).is_ready()
                        || patience.as_mut().poll(context).is_ready();
                    if !over {
                        self.closing = Closing::Lingering(patience);
                        return Poll::Pending;
                    }
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// RFC 9113, 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a close waits for the peer to close, too.
const LINGER: Duration = Duration::from_secs(1);
const SCRATCH_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;

    use super::*;
    use crate::acceptor::Stream;

    async fn sniffed(parts: &[&[u8]]) -> (Preface, Vec<u8>) {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut transport = Transport::Plain(Stream::from(far));
        let mut ahead = ReadAhead::default();
        let write = async {
            for part in parts {
                near.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(near);
        };
        let (preface, ()) = tokio::join!(ahead.sniff(&mut transport), write);
        let mut memory = [0; 64];
        let mut buffer = ReadBuf::new(&mut memory);
        ahead.replay(&mut buffer);
        (preface.unwrap(), buffer.filled().to_vec())
    }

    #[tokio::test]
    async fn protocols_are_told_apart_by_their_first_bytes_which_are_kept() {
        let (preface, replayed) = sniffed(&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\n"]).await;
        assert_eq!((preface, replayed.as_slice()), (Preface::Http2, PREFACE.as_slice()));
        let (preface, replayed) = sniffed(&[b"POST /v1/traces HTTP/1.1\r\n"]).await;
        assert_eq!(preface, Preface::Http1);
        assert!(b"POST /v1/traces HTTP/1.1\r\n".starts_with(replayed.as_slice()));
        assert_eq!(sniffed(&[b"PRI * HTTP/1.1\r\n\r\n"]).await.0, Preface::Http1);
        assert_eq!(sniffed(&[b"PRI "]).await.0, Preface::Http1);
        assert_eq!(sniffed(&[]).await.0, Preface::Nothing);
    }
}
