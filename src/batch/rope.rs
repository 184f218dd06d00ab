//! A body as the pieces in which it arrived.
//!
//! Guarantees that joining and passing on never copies. Knows nothing of what the bytes mean.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// Byte slices that are one text when read in order. Cloning shares the bytes.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    pieces: SmallVec<[Bytes; 4]>,
    len: usize,
}

impl Rope {
    /// A rope of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a piece at the end; an empty one is dropped.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Number of bytes in all pieces.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order; none is empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The whole as one slice: shared when there is one piece, copied otherwise.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            many => {
                let mut whole = BytesMut::with_capacity(self.len);
                for piece in many {
                    whole.extend_from_slice(piece);
                }
                whole.freeze()
            }
        }
    }
}

impl From<Bytes> for Rope {
    fn from(piece: Bytes) -> Self {
        let mut rope = Self::new();
        rope.push(piece);
        rope
    }
}

impl FromIterator<Bytes> for Rope {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut rope = Self::new();
        for piece in pieces {
            rope.push(piece);
        }
        rope
    }
}

impl IntoIterator for Rope {
    type Item = Bytes;
    type IntoIter = smallvec::IntoIter<[Bytes; 4]>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushing_keeps_order_and_length_and_shares_bytes() {
        let first = Bytes::from_static(b"ab");
        let mut rope = Rope::from(first.clone());
        rope.push(Bytes::new());
        rope.push(Bytes::from_static(b"c"));
        rope.push(Bytes::from_static(b"d"));
        assert_eq!(rope.len(), 4);
        assert_eq!(rope.pieces().len(), 3);
        assert_eq!(rope.pieces()[0].as_ptr(), first.as_ptr());
        assert_eq!(&rope.to_bytes()[..], b"abcd");
        assert_eq!(Rope::from(first.clone()).to_bytes().as_ptr(), first.as_ptr());
    }
}
