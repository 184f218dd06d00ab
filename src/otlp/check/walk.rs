//! The fast way: whole fields inside one frame.
//!
//! Guarantees to pass over nothing that is invalid, and to stop before the first field that is not
//! whole, not valid or too unusual (groups); [`super::machine`] deals with that one. Recursion is
//! bounded by the nesting limit. Knows nothing of frames or errors.

use super::plan::{ANY_VALUE, KEY_VALUE, Op, Plan};
use super::scan::{are_varints, is_text, sized, skip_varint, varint};

/// Items found in a message, as a decoder would hold them at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    /// All of them.
    pub(super) items: u64,
    /// Those in the current choice of the current `Metric`.
    in_choice: u64,
    /// Index of that choice's message.
    choice: Option<u8>,
}

impl Count {
    /// Adds items; they belong to the current choice, if there is one.
    pub(super) fn add(&mut self, items: u64) {
        self.items += items;
        self.in_choice += items;
    }

    /// A field of a `oneof` was found: the same choice is merged into, another one is replaced.
    pub(super) fn choose(&mut self, choice: u8) {
        if self.choice != Some(choice) {
            self.items -= self.in_choice;
            self.in_choice = 0;
            self.choice = Some(choice);
        }
    }

    /// A new `Metric` begins: what was counted so far is not in its choice.
    pub(super) fn forget_choice(&mut self) {
        self.in_choice = 0;
        self.choice = None;
    }
}

/// Passes over the fields of a message and returns what is left, from the start of a field.
///
/// `levels` is how many messages may still be nested in this one.
pub(super) fn walk<'a>(plan: &Plan, bytes: &'a [u8], levels: usize, count: &mut Count) -> &'a [u8] {
    let mut rest = bytes;
    while let Some((&key, value)) = rest.split_first() {
        let next = match plan.by_byte(key) {
            Op::Other => other(plan, rest, levels, count),
            op => field(op, value, levels, count),
        };
        let Some(next) = next else { return rest };
        rest = next;
    }
    rest
}

/// What follows the value of a field.
#[inline(always)]
fn field<'a>(op: Op, value: &'a [u8], levels: usize, count: &mut Count) -> Option<&'a [u8]> {
    match op {
        Op::Varint => skip_varint(value),
        Op::Fixed64 => value.get(8..),
        Op::Fixed32 => value.get(4..),
        Op::Id(length) => match value.split_first()? {
            (&found, rest) if found == length => rest.get(usize::from(length)..),
            (0, rest) => Some(rest),
            _ => None,
        },
        Op::Text => {
            let (text, rest) = sized(value)?;
            is_text(text).then_some(rest)
        }
        Op::Bytes => Some(sized(value)?.1),
        Op::PackedVarint => {
            let (numbers, rest) = sized(value)?;
            are_varints(numbers).then_some(rest)
        }
        Op::PackedFixed64 => {
            let (numbers, rest) = sized(value)?;
            numbers.len().is_multiple_of(8).then_some(rest)
        }
        Op::KeyValue => {
            let (inner, rest) = sized(value)?;
            key_value(inner, levels).then_some(rest)
        }
        Op::AnyValue => {
            let (inner, rest) = sized(value)?;
            any_value(inner, levels).then_some(rest)
        }
        Op::Message(index) => {
            let (inner, rest) = sized(value)?;
            count.add(message(index, inner, levels)?);
            Some(rest)
        }
        Op::Item(index) => {
            let (inner, rest) = sized(value)?;
            count.add(message(index, inner, levels)? + 1);
            Some(rest)
        }
        Op::Choice(index) => {
            let (inner, rest) = sized(value)?;
            let items = message(index, inner, levels)?;
            count.choose(index);
            count.add(items);
            Some(rest)
        }
        Op::Other => None,
    }
}

/// The number of items in a whole message.
fn message(index: u8, bytes: &[u8], levels: usize) -> Option<u64> {
    let mut count = Count::default();
    let rest = walk(Plan::of(index), bytes, levels.checked_sub(1)?, &mut count);
    rest.is_empty().then_some(count.items)
}

/// Whether a message of this type, holding no items, is whole and valid.
#[inline(never)]
fn is_message(index: u8, bytes: &[u8], levels: usize) -> bool {
    message(index, bytes, levels).is_some()
}

/// A `KeyValue`: key and value in this order is what every encoder writes.
#[inline(always)]
fn key_value(bytes: &[u8], levels: usize) -> bool {
    if levels > 0
        && let [0x0a, length, rest @ ..] = bytes
        && *length < 0x80
        && let Some((key, [0x12, length, value @ ..])) = rest.split_at_checked(usize::from(*length))
        && usize::from(*length) == value.len()
        && *length < 0x80
    {
        return is_text(key) && any_value(value, levels - 1);
    }
    is_message(KEY_VALUE, bytes, levels)
}

/// An `AnyValue` that holds one scalar, or whatever else.
#[inline(always)]
fn any_value(bytes: &[u8], levels: usize) -> bool {
    if levels > 0 {
        match bytes {
            [0x0a, length, text @ ..] if usize::from(*length) == text.len() && *length < 0x80 => {
                return is_text(text);
            }
            [0x18, number @ ..] if skip_varint(number).is_some_and(<[u8]>::is_empty) => {
                return true;
            }
            [0x10, 0 | 1] | [0x21, _, _, _, _, _, _, _, _] => return true,
            _ => {}
        }
    }
    is_message(ANY_VALUE, bytes, levels)
}

/// A key of more than one byte, or an unknown field.
#[inline(never)]
fn other<'a>(plan: &Plan, bytes: &'a [u8], levels: usize, count: &mut Count) -> Option<&'a [u8]> {
    let (key, value) = varint(bytes)?;
    let key = u32::try_from(key).ok()?;
    match plan.by_key(key) {
        Op::Other if is_unknown(plan, key) && levels > 0 => match key & 7 {
            0 => skip_varint(value),
            1 => value.get(8..),
            2 => Some(sized(value)?.1),
            5 => value.get(4..),
            _ => None,
        },
        op => field(op, value, levels, count),
    }
}

/// Whether no wire type of this field number is known.
fn is_unknown(plan: &Plan, key: u32) -> bool {
    let number = key >> 3;
    number > 0 && (0..8).all(|wire_type| plan.by_key(number << 3 | wire_type) == Op::Other)
}
