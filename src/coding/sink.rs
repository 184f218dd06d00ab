//! Where inflated bytes go: pieces of bounded size, and not one byte over the limit.
//!
//! Knows nothing of codings.

use bytes::Bytes;

use super::InflateError;
use crate::batch::Rope;

/// The smallest and the largest piece. Large ones suit whoever reads them; small bodies must not
/// cost a large one.
const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 256 << 10;

/// How much telemetry usually grows when inflated: what a first piece is made for.
const USUAL_RATIO: usize = 8;

/// So many inflated bytes are made without a pause: less than a millisecond's work.
const STRETCH: usize = LARGEST;

/// Collects inflated bytes.
#[derive(Debug)]
pub(super) struct Sink {
    limit: usize,
    produced: usize,
    /// Bytes made since the last pause.
    stretch: usize,
    piece: Vec<u8>,
}

impl Sink {
    /// Takes at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, produced: 0, stretch: 0, piece: Vec::new() }
    }

    /// The most bytes that it takes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A vector with spare capacity, to be filled no further than that; `waiting` is how many
    /// bytes are still to be inflated. Call [`Sink::wrote`] after it.
    ///
    /// There is room for one byte beyond the limit, so that going beyond is noticed.
    pub(super) fn room(&mut self, waiting: usize, out: &mut Rope) -> &mut Vec<u8> {
        if self.piece.len() == self.piece.capacity() {
            let wanted = (self.piece.capacity() * 2).max(waiting.saturating_mul(USUAL_RATIO));
            let left = (self.limit - self.produced).saturating_add(1);
            let next = Vec::with_capacity(wanted.clamp(SMALLEST, LARGEST).min(left));
            out.push(std::mem::replace(&mut self.piece, next).into());
        }
        &mut self.piece
    }

    /// Counts bytes that were put into the vector.
    ///
    /// # Errors
    /// They are beyond the limit.
    pub(super) fn wrote(&mut self, bytes: usize) -> Result<(), InflateError> {
        self.produced = self.produced.saturating_add(bytes);
        self.stretch = self.stretch.saturating_add(bytes);
        if self.produced > self.limit { Err(self.too_large()) } else { Ok(()) }
    }

    /// Whether enough was made in one go; if so, the next stretch begins.
    pub(super) fn pauses(&mut self) -> bool {
        let is_due = self.stretch >= STRETCH;
        if is_due {
            self.stretch = 0;
        }
        is_due
    }

    /// The error for a body beyond the limit.
    pub(super) fn too_large(&self) -> InflateError {
        InflateError::TooLarge { limit: self.limit }
    }

    /// Hands over the last piece.
    pub(super) fn finish(self, out: &mut Rope) {
        // A batch may wait in a queue: do not let a few bytes hold a large piece there.
        if self.piece.len() < self.piece.capacity() / 4 {
            out.push(Bytes::copy_from_slice(&self.piece));
        } else {
            out.push(self.piece.into());
        }
    }
}
