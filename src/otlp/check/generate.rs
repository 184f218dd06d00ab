//! Requests for the property test: valid ones, in every way the wire format allows.
//!
//! Guarantees that what comes out decodes, and that the same seed makes the same request.

use crate::otlp::schema::{Field, Kind, Message};

/// Choices to make for a request.
pub(crate) struct Choices {
    state: u64,
    /// How many fields may still be made.
    budget: usize,
    wrong_ids: bool,
}

impl Choices {
    /// Choices that make at most `budget` fields; `wrong_ids` makes an id of a wrong length now
    /// and then.
    pub(crate) fn new(seed: u64, budget: usize, wrong_ids: bool) -> Self {
        Self { state: seed, budget, wrong_ids }
    }

    /// A number below `bound`, by the `SplitMix64` generator.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn id_length(&mut self, length: usize) -> usize {
        match self.below(16) {
            0 => 0,
            1 if self.wrong_ids => self.below(40),
            _ => length,
        }
    }
}

/// A message of this type with some of its fields, known and unknown, in any order. Nested ones
/// are preferred near the root, so that items are reached.
pub(crate) fn message(choices: &mut Choices, of: &Message, levels: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while choices.budget > 0 && choices.below(12) > 0 {
        choices.budget -= 1;
        let mut field = of.fields.get(choices.below(of.fields.len() + 1));
        if levels > 95 && choices.below(4) > 0 {
            let nested = of.fields.iter().filter(|field| matches!(field.kind, Kind::Message(_)));
            field = nested.clone().nth(choices.below(nested.count().max(1))).or(field);
        }
        match field {
            Some(field) => known(choices, field, levels, &mut out),
            None => unknown(choices, of, levels, &mut out),
        }
    }
    out
}

/// A message with a random share of the fields left.
fn nested(choices: &mut Choices, of: &Message, levels: usize) -> Vec<u8> {
    let whole = choices.budget;
    choices.budget = choices.below(whole + 1);
    let rest = whole - choices.budget;
    let out = message(choices, of, levels);
    choices.budget += rest;
    out
}

fn known(choices: &mut Choices, field: &Field, levels: usize, out: &mut Vec<u8>) {
    let (wire_type, value) = match field.kind {
        Kind::Message(inner) => {
            if levels == 0 {
                return;
            }
            if inner.name == "KeyValue" && levels > 1 && choices.below(4) > 0 {
                for _ in 0..choices.below(5) {
                    let value = usual_key_value(choices);
                    put(choices, field.number, 2, &value, out);
                }
            }
            (2, nested(choices, inner, levels - 1))
        }
        Kind::String => (2, text(choices)),
        Kind::Bytes => {
            let length = choices.below(20);
            (2, choices.bytes(length))
        }
        Kind::Id(length) => {
            let length = choices.id_length(length);
            (2, choices.bytes(length))
        }
        number => match number.wire_type() {
            1 => (1, choices.bytes(8)),
            5 => (5, choices.bytes(4)),
            _ => (0, any_varint(choices)),
        },
    };
    if field.repeated && wire_type < 2 && choices.below(2) > 0 {
        let mut packed = value;
        for _ in 0..choices.below(6) {
            packed.extend(if wire_type == 0 { any_varint(choices) } else { choices.bytes(8) });
        }
        put(choices, field.number, 2, &packed, out);
    } else {
        put(choices, field.number, wire_type, &value, out);
    }
}

/// A key, then a value with one scalar: what encoders write.
fn usual_key_value(choices: &mut Choices) -> Vec<u8> {
    let mut value = Vec::new();
    match choices.below(5) {
        0 => {
            let number = any_varint(choices);
            let field = 2 + u32::from(choices.byte() & 1);
            put(choices, field, 0, &number, &mut value);
        }
        1 => {
            let number = choices.bytes(8);
            put(choices, 4, 1, &number, &mut value);
        }
        _ => {
            let text = text(choices);
            put(choices, 1, 2, &text, &mut value);
        }
    }
    let key = text(choices);
    let mut out = Vec::new();
    put(choices, 1, 2, &key, &mut out);
    put(choices, 2, 2, &value, &mut out);
    out
}

fn unknown(choices: &mut Choices, of: &Message, levels: usize, out: &mut Vec<u8>) {
    let number = [17, 100, 1000, (1 << 29) - 1][choices.below(4)];
    if levels == 0 || of.field(number).is_some() {
        return;
    }
    match choices.below(5) {
        0 => {
            let value = any_varint(choices);
            put(choices, number, 0, &value, out);
        }
        1 => {
            let value = choices.bytes(8);
            put(choices, number, 1, &value, out);
        }
        2 => {
            let length = choices.below(200);
            let value = choices.bytes(length);
            put(choices, number, 2, &value, out);
        }
        3 => {
            let inner = nested(choices, of, levels - 1);
            put(choices, number, 3, &inner, out);
            put(choices, number, 4, &[], out);
        }
        _ => {
            let value = choices.bytes(4);
            put(choices, number, 5, &value, out);
        }
    }
}

fn put(choices: &mut Choices, number: u32, wire_type: u32, value: &[u8], out: &mut Vec<u8>) {
    varint(choices, u64::from(number << 3 | wire_type), out);
    if wire_type == 2 {
        varint(choices, value.len() as u64, out);
    }
    out.extend(value);
}

fn any_varint(choices: &mut Choices) -> Vec<u8> {
    let mut out = Vec::new();
    let value = match choices.below(4) {
        0 => u64::from(choices.byte() & 1),
        1 => u64::from(choices.byte()) << 5,
        2 => u64::MAX - u64::from(choices.byte()),
        _ => u64::from(choices.byte()) << choices.below(57),
    };
    varint(choices, value, &mut out);
    out
}

/// A varint, sometimes longer than it needs to be.
fn varint(choices: &mut Choices, value: u64, out: &mut Vec<u8>) {
    let start = out.len();
    prost::encoding::encode_varint(value, out);
    let room = 10 - (out.len() - start);
    if room > 0 && choices.below(64) == 63 {
        let padding = choices.below(room) + 1;
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.extend(std::iter::repeat_n(0x80, padding - 1));
        out.push(0);
    }
}

fn text(choices: &mut Choices) -> Vec<u8> {
    let unit = ["a", "key", "\u{e9}", "\u{20ac}", "\u{1f980}", "\0", "service.name"];
    let unit = unit[choices.below(unit.len())];
    let times = [0, 1, 2, 3, 8, 40, 200][choices.below(7)];
    unit.repeat(times).into_bytes()
}
