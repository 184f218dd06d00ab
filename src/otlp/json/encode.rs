//! From protobuf to OTLP/JSON.
//!
//! Guarantees to say what a protobuf decoder would read, also where a field comes in pieces or a
//! message is repeated: these are merged. Whatever is present is written, so that nothing of
//! presence is lost; only unknown fields are, since JSON has no names for them. Expects a request
//! that passed the checker; of any other it writes what it can make out.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use smallvec::SmallVec;

use super::cursor::special;
use super::wire::{Range, Value, Wire};
use crate::batch::Rope;
use crate::otlp::check::MOST_LEVELS;
use crate::otlp::schema::{Field, Kind, Message, request as request_of};
use crate::signal::Signal;

/// The OTLP/JSON form of a checked export request; `None` if it, with what is needed to make it,
/// would take more than `most` bytes.
pub(crate) fn encode_up_to(signal: Signal, request: &Rope, most: usize) -> Option<Bytes> {
    let bytes = request.to_bytes();
    let mut encoder = Encoder {
        bytes: &bytes,
        out: Vec::with_capacity(bytes.len().saturating_mul(3).min(most)),
        found: Vec::new(),
        most,
        is_over: false,
    };
    let whole = Range { start: 0, end: bytes.len() };
    encoder.message(request_of(signal), &[whole], MOST_LEVELS);
    (!encoder.is_over()).then(|| encoder.out.into())
}

/// The same without a limit.
#[cfg(any(test, fuzzing))]
pub(crate) fn encode(signal: Signal, request: &Rope) -> Bytes {
    encode_up_to(signal, request, usize::MAX).unwrap_or_default()
}

struct Encoder<'a> {
    bytes: &'a [u8],
    out: Vec<u8>,
    /// The fields of all open messages, used as a stack. One of two bytes takes twenty times as much
    /// here.
    found: Vec<Found>,
    most: usize,
    /// Once it is, nothing more is written.
    is_over: bool,
}

/// Position of a field that another one has replaced.
const NO_FIELD: usize = usize::MAX;

/// A value of a field.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The position of the field in its message.
    field: usize,
    value: Value,
}

impl Encoder<'_> {
    /// Whether it takes too much.
    fn is_over(&mut self) -> bool {
        let work = self.found.len().saturating_mul(size_of::<Found>());
        self.is_over |= self.out.len().saturating_add(work) > self.most;
        self.is_over
    }

    /// Writes a message that is all these parts together.
    fn message(&mut self, of: &'static Message, parts: &[Range], levels: usize) {
        let base = self.found.len();
        for part in parts {
            for (number, value) in Wire::new(self.bytes, *part) {
                if self.is_over() {
                    return;
                }
                if let Some(field) = of.fields.iter().position(|field| field.number == number) {
                    self.found.push(Found { field, value });
                }
            }
        }
        self.drop_replaced_choices(of, base);
        if let Some(found) = self.found.get_mut(base..) {
            found.sort_by_key(|found| found.field);
        }
        self.out.push(b'{');
        let mut at = base;
        let start = self.out.len();
        while let Some(first) = self.found.get(at).copied()
            && !self.is_over()
        {
            let rest = self.found.get(at..).unwrap_or_default();
            let count = rest.iter().take_while(|found| found.field == first.field).count();
            if let Some(field) = of.fields.get(first.field) {
                self.field(field, (at, at + count), start, levels);
            }
            at += count;
        }
        self.found.truncate(base);
        self.out.push(b'}');
    }

    /// Of fields that exclude each other the last one holds; only what directly precedes it of the
    /// same field is merged with it.
    fn drop_replaced_choices(&mut self, of: &'static Message, base: usize) {
        let mut last = None;
        let mut is_replaced = false;
        let mut at = self.found.len();
        while at > base {
            at -= 1;
            let Some(found) = self.found.get_mut(at) else { return };
            if of.fields.get(found.field).is_none_or(|field| field.oneof.is_none()) {
                continue;
            }
            is_replaced |= *last.get_or_insert(found.field) != found.field;
            if is_replaced {
                found.field = NO_FIELD;
            }
        }
    }

    /// Writes the name and the value of a field, whose values are those found from here to there.
    fn field(
        &mut self,
        field: &'static Field,
        (from, to): (usize, usize),
        start: usize,
        levels: usize,
    ) {
        if self.out.len() > start {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(field.json.as_bytes());
        self.out.extend_from_slice(b"\":");
        let values = |encoder: &Self| -> SmallVec<[Value; 4]> {
            let found = encoder.found.get(from..to).unwrap_or_default();
            found.iter().map(|found| found.value).collect()
        };
        match (field.repeated, field.kind) {
            (true, kind) => {
                self.out.push(b'[');
                let start = self.out.len();
                for at in from..to {
                    if let Some(found) = self.found.get(at).copied()
                        && !self.is_over()
                    {
                        self.elements(kind, found.value, start, levels);
                    }
                }
                self.out.push(b']');
            }
            (false, Kind::Message(inner)) => {
                let parts: SmallVec<[Range; 4]> =
                    values(self).iter().filter_map(Value::range).collect();
                self.nested(inner, &parts, levels);
            }
            (false, kind) => {
                if let Some(value) = values(self).last() {
                    self.value(kind, *value);
                }
            }
        }
    }

    /// Writes an element, or all those that are packed in one value.
    fn elements(&mut self, kind: Kind, value: Value, start: usize, levels: usize) {
        match (kind, value) {
            (Kind::Message(inner), Value::Range(range)) => {
                self.separate(start);
                self.nested(inner, &[range], levels);
            }
            (Kind::Bytes | Kind::Id(_) | Kind::String, _) | (_, Value::Number(_)) => {
                self.separate(start);
                self.value(kind, value);
            }
            (_, Value::Range(range)) => {
                let mut packed = Wire::new(self.bytes, range);
                while let Some(number) = packed.packed(kind)
                    && !self.is_over()
                {
                    self.separate(start);
                    self.value(kind, Value::Number(number));
                }
            }
        }
    }

    fn separate(&mut self, start: usize) {
        if self.out.len() > start {
            self.out.push(b',');
        }
    }

    fn nested(&mut self, of: &'static Message, parts: &[Range], levels: usize) {
        match levels.checked_sub(1) {
            Some(levels) => self.message(of, parts, levels),
            None => self.out.extend_from_slice(b"{}"),
        }
    }

    fn value(&mut self, kind: Kind, value: Value) {
        match value {
            Value::Number(number) => self.number(kind, number),
            Value::Range(range) => {
                let bytes = self.bytes.get(range.start..range.end).unwrap_or_default();
                self.out.push(b'"');
                match kind {
                    Kind::Bytes => self.out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
                    Kind::Id(_) => hex(bytes, &mut self.out),
                    _ => escape(bytes, &mut self.out),
                }
                self.out.push(b'"');
            }
        }
    }

    /// Writes a number given the bits that were on the wire. 64-bit integers are texts.
    #[expect(clippy::cast_possible_truncation, reason = "as decoders do: the low 32 bits count")]
    fn number(&mut self, kind: Kind, bits: u64) {
        let out = &mut self.out;
        // Writing to a vector does not fail.
        let _ = match kind {
            Kind::Bool => write!(out, "{}", bits != 0),
            Kind::Double => double(f64::from_bits(bits), out),
            Kind::Fixed64 | Kind::UInt64 => write!(out, "\"{bits}\""),
            Kind::Int64 | Kind::SFixed64 => write!(out, "\"{}\"", bits.cast_signed()),
            Kind::Enum(_) | Kind::Int32 => write!(out, "{}", (bits as u32).cast_signed()),
            Kind::SInt32 => {
                let bits = bits as u32;
                write!(out, "{}", (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
            }
            _ => write!(out, "{}", bits as u32),
        };
    }
}

fn double(value: f64, out: &mut Vec<u8>) -> std::io::Result<()> {
    if value.is_nan() {
        write!(out, "\"NaN\"")
    } else if value.is_infinite() {
        write!(out, "{}", if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
    } else {
        // The shortest digits that lead back to the same number, with an exponent if that is long.
        write!(out, "{value:?}")
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    for byte in bytes {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(special(rest, 0).min(rest.len()));
        out.extend_from_slice(plain);
        let Some((byte, after)) = tail.split_first() else { return };
        rest = after;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                hex(&[*control], out);
            }
        }
    }
}
