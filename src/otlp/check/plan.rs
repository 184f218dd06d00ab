//! The schema as the checker wants it: one lookup by key byte says what to do.
//!
//! Guarantees, at compile time, that every field of every message has its plan. Knows nothing of
//! input.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tables are made at compile time, where a panic is an error"
)]

use crate::otlp::schema::{Field, Kind, MESSAGES, Message, index, same};

/// What to do with a field, given its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Not a known field in its own wire type: unknown, malformed, or a longer key.
    Other,
    /// A varint.
    Varint,
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// A length, then any bytes.
    Bytes,
    /// A length, then UTF-8.
    Text,
    /// A length that is zero or this, then an id.
    Id(u8),
    /// A length, then varints.
    PackedVarint,
    /// A length, then numbers of eight bytes.
    PackedFixed64,
    /// A length, then a `KeyValue`: by far the most frequent message.
    KeyValue,
    /// A length, then an `AnyValue`.
    AnyValue,
    /// A length, then the message whose plan has this index.
    Message(u8),
    /// The same, and the message is an item.
    Item(u8),
    /// The same, and the message replaces the other choices of its parent with the items in them.
    Choice(u8),
}

/// The operations of one message type.
#[derive(Debug)]
pub(super) struct Plan {
    /// By the first byte of the key: fields 1 to 15. Longer keys are [`Op::Other`].
    short: [Op; 256],
    /// By the key less 128: field 16, the highest in OTLP.
    long: [Op; 8],
}

impl Plan {
    /// The operation for a field whose key is this byte, or begins with it.
    #[inline(always)]
    pub(super) fn by_byte(&self, byte: u8) -> Op {
        self.short.get(usize::from(byte)).copied().unwrap_or(Op::Other)
    }

    /// The operation for a field whose key is these two bytes.
    #[inline(always)]
    pub(super) fn by_long_key(&self, low: u8, high: u8) -> Op {
        match low.checked_sub(128).and_then(|key| self.long.get(usize::from(key))) {
            Some(op) if high == 1 => *op,
            _ => Op::Other,
        }
    }

    /// The operation for a decoded key.
    #[inline]
    pub(super) fn by_key(&self, key: u32) -> Op {
        match u8::try_from(key) {
            Ok(byte) if byte < 128 => self.by_byte(byte),
            Ok(byte) => self.long.get(usize::from(byte - 128)).copied().unwrap_or(Op::Other),
            Err(_) => Op::Other,
        }
    }

    /// The plan of the message with this index in [`MESSAGES`].
    #[inline(always)]
    pub(super) fn of(index: u8) -> &'static Self {
        PLANS.get(usize::from(index)).unwrap_or(&PLANS[0])
    }
}

/// Index of `KeyValue` in [`MESSAGES`].
pub(super) const KEY_VALUE: u8 = index("KeyValue");

/// Index of `AnyValue` in [`MESSAGES`].
pub(super) const ANY_VALUE: u8 = index("AnyValue");

/// Index of `Metric` in [`MESSAGES`].
pub(super) const METRIC: u8 = index("Metric");

static PLANS: [Plan; MESSAGES.len()] = {
    let mut plans = [EMPTY; MESSAGES.len()];
    let mut at = 0;
    while at < MESSAGES.len() {
        plans[at] = plan(MESSAGES[at]);
        at += 1;
    }
    plans
};

const EMPTY: Plan = Plan { short: [Op::Other; 256], long: [Op::Other; 8] };

const fn plan(message: &Message) -> Plan {
    let mut plan = EMPTY;
    let mut at = 0;
    while at < message.fields.len() {
        let field = &message.fields[at];
        let op = operation(message, field);
        set(&mut plan, field.number, field.kind.wire_type() as u32, op);
        if field.repeated {
            match op {
                Op::Varint => set(&mut plan, field.number, 2, Op::PackedVarint),
                Op::Fixed64 => set(&mut plan, field.number, 2, Op::PackedFixed64),
                Op::Fixed32 => panic!("OTLP has no repeated field of four-byte numbers"),
                _ => {}
            }
        }
        at += 1;
    }
    plan
}

const fn set(plan: &mut Plan, number: u32, wire_type: u32, op: Op) {
    let key = ((number << 3) | wire_type) as usize;
    if key < 128 {
        plan.short[key] = op;
    } else {
        plan.long[key - 128] = op;
    }
}

/// What to do with a single value.
const fn operation(message: &Message, field: &Field) -> Op {
    match field.kind {
        Kind::Bytes => Op::Bytes,
        Kind::String => Op::Text,
        #[expect(clippy::cast_possible_truncation, reason = "8 or 16")]
        Kind::Id(length) => Op::Id(length as u8),
        Kind::Message(inner) => nested(message, field, inner),
        number => match number.wire_type() {
            0 => Op::Varint,
            1 => Op::Fixed64,
            5 => Op::Fixed32,
            _ => panic!("only texts, bytes, ids and messages have a length"),
        },
    }
}

const fn nested(message: &Message, field: &Field, inner: &Message) -> Op {
    let target = index(inner.name);
    if target == KEY_VALUE {
        Op::KeyValue
    } else if target == ANY_VALUE {
        Op::AnyValue
    } else if is_item(inner.name) {
        Op::Item(target)
    } else if field.oneof.is_some() && same(message.name, "Metric") {
        Op::Choice(target)
    } else {
        Op::Message(target)
    }
}

/// Whether messages of this type are what [`Signal::items_name`] counts.
///
/// [`Signal::items_name`]: crate::signal::Signal::items_name
const fn is_item(name: &str) -> bool {
    same(name, "Span")
        || same(name, "LogRecord")
        || same(name, "Sample")
        || same(name, "NumberDataPoint")
        || same(name, "HistogramDataPoint")
        || same(name, "ExponentialHistogramDataPoint")
        || same(name, "SummaryDataPoint")
}
