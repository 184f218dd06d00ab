//! Protobuf, written front to back into one buffer.
//!
//! Guarantees shortest lengths: room is left for the length of a message as long as the last one
//! at the same depth had, and the message is moved when that was wrong.

use crate::otlp::check::MOST_LEVELS;

/// A request being written.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    /// The most that may be written; a little more is.
    most: usize,
    /// How long the lengths of the last messages were, by depth.
    usual: [u8; MOST_LEVELS + 1],
}

/// Where the length of an open message goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    start: usize,
    room: u8,
    depth: u32,
}

impl Writer {
    /// For a request that is made from a text of this length.
    pub(super) fn new(text: usize, most: usize) -> Self {
        let mut usual = [1; MOST_LEVELS + 1];
        // The outer messages usually hold all the rest.
        for outer in usual.iter_mut().take(2) {
            *outer = varint_length((text / 3) as u64);
        }
        Self { out: Vec::with_capacity(text / 2 + 64), most, usual }
    }

    /// Whether more was written than may be.
    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.out.len() > self.most
    }

    /// All that was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// The buffer, to append to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes a field's key: it is below 2^14 in OTLP.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "two times seven bits")]
    pub(super) fn key(&mut self, key: u16) {
        let [low, high] = [(key & 0x7f) as u8, (key >> 7) as u8];
        if high == 0 {
            self.out.push(low);
        } else {
            self.out.extend_from_slice(&[low | 0x80, high]);
        }
    }

    /// Writes a varint.
    #[inline(always)]
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        self.out.push(value as u8);
    }

    /// Writes a length and bytes.
    #[inline(always)]
    pub(super) fn sized(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// Leaves room for the length of what follows.
    #[inline(always)]
    pub(super) fn open(&mut self, depth: u32) -> Open {
        let room = self.usual.get(depth as usize).copied().unwrap_or(1);
        let start = self.out.len();
        self.out.extend_from_slice([0; 10].get(..usize::from(room)).unwrap_or_default());
        Open { start, room, depth }
    }

    /// Writes the length of what followed.
    #[inline(always)]
    pub(super) fn close(&mut self, open: Open) {
        let Open { start, room, depth } = open;
        let content = start + usize::from(room);
        let mut length = (self.out.len() - content) as u64;
        let needed = varint_length(length);
        if needed != room {
            self.move_content(open, needed);
            if let Some(usual) = self.usual.get_mut(depth as usize) {
                *usual = needed;
            }
        }
        for slot in self.out.iter_mut().skip(start).take(usize::from(needed)) {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
            let low = length as u8 & 0x7f;
            length >>= 7;
            *slot = if length > 0 { low | 0x80 } else { low };
        }
    }

    #[inline(never)]
    fn move_content(&mut self, open: Open, needed: u8) {
        let from = open.start + usize::from(open.room);
        let to = open.start + usize::from(needed);
        let end = self.out.len();
        if to > from {
            self.out.resize(end + to - from, 0);
            self.out.copy_within(from..end, to);
        } else {
            self.out.copy_within(from..end, to);
            self.out.truncate(end - (from - to));
        }
    }
}

/// How many bytes a varint takes.
#[inline(always)]
fn varint_length(value: u64) -> u8 {
    let bits = 64 - (value | 1).leading_zeros();
    u8::try_from(bits.div_ceil(7)).unwrap_or(10)
}
