//! A request body for hyper: the pieces of a batch as one frame.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Frame, SizeHint};

use crate::batch::Rope;
use crate::exporter::payload::Payload;

/// A body of known length.
#[derive(Debug)]
pub(super) struct Body(Option<Payload>);

impl Body {
    pub(super) fn new(rope: Rope) -> Self {
        Self(Some(Payload::plain(rope)).filter(Buf::has_remaining))
    }
}

impl http_body::Body for Body {
    type Data = Payload;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Payload>, Infallible>>> {
        Poll::Ready(self.0.take().map(|payload| Ok(Frame::data(payload))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |payload| payload.remaining() as u64))
    }
}
