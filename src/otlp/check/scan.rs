//! Small scans over a slice: varints, lengths, text.
//!
//! Guarantees that nothing is read outside the slice. `None` means "not whole, not valid, or too
//! unusual": the machine then goes over the same bytes and says which. Knows no schema.

/// The longest varint: 64 bits in groups of seven.
pub(super) const LONGEST_VARINT: usize = 10;

/// What follows a varint at the start of `bytes`.
#[inline(always)]
pub(super) fn skip_varint(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 { Some(rest) } else { skip_long_varint(bytes) }
}

#[inline]
fn skip_long_varint(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(head) = bytes.first_chunk::<8>() {
        let ends = !u64::from_le_bytes(*head) & HIGH_BITS;
        if ends != 0 {
            return bytes.get(ends.trailing_zeros() as usize / 8 + 1..);
        }
    }
    let (_, rest) = varint(bytes)?;
    Some(rest)
}

/// The varint at the start of `bytes` and what follows it.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().take(LONGEST_VARINT).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            if at == LONGEST_VARINT - 1 && byte > 1 {
                return None;
            }
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The bytes that the length at the start of `bytes` counts, and what follows them.
#[inline(always)]
pub(super) fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match *bytes {
        [length, ref rest @ ..] if length < 0x80 => rest.split_at_checked(usize::from(length)),
        [low, high, ref rest @ ..] if high < 0x80 => {
            rest.split_at_checked(usize::from(low & 0x7f) | usize::from(high) << 7)
        }
        _ => {
            let (length, rest) = varint(bytes)?;
            rest.split_at_checked(usize::try_from(length).ok()?)
        }
    }
}

/// Whether `bytes` are varints and nothing else.
#[inline]
pub(super) fn are_varints(mut bytes: &[u8]) -> bool {
    if bytes.is_ascii() {
        return true;
    }
    while !bytes.is_empty() {
        let Some(rest) = skip_varint(bytes) else { return false };
        bytes = rest;
    }
    true
}

/// Whether `bytes` are UTF-8.
#[inline(always)]
pub(super) fn is_text(bytes: &[u8]) -> bool {
    is_short_ascii(bytes) || is_other_text(bytes)
}

/// Whether `bytes` are ASCII and at most 64; written so that the usual name or value costs a few
/// loads and one branch on its length.
#[inline(always)]
fn is_short_ascii(bytes: &[u8]) -> bool {
    let bits = match bytes.len() {
        0 => 0,
        1..4 => bytes.iter().fold(0, |bits, &byte| bits | u64::from(byte)),
        4..8 => {
            let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) else {
                return false;
            };
            u64::from(u32::from_le_bytes(*head) | u32::from_le_bytes(*tail))
        }
        8..65 => {
            let (chunks, _) = bytes.as_chunks::<8>();
            let Some(tail) = bytes.last_chunk() else { return false };
            chunks
                .iter()
                .fold(u64::from_le_bytes(*tail), |bits, chunk| bits | u64::from_le_bytes(*chunk))
        }
        _ => return false,
    };
    bits & HIGH_BITS == 0
}

#[inline(never)]
fn is_other_text(bytes: &[u8]) -> bool {
    if bytes.len() < 64 {
        str::from_utf8(bytes).is_ok()
    } else {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
