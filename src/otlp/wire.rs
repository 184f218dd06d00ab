//! Reading a rope by position, as if it were one slice.
//!
//! Guarantees that a position outside and a field that is cut off are `None`, never a panic, and
//! that bytes are copied only where a piece ends inside them. Knows nothing of the schema.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::batch::Rope;

/// A rope with positions.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pieces: &'a [Bytes],
    /// Where each piece starts, and where the last one ends.
    starts: SmallVec<[usize; 8]>,
    /// The piece of the last look-up; the next is nearly always in the same.
    current: Cell<usize>,
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// Whether it has a length: a message, a text, bytes or packed numbers.
    pub(crate) sized: bool,
    /// Where its key starts.
    pub(crate) at: usize,
    /// Where its length starts, when it has one.
    pub(crate) length_at: usize,
    /// Its value, without the length.
    pub(crate) value: Range<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(rope: &'a Rope) -> Self {
        let mut starts = SmallVec::with_capacity(rope.pieces().len() + 1);
        let mut at = 0;
        for piece in rope.pieces() {
            starts.push(at);
            at += piece.len();
        }
        starts.push(at);
        Self { pieces: rope.pieces(), starts, current: Cell::new(0) }
    }

    /// The number of bytes in all pieces.
    pub(crate) fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    /// The piece that holds the byte at `at`, and where that piece starts.
    fn piece(&self, at: usize) -> Option<(&'a Bytes, usize)> {
        let mut index = self.current.get();
        let start = self.starts.get(index).copied().unwrap_or_default();
        let inside = at >= start && self.starts.get(index + 1).is_some_and(|end| at < *end);
        if !inside {
            index = self.starts.partition_point(|start| *start <= at).checked_sub(1)?;
            self.current.set(index);
        }
        Some((self.pieces.get(index)?, self.starts.get(index).copied()?))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let (piece, start) = self.piece(at)?;
        piece.get(at - start).copied()
    }

    /// The varint at `at` and where it ends.
    pub(crate) fn varint(&self, at: usize) -> Option<(u64, usize)> {
        let mut value = 0;
        for (index, shift) in (0..70).step_by(7).enumerate() {
            let byte = self.byte(at + index)?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some((value, at + index + 1));
            }
        }
        None
    }

    /// The field that starts at `at` in a message that ends at `end`.
    pub(crate) fn field(&self, at: usize, end: usize) -> Option<Field> {
        let (key, after_key) = self.varint(at)?;
        let number = u32::try_from(key >> 3).ok()?;
        let (value, sized) = match key & 7 {
            0 => (after_key..self.varint(after_key)?.1, false),
            1 => (after_key..after_key.checked_add(8)?, false),
            2 => {
                let (length, start) = self.varint(after_key)?;
                (start..start.checked_add(usize::try_from(length).ok()?)?, true)
            }
            3 => (after_key..self.group_end(after_key, end)?, false),
            5 => (after_key..after_key.checked_add(4)?, false),
            _ => return None,
        };
        (value.end <= end).then_some(Field { number, sized, at, length_at: after_key, value })
    }

    /// Where the group ends whose first field is at `at`.
    fn group_end(&self, mut at: usize, end: usize) -> Option<usize> {
        let mut open = 1_usize;
        while open > 0 {
            let (key, after_key) = self.varint(at)?;
            match key & 7 {
                3 => (open, at) = (open + 1, after_key),
                4 => (open, at) = (open - 1, after_key),
                _ => at = self.field(at, end)?.value.end,
            }
            if at > end {
                return None;
            }
        }
        Some(at)
    }

    /// Calls `each` with every field in `range`.
    pub(crate) fn fields(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(Field) -> Option<()>,
    ) -> Option<()> {
        let mut at = range.start;
        while at < range.end {
            let field = self.field(at, range.end)?;
            at = field.value.end;
            each(field)?;
        }
        Some(())
    }

    /// The parts of `range`, one for each piece it lies in.
    pub(crate) fn parts(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = (&'a Bytes, Range<usize>)> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let (piece, start) = self.piece(at)?;
            let part = at - start..piece.len().min(range.end - start);
            at = start + part.end;
            Some((piece, part))
        })
    }

    /// The bytes of `range`; copied only when a piece ends inside.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        let mut parts = self.parts(range.clone());
        let first = parts.next().and_then(|(piece, part)| piece.get(part)).unwrap_or_default();
        if first.len() == range.len() {
            return Cow::Borrowed(first);
        }
        let mut whole = Vec::with_capacity(range.len());
        whole.extend_from_slice(first);
        for (piece, part) in parts {
            whole.extend_from_slice(piece.get(part).unwrap_or_default());
        }
        Cow::Owned(whole)
    }
}
