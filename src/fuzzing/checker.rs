//! The checker against `prost`: same verdict, same items, in whatever frames.

use bytes::Bytes;

use super::{cut, damaged_or_cut, frames, mode, signal};
use crate::batch::Rope;
use crate::otlp::check::generate::{Choices, message};
use crate::otlp::check::{check, oracle};
use crate::otlp::schema::request;

/// Checks the rest of the input as a request of the signal that its first byte names; with the
/// highest bit set, a request that the rest is the recipe of.
pub fn checker(data: &[u8]) {
    let (mode, rest) = mode(data);
    let made = (mode & 0x80 != 0).then(|| made(mode, rest));
    let bytes = made.as_deref().unwrap_or(rest);
    oracle::compare(signal(mode), bytes, frames(mode));
    // What is passed on has the size and the bytes of what came.
    let rope = cut(bytes, frames(mode));
    assert_eq!((rope.len(), &rope.to_bytes()[..]), (bytes.len(), bytes));
    let Ok(checked) = check(signal(mode), &rope) else { return };
    // The canonical form of an accepted request is accepted too, with the same items.
    let again = oracle::encode(signal(mode), bytes).expect("prost accepts it");
    let canonical = check(signal(mode), &Rope::from(Bytes::from(again)));
    assert_eq!(canonical.expect("its canonical form is accepted").items, checked.items);
}

/// A valid request in some wire form, with damage: eight bytes of seed, one of size, and then an
/// offset, a byte and a kind of damage as long as there is more.
fn made(mode: u8, recipe: &[u8]) -> Vec<u8> {
    let (seed, rest) = recipe
        .split_first_chunk()
        .map_or((0, recipe), |(seed, rest)| (u64::from_le_bytes(*seed), rest));
    let (fields, damage) = rest.split_first().map_or((8, rest), |(fields, rest)| (*fields, rest));
    let mut choices = Choices::new(seed, usize::from(fields), mode & 0x40 != 0);
    let bytes = message(&mut choices, request(signal(mode)), 100);
    damaged_or_cut(bytes, damage, |bytes, at, _| bytes.truncate(at))
}
