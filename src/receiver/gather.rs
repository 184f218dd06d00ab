//! The bytes of a body as they arrive, in few pieces.
//!
//! Guarantees that a sender who cuts its body into single bytes costs no more memory than one who
//! does not: a piece has a cost of its own, and keeps the buffer alive in which it was read. Bodies
//! in a few pieces are not copied.

use bytes::{Bytes, BytesMut};

use crate::batch::Rope;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gather {
    rope: Rope,
    /// Small pieces that are not in the rope yet.
    small: BytesMut,
}

/// So many pieces are kept as they are, however small: the usual case costs nothing.
const KEPT: usize = 8;

/// A piece of this size pays for itself.
const LARGE: usize = 1 << 10;

/// Small pieces become one of this size.
const JOINED: usize = 16 << 10;

impl Gather {
    /// Number of bytes so far.
    pub(super) fn len(&self) -> usize {
        self.rope.len() + self.small.len()
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if piece.len() >= LARGE || self.rope.pieces().len() < KEPT {
            self.flush();
            self.rope.push(piece);
            return;
        }
        self.small.extend_from_slice(&piece);
        if self.small.len() >= JOINED {
            self.flush();
        }
    }

    /// What there is so far.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.rope.pieces().iter().map(AsRef::as_ref).chain([self.small.as_ref()])
    }

    /// All of it.
    pub(super) fn finish(mut self) -> Rope {
        self.flush();
        self.rope
    }

    fn flush(&mut self) {
        self.rope.push(std::mem::take(&mut self.small).freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a body of 200 kB, one byte at a time, with large pieces between. Guarantees: it
    /// comes out whole, in few pieces, and the large ones are not copied.
    #[test]
    fn single_bytes_are_joined_and_large_pieces_are_passed_on() {
        let mut gather = Gather::default();
        let large = Bytes::from(vec![7; LARGE]);
        let mut whole = Vec::new();
        for round in 0..200_000_u32 {
            let byte = Bytes::copy_from_slice(&round.to_le_bytes()[..1]);
            whole.extend_from_slice(&byte);
            gather.push(byte);
            if round % 50_000 == 49_999 {
                whole.extend_from_slice(&large);
                gather.push(large.clone());
            }
            assert_eq!(gather.len(), whole.len());
        }
        let rope = gather.finish();
        assert_eq!(rope.to_bytes(), whole);
        assert!(rope.pieces().len() < KEPT + 2 * 4 + 200_000 / JOINED + 4);
        let kept = rope.pieces().iter().filter(|piece| piece.as_ptr() == large.as_ptr()).count();
        assert_eq!(kept, 4);
    }
}
