//! A request body for hyper: the pieces of a batch as one frame.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Frame, SizeHint};

use crate::batch::Rope;
use crate::exporter::payload::Payload;

/// A body of known length.
#[derive(Debug)]
pub(super) struct Body {
    payload: Option<Payload>,
    begun: Arc<AtomicBool>,
}

impl Body {
    /// `begun` is set when the request is on its way.
    pub(super) fn new(rope: Rope, begun: Arc<AtomicBool>) -> Self {
        let payload = Some(Payload::plain(rope)).filter(Buf::has_remaining);
        // Nobody asks for the pieces of an empty body.
        begun.store(payload.is_none(), Ordering::Relaxed);
        Self { payload, begun }
    }
}

impl http_body::Body for Body {
    type Data = Payload;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Payload>, Infallible>>> {
        self.begun.store(true, Ordering::Relaxed);
        Poll::Ready(self.payload.take().map(|payload| Ok(Frame::data(payload))))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.payload.as_ref().map_or(0, |payload| payload.remaining() as u64))
    }
}
