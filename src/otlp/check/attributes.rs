//! The fast way through attributes, which most of a request consists of.
//!
//! Guarantees what [`super::walk`] guarantees. Knows the shape that nearly every `KeyValue` has: a
//! key, then a text or another scalar, all in a few dozen bytes.

use super::plan::{ANY_VALUE, KEY_VALUE};
use super::scan::{NOWHERE, chunk, is_text, mark_not_ascii, sized, word};
use super::walk::is_message;

/// Passes over one or more `KeyValue` fields that have the same key byte and returns where it
/// stopped, or [`NOWHERE`] if it could not pass over the first.
#[inline(never)]
pub(super) fn attributes(frame: &[u8], range: (u32, u32), key: u8, levels: u32) -> u32 {
    let (start, end) = range;
    if levels >= 2 {
        let stop = usual(frame, range, key);
        if stop > start {
            return stop;
        }
    }
    let (inner, stop) = sized(frame, start + 1, word(frame, start) >> 8, end);
    if is_message(frame, KEY_VALUE, (inner, stop), levels) { stop } else { NOWHERE }
}

/// Passes over `KeyValue` fields of the usual shape.
#[inline(always)]
fn usual(frame: &[u8], (start, end): (u32, u32), key: u8) -> u32 {
    let mut at = start;
    while at < end
        && let Some(block) = chunk::<BLOCK>(frame, at)
        && let Some((length, ascii)) = one(block, key)
        && at + length <= end
    {
        let is_ascii = match block.first_chunk() {
            Some(block) if ascii <= 64 => mark_not_ascii(block, ascii) == 0,
            _ => false,
        };
        if !is_ascii && !are_texts(frame, at) {
            break;
        }
        at += length;
    }
    at
}

/// The length of a `KeyValue` field of the usual shape, and how many of its first bytes are ASCII
/// if its key and its text are: tags and lengths of one byte are, too.
#[inline(always)]
fn one(block: &[u8; BLOCK], key: u8) -> Option<(u32, u32)> {
    let head = u32::from_le_bytes(*block.first_chunk()?);
    if head & 0x80ff_80ff != 0x000a_0000 | u32::from(key) {
        return None;
    }
    let length = head >> 8 & 0x7f;
    let middle = (head >> 24 & 0x7f) + 4;
    let rest = length.wrapping_sub(middle);
    let value = block.get(middle as usize..middle as usize + 4)?.first_chunk()?;
    let value = u32::from_le_bytes(*value);
    // Tag of the value, its length, tag of the text, its length.
    if rest.wrapping_sub(2) < 0x80 && value == rest.wrapping_mul(0x0100_0100).wrapping_add(TEXT) {
        return Some((length + 2, length + 2));
    }
    if rest.wrapping_sub(2) < 0x80 && value & 0xffff == 0x12 | rest << 8 {
        let number = block.get(middle as usize + 3..middle as usize + 11)?.first_chunk()?;
        let ends = !u64::from_le_bytes(*number) & 0x8080_8080_8080_8080;
        let is_scalar = match value >> 16 & 0xff {
            0x10 | 0x18 => ends.trailing_zeros() == (rest - 2) * 8 + 7,
            0x21 => rest == 9,
            _ => false,
        };
        return is_scalar.then_some((length + 2, middle));
    }
    None
}

/// Whether the texts of a `KeyValue` field of the usual shape are UTF-8.
#[inline(never)]
fn are_texts(frame: &[u8], at: u32) -> bool {
    let [_, length, _, key_length, ..] = word(frame, at).to_le_bytes();
    let end = at + 2 + u32::from(length);
    let middle = at + 4 + u32::from(key_length);
    let is_scalar = word(frame, middle).to_le_bytes()[2] != 0x0a;
    is_text(frame, at + 4, middle) && (is_scalar || is_text(frame, middle + 4, end))
}

/// Where an `AnyValue` field ends, whose value is mostly a text.
#[inline(never)]
pub(super) fn any_value(frame: &[u8], (at, end): (u32, u32), head: u64, levels: u32) -> u32 {
    let (start, stop) = sized(frame, at + 1, head >> 8, end);
    if levels > 0 && start < stop {
        let inner = word(frame, start);
        if inner & 0xff == 0x0a {
            let (text, text_end) = sized(frame, start + 1, inner >> 8, stop);
            if text_end == stop {
                return if is_text(frame, text, stop) { stop } else { NOWHERE };
            }
        }
    }
    if is_message(frame, ANY_VALUE, (start, stop), levels) { stop } else { NOWHERE }
}

/// Enough for every key of less than 128 bytes and the head of the value after it.
const BLOCK: usize = 144;

/// Tag of the value, tag of the text, and the two bytes by which the text is shorter.
const TEXT: u32 = 0x000a_0012_u32.wrapping_sub(0x0200_0000);
