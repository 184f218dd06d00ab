//! Small scans at a position of a frame.
//!
//! Guarantees that nothing is read outside the frame, and that the answer is a position beyond the
//! end, or [`NOWHERE`], where a value is not whole or not valid. Knows no schema.
//!
//! Positions are 32 bits wide, for then adding a few bytes to one cannot overflow a `usize`, and
//! each bounds check is one comparison.

/// The longest varint: 64 bits in groups of seven.
pub(super) const LONGEST_VARINT: usize = 10;

/// A position beyond the end of every message.
pub(super) const NOWHERE: u32 = 1 << 31;

/// The longest frame that positions are good for, with room to add to them.
pub(super) const LONGEST_FRAME: usize = 1 << 30;

/// The `N` bytes from a position on, if the frame has them.
#[inline(always)]
pub(super) fn chunk<const N: usize>(frame: &[u8], at: u32) -> Option<&[u8; N]> {
    frame.get(at as usize..at as usize + N).and_then(<[u8]>::first_chunk)
}

/// The eight bytes from a position on, as a little-endian number; zeroes after the frame.
#[inline(always)]
pub(super) fn word(frame: &[u8], at: u32) -> u64 {
    match chunk(frame, at) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => last_word(frame, at),
    }
}

#[cold]
fn last_word(frame: &[u8], at: u32) -> u64 {
    let rest = frame.get(at as usize..).unwrap_or_default();
    rest.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Where the varint at a position ends, given [`word`] from there.
#[inline(always)]
pub(super) fn after_varint(frame: &[u8], at: u32, word: u64) -> u32 {
    let ends = !word & HIGH_BITS;
    if ends == 0 { after_long_varint(frame, at) } else { at + ends.trailing_zeros() / 8 + 1 }
}

#[cold]
fn after_long_varint(frame: &[u8], at: u32) -> u32 {
    varint(frame, at).map_or(NOWHERE, |(_, end)| end)
}

/// The varint at a position and where it ends.
pub(super) fn varint(frame: &[u8], at: u32) -> Option<(u64, u32)> {
    let mut value = 0u64;
    for (len, &byte) in (0u32..10).zip(frame.get(at as usize..)?) {
        value |= u64::from(byte & 0x7f) << (7 * len);
        if byte < 0x80 {
            return (len < 9 || byte <= 1).then_some((value, at + len + 1));
        }
    }
    None
}

/// Where the value begins and ends whose length is at a position, given [`word`] from there;
/// twice [`NOWHERE`] if that is beyond `end`.
#[inline(always)]
pub(super) fn sized(frame: &[u8], at: u32, word: u64, end: u32) -> (u32, u32) {
    let [low, high, ..] = word.to_le_bytes();
    let (start, stop) = if low < 0x80 {
        (at + 1, at + 1 + u32::from(low))
    } else if high < 0x80 {
        (at + 2, at + 2 + (u32::from(high) << 7 | u32::from(low & 0x7f)))
    } else {
        sized_long(frame, at)
    };
    if stop <= end { (start, stop) } else { (NOWHERE, NOWHERE) }
}

#[inline(never)]
fn sized_long(frame: &[u8], at: u32) -> (u32, u32) {
    let found = varint(frame, at);
    let found = found.and_then(|(length, start)| {
        let length = u32::try_from(length).ok()?;
        Some((start, start.checked_add(length)?))
    });
    found.unwrap_or((NOWHERE, NOWHERE))
}

/// Whether these bytes of the frame are varints and nothing else.
pub(super) fn are_varints(frame: &[u8], (start, end): (u32, u32)) -> bool {
    let Some(bytes) = frame.get(start as usize..end as usize) else { return false };
    if bytes.last().is_some_and(|&byte| byte >= 0x80) {
        return false;
    }
    // A varint of more than seven bytes fills one of these groups of four, wherever it starts.
    let (groups, _) = bytes.as_chunks::<4>();
    let is_full = |group: &[u8; 4]| u32::from_le_bytes(*group) & 0x8080_8080 == 0x8080_8080;
    if !groups.iter().fold(false, |full, group| full | is_full(group)) {
        return true;
    }
    let mut at = start;
    while at < end {
        at = after_varint(frame, at, word(frame, at));
    }
    at == end
}

/// Whether these bytes of the frame are UTF-8.
#[inline(always)]
pub(super) fn is_text(frame: &[u8], start: u32, end: u32) -> bool {
    is_ascii(frame, start, end) || is_other_text(frame, start, end)
}

/// Whether these bytes of the frame are ASCII.
#[inline(always)]
pub(super) fn is_ascii(frame: &[u8], start: u32, end: u32) -> bool {
    match chunk(frame, start) {
        Some(block) if end.wrapping_sub(start) <= 64 => mark_not_ascii(block, end - start) == 0,
        _ => is_other_ascii(frame, start, end),
    }
}

/// Zero if the first bytes of the block are ASCII; the results for several may be joined by `|`.
///
/// There is no branch on the number of bytes, which is hard to predict: those after them are
/// masked away.
#[inline(always)]
pub(super) fn mark_not_ascii(block: &[u8; 64], bytes: u32) -> u64 {
    let Some(mask) = chunk::<64>(&MASKS, 64 - bytes.min(64)) else { return u64::MAX };
    let (block, mask) = (block.as_chunks::<8>().0, mask.as_chunks::<8>().0);
    block.iter().zip(mask).fold(0, |marked, (bytes, mask)| {
        marked | u64::from_ne_bytes(*bytes) & u64::from_ne_bytes(*mask)
    })
}

#[inline(never)]
fn is_other_ascii(frame: &[u8], start: u32, end: u32) -> bool {
    frame.get(start as usize..end as usize).is_some_and(<[u8]>::is_ascii)
}

#[inline(never)]
fn is_other_text(frame: &[u8], start: u32, end: u32) -> bool {
    match frame.get(start as usize..end as usize) {
        Some(text) if text.len() < 64 => str::from_utf8(text).is_ok(),
        Some(text) => simdutf8::basic::from_utf8(text).is_ok(),
        None => false,
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// From `64 - n` on: the high bits of n bytes, then nothing for 64.
static MASKS: [u8; 128] = {
    let mut masks = [0; 128];
    let (high, _) = masks.split_at_mut(64);
    let mut at = 0;
    while at < 64 {
        #[expect(clippy::indexing_slicing, reason = "at compile time")]
        {
            high[at] = 0x80;
        }
        at += 1;
    }
    masks
};
