//! Replacing parts of a rope.
//!
//! Guarantees that what is not replaced is shared, not copied, except short stretches between two
//! replacements, and that the work space stays in proportion to the request. Knows nothing of
//! messages.

use std::ops::Range;

use bytes::BytesMut;
use prost::encoding::encode_varint;

use crate::batch::{Room, Rope};
use crate::otlp::wire::Source;

/// What may be added to a request beyond its own size: an attribute set in each of a million tiny
/// items would otherwise make a small request a huge one.
pub(super) const MOST_ADDED: usize = 64 << 20;

/// Stretches shorter than this are copied: a piece of their own costs more.
const SHARED_FROM: usize = 1024;

/// Replacements in ascending order of position.
#[derive(Debug)]
pub(super) struct Splices {
    all: Vec<Splice>,
    /// Everything that is put in, one after the other.
    inserted: Vec<u8>,
    removed: usize,
    most: usize,
}

#[derive(Debug)]
struct Splice {
    removed: Range<usize>,
    /// A range of [`Splices::inserted`].
    inserted: Range<usize>,
}

/// The length prefix of a message that is being edited.
#[derive(Debug)]
pub(super) struct Open {
    index: usize,
    inserted: usize,
    removed: usize,
    lengths: usize,
}

/// The edits would make the request too large.
#[derive(Debug)]
pub(super) struct TooLarge;

/// Other edited requests hold all the bytes that they may.
#[derive(Debug)]
pub(super) struct NoRoom;

impl Splices {
    /// For a request of so many bytes.
    pub(super) fn new(request: usize) -> Self {
        let most = request.saturating_add(MOST_ADDED);
        Self { all: Vec::new(), inserted: Vec::new(), removed: 0, most }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Puts bytes in the place of `removed`.
    pub(super) fn replace(&mut self, removed: Range<usize>, bytes: &[u8]) -> Result<(), TooLarge> {
        let work = self.all.len().saturating_mul(size_of::<Splice>());
        if work.saturating_add(self.inserted.len()).saturating_add(bytes.len()) > self.most {
            return Err(TooLarge);
        }
        let start = self.inserted.len();
        self.inserted.extend_from_slice(bytes);
        self.removed += removed.len();
        self.all.push(Splice { removed, inserted: start..self.inserted.len() });
        Ok(())
    }

    /// Begins a message whose length prefix is at `prefix`.
    pub(super) fn open(&mut self, prefix: Range<usize>) -> Open {
        let open = Open {
            index: self.all.len(),
            inserted: self.inserted.len(),
            removed: self.removed,
            lengths: prefix.len(),
        };
        let nothing = self.inserted.len()..self.inserted.len();
        self.all.push(Splice { removed: prefix, inserted: nothing });
        open
    }

    /// Ends the message that was `length` long: writes its new length, if anything changed.
    pub(super) fn close(&mut self, open: &Open, length: usize) {
        if self.all.len() == open.index + 1 {
            self.all.pop();
            return;
        }
        let inserted = self.inserted.len() - open.inserted;
        let removed = self.removed - open.removed;
        let length = (length + inserted).saturating_sub(removed) as u64;
        let start = self.inserted.len();
        encode_varint(length, &mut self.inserted);
        if let Some(splice) = self.all.get_mut(open.index) {
            splice.inserted = start..self.inserted.len();
        }
        self.removed += open.lengths;
    }

    /// The rope with everything replaced.
    pub(super) fn apply(self, source: &Source<'_>, room: &Room) -> Result<Rope, NoRoom> {
        let mut output = Output { rope: Rope::new(), short: BytesMut::new(), room };
        let mut at = 0;
        for splice in &self.all {
            output.keep(source, at..splice.removed.start)?;
            let inserted = self.inserted.get(splice.inserted.clone()).unwrap_or_default();
            output.short.extend_from_slice(inserted);
            at = splice.removed.end;
        }
        output.keep(source, at..source.len())?;
        output.flush()?;
        Ok(output.rope)
    }
}

/// A rope in the making.
struct Output<'a> {
    rope: Rope,
    short: BytesMut,
    room: &'a Room,
}

impl Output<'_> {
    fn keep(&mut self, source: &Source<'_>, range: Range<usize>) -> Result<(), NoRoom> {
        for (piece, part) in source.parts(range) {
            if part.len() < SHARED_FROM {
                self.short.extend_from_slice(piece.get(part).unwrap_or_default());
            } else {
                self.flush()?;
                self.rope.push(piece.slice(part));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), NoRoom> {
        if !self.short.is_empty() {
            self.rope.push(self.room.hold(self.short.split()).ok_or(NoRoom)?);
        }
        Ok(())
    }
}
