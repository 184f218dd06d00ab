//! The body of an answer: at most one piece of data, and the trailers that gRPC needs.
//!
//! Guarantees that a success of gRPC ends with its status. Knows nothing of what the data says.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::grpc::GRPC_STATUS;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    data: Bytes,
    /// Whether trailers with `grpc-status: 0` follow.
    trailers: bool,
}

impl Answer {
    /// A body of these bytes, possibly none.
    pub(super) fn data(data: Bytes) -> Self {
        Self { data, trailers: false }
    }

    /// A message of gRPC with its framing, then the status OK.
    pub(super) fn grpc_ok(framed: Bytes) -> Self {
        Self { data: framed, trailers: true }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = if !self.data.is_empty() {
            Frame::data(std::mem::take(&mut self.data))
        } else if std::mem::take(&mut self.trailers) {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
            Frame::trailers(trailers)
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !self.trailers
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
    }
}
