//! Reads more from a socket than the TLS library asks for: it takes 4 kB at a time, and each is a
//! system call.
//!
//! Guarantees that a connection holds a buffer only while there are bytes in it. Knows nothing of
//! TLS.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Two records of TLS.
const SIZE: usize = 32 << 10;

/// Buffers that a thread keeps while no connection of its own has bytes in them.
const KEPT: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What was read and not asked for yet.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Empty when there is none.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Ahead {
    /// Reads from memory what is there, else from the stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start == self.end {
            let mut buffer =
                SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
            let mut read = ReadBuf::new(&mut buffer);
            let polled = Pin::new(stream).poll_read(context, &mut read);
            (self.start, self.end) = (0, read.filled().len());
            self.buffer = buffer;
            if self.end == 0 {
                self.give_back();
                return polled;
            }
        }
        let ready = self.buffer.get(self.start..self.end).unwrap_or_default();
        let (taken, _) = ready.split_at(ready.len().min(target.remaining()));
        target.put_slice(taken);
        self.start += taken.len();
        if self.start == self.end {
            self.give_back();
        }
        Poll::Ready(Ok(()))
    }

    fn give_back(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Counts how often it is read from.
    struct Counted<'a>(&'a [u8], usize);

    impl AsyncRead for Counted<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            target: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.1 += 1;
            Pin::new(&mut self.0).poll_read(context, target)
        }
    }

    struct Both<'a>(Ahead, Counted<'a>);

    impl AsyncRead for Both<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            target: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Self(ahead, stream) = &mut *self;
            ahead.poll_read(stream, context, target)
        }
    }

    #[tokio::test]
    async fn small_reads_are_served_from_few_large_ones_and_no_buffer_stays() {
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut stream = Both(Ahead::default(), Counted(&sent, 0));
        let mut got = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let count = stream.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            got.extend_from_slice(&piece[..count]);
        }
        assert_eq!(got, sent);
        assert_eq!(stream.1.1, sent.len().div_ceil(SIZE) + 1);
        assert!(stream.0.buffer.is_empty());
    }
}
