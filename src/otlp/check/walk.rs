//! The fast way: whole fields inside one frame.
//!
//! Guarantees to pass over nothing that is invalid, and to stop before the first field that is not
//! whole, not valid or too unusual (groups); [`super::machine`] deals with that one. Recursion is
//! bounded by the nesting limit. Knows nothing of errors.
//!
//! Values are looked at by position in the frame, not as slices of their own: so eight bytes can
//! be loaded at once wherever they are, and "beyond the end of its message" is one comparison.

use super::attributes::{any_value, attributes};
use super::plan::{Op, Plan};
use super::scan::{NOWHERE, after_varint, are_varints, is_text, sized, varint, word};

/// How far the walker came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked {
    /// Where it stopped: at the end, or at the start of a field before.
    pub(super) at: u32,
    /// Items in what it passed over.
    pub(super) items: u64,
}

/// Passes over the fields of a message.
///
/// `levels` is how many messages may still be nested in this one. The items are right for a whole
/// `Metric`, but not for a part of one.
pub(super) fn walk(frame: &[u8], plan: &Plan, range: (u32, u32), levels: u32) -> Walked {
    let (mut at, end) = range;
    let (mut items, mut choice) = (0, 0);
    while at < end {
        let head = word(frame, at);
        let [key, length, ..] = head.to_le_bytes();
        let op = plan.by_byte(key);
        let next = match op {
            Op::Varint => after_varint(frame, at + 1, head >> 8 | 0xff << 56),
            Op::Fixed64 => at + 9,
            Op::Fixed32 => at + 5,
            Op::Id(expected) if length == expected => at + 2 + u32::from(expected),
            Op::Id(_) if length == 0 => at + 2,
            Op::Id(_) => NOWHERE,
            Op::Text => text(frame, at, head, end),
            Op::Bytes => sized(frame, at + 1, head >> 8, end).1,
            Op::KeyValue => attributes(frame, (at, end), key, levels),
            Op::AnyValue => any_value(frame, (at, end), head, levels),
            Op::PackedVarint => packed(frame, at, head, end),
            Op::PackedFixed64 => {
                let (start, stop) = sized(frame, at + 1, head >> 8, end);
                if (stop - start).is_multiple_of(8) { stop } else { NOWHERE }
            }
            Op::Message(index) | Op::Item(index) | Op::Choice(index) => {
                let (start, stop) = sized(frame, at + 1, head >> 8, end);
                let Some(found) = message(frame, index, (start, stop), levels) else { break };
                match op {
                    Op::Item(_) => items += found + 1,
                    // The same choice of a `Metric` is merged into, another one is replaced.
                    Op::Choice(_) if choice != index => (items, choice) = (found, index),
                    _ => items += found,
                }
                stop
            }
            // The usual field with a longer key: `Span.flags`.
            Op::Other if plan.by_long_key(key, length) == Op::Fixed32 => at + 6,
            Op::Other => other(frame, plan, (at, end), levels),
        };
        if next > end {
            break;
        }
        at = next;
    }
    Walked { at, items }
}

/// The number of items in a message, if it is whole and valid.
#[inline(always)]
fn message(frame: &[u8], index: u8, range: (u32, u32), levels: u32) -> Option<u64> {
    let (start, end) = range;
    if start == end {
        return (levels > 0 && end != NOWHERE).then_some(0);
    }
    let walked = walk(frame, Plan::of(index), range, levels.checked_sub(1)?);
    (walked.at == end).then_some(walked.items)
}

/// Whether a message that holds no items is whole and valid.
#[inline(never)]
pub(super) fn is_message(frame: &[u8], index: u8, range: (u32, u32), levels: u32) -> bool {
    message(frame, index, range, levels).is_some()
}

/// Where a text ends.
#[inline(never)]
fn text(frame: &[u8], at: u32, head: u64, end: u32) -> u32 {
    let (start, stop) = sized(frame, at + 1, head >> 8, end);
    if is_text(frame, start, stop) { stop } else { NOWHERE }
}

/// Where packed varints end.
#[inline(never)]
fn packed(frame: &[u8], at: u32, head: u64, end: u32) -> u32 {
    let range = sized(frame, at + 1, head >> 8, end);
    if are_varints(frame, range) { range.1 } else { NOWHERE }
}

/// Where a field ends that has a longer key, or is not known.
#[inline(never)]
fn other(frame: &[u8], plan: &Plan, (at, end): (u32, u32), levels: u32) -> u32 {
    let Some((key, at)) = varint(frame, at) else { return NOWHERE };
    let Ok(key) = u32::try_from(key) else { return NOWHERE };
    let head = word(frame, at);
    match plan.by_key(key) {
        Op::Fixed32 => at + 4,
        Op::Other if is_unknown(plan, key) && levels > 0 => match key & 7 {
            0 => after_varint(frame, at, head),
            1 => at + 8,
            2 => sized(frame, at, head, end).1,
            5 => at + 4,
            _ => NOWHERE,
        },
        // A known key that is longer than it needs to be.
        _ => NOWHERE,
    }
}

/// Whether no wire type of this field number is known.
fn is_unknown(plan: &Plan, key: u32) -> bool {
    let number = key >> 3;
    number > 0 && (0..8).all(|wire_type| plan.by_key(number << 3 | wire_type) == Op::Other)
}
