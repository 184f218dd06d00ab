//! From OTLP/JSON to protobuf, in one pass.
//!
//! Guarantees that nothing is kept but the protobuf form itself, and that nesting is bounded as in
//! the checker. Knows fields only by the schema.

use bytes::Bytes;

use super::astray;
use super::cursor::{Cursor, Text, too_deep};
use super::error::{Fault, JsonError, Parsed, TOO_LARGE, fault};
use super::number::{double, integer, quoted};
use super::plan::{Entry, Plan};
use super::text::{base64, unescape};
use super::writer::Writer;
use crate::otlp::check::MOST_LEVELS;
use crate::otlp::schema::{EnumType, Kind};
use crate::signal::Signal;

/// A request in protobuf, and what was left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The protobuf form.
    pub(crate) request: Bytes,
    /// How many keys were not known and so ignored.
    pub(crate) ignored: u64,
    /// The first of them, quoted and shortened.
    pub(crate) first_ignored: Option<String>,
}

/// The protobuf form of a text, of at most so many bytes.
pub(super) fn decode(signal: Signal, text: &[u8], most: usize) -> Result<Decoded, JsonError> {
    let mut decoder = Decoder {
        cursor: Cursor::new(text),
        writer: Writer::new(text.len(), most),
        scratch: Vec::new(),
        ignored: 0,
        first_ignored: None,
    };
    decoder.request(signal, text)?;
    Ok(Decoded {
        request: decoder.writer.into_bytes().into(),
        ignored: decoder.ignored,
        first_ignored: decoder.first_ignored,
    })
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    writer: Writer,
    /// For texts that have to be unescaped before they can be understood.
    scratch: Vec<u8>,
    ignored: u64,
    first_ignored: Option<String>,
}

impl<'a> Decoder<'a> {
    fn request(&mut self, signal: Signal, text: &[u8]) -> Parsed<()> {
        if text.is_empty() {
            return Err(fault("json_empty", "the body is empty: an empty request is {}"));
        }
        if text.starts_with(b"\xef\xbb\xbf") {
            return Err(fault("json_bom", "the body begins with a byte order mark: leave it out"));
        }
        if simdutf8::basic::from_utf8(text).is_err() {
            return Err(not_utf8(text));
        }
        self.cursor.token();
        if !self.cursor.is_null()? {
            self.message(Plan::request(signal), 0)?;
        }
        self.cursor.token();
        if !self.cursor.is_at_end() {
            let message = "there is something after the request: send one request in a body";
            return Err(fault("json_trailing", message));
        }
        Ok(())
    }

    /// An object here; `depth` is how many messages it is in.
    fn message(&mut self, plan: &'static Plan, depth: u32) -> Parsed<()> {
        if self.cursor.peek() != b'{' {
            return Err(self.cursor.mismatch("an object"));
        }
        self.cursor.step();
        if self.cursor.closes(b'}') {
            return Ok(());
        }
        let mut seen = 0;
        loop {
            self.cursor.token();
            let name = self.cursor.string("a key in double quotes")?;
            let entry = match name {
                Text::Plain(name) => plan.find(name),
                Text::Escaped(raw) => {
                    self.scratch.clear();
                    unescape(raw, &mut self.scratch)?;
                    plan.find(&self.scratch)
                }
            };
            self.cursor.expect(b':')?;
            self.cursor.token();
            match entry {
                Some(entry) => {
                    if let Err(fault) = self.field(plan, entry, &mut seen, depth) {
                        return Err(fault.in_field(entry.field.json));
                    }
                }
                None => self.unknown(name, depth)?,
            }
            if !self.cursor.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    #[inline(never)]
    fn unknown(&mut self, name: Text<'a>, depth: u32) -> Parsed<()> {
        let (Text::Plain(name) | Text::Escaped(name)) = name;
        self.ignored += 1;
        if self.first_ignored.is_none() {
            self.first_ignored = Some(quoted(name));
        }
        let text = self.cursor.rest();
        self.cursor.skip_value()?;
        let length = text.len() - self.cursor.rest().len();
        if depth == 0 { astray::check(name, text.get(..length).unwrap_or(text)) } else { Ok(()) }
    }

    #[inline(always)]
    fn field(&mut self, plan: &Plan, entry: &Entry, seen: &mut u32, depth: u32) -> Parsed<()> {
        if self.cursor.is_null()? {
            return Ok(());
        }
        if plan.choices & entry.bit != 0 && *seen & plan.choices & !entry.bit != 0 {
            let message = "excludes another key in the same object: only one of them may be there";
            return Err(fault("json_oneof", message));
        }
        // Defaults need not be written, except where their presence says something: for a choice,
        // for a key that was there before with another value, and for the optional doubles.
        let is_needed = (*seen | plan.choices) & entry.bit != 0;
        *seen |= entry.bit;
        match entry.field.kind {
            _ if entry.field.repeated => self.list(entry, depth),
            Kind::Message(_) => self.nested(entry, depth),
            Kind::String => self.string(entry, is_needed),
            Kind::Id(length) => self.id(entry, length),
            Kind::Bytes => self.bytes(entry, is_needed),
            _ => self.scalar(entry, is_needed),
        }
    }

    fn list(&mut self, entry: &Entry, depth: u32) -> Parsed<()> {
        if self.cursor.peek() != b'[' {
            return Err(self.cursor.mismatch("a list"));
        }
        self.cursor.step();
        if self.cursor.closes(b']') {
            return Ok(());
        }
        let packed = if entry.is_packed() {
            self.writer.key(entry.key);
            Some(self.writer.open(depth))
        } else {
            None
        };
        let mut index = 0;
        loop {
            self.cursor.token();
            if let Err(fault) = self.element(entry, depth) {
                return Err(fault.in_element(index));
            }
            // Numbers are what can take more room than their text.
            if packed.is_some() && self.writer.is_over() {
                return Err(fault(TOO_LARGE, "the request is too large in protobuf"));
            }
            if !self.cursor.goes_on(b']')? {
                break;
            }
            index += 1;
        }
        if let Some(open) = packed {
            self.writer.close(open);
        }
        Ok(())
    }

    /// An element of a list, where even a default must be written.
    #[inline(always)]
    fn element(&mut self, entry: &Entry, depth: u32) -> Parsed<()> {
        if self.cursor.is_null()? {
            if entry.is_packed() {
                match entry.field.kind {
                    Kind::Double | Kind::Fixed64 | Kind::SFixed64 => {
                        self.writer.buffer().extend_from_slice(&[0; 8]);
                    }
                    _ => self.writer.varint(0),
                }
            } else if matches!(entry.field.kind, Kind::Message(_)) && depth_left(depth) == 0 {
                return Err(fault("json_depth", too_deep(depth)));
            } else {
                self.writer.key(entry.key);
                self.writer.varint(0);
            }
            return Ok(());
        }
        match entry.field.kind {
            Kind::Message(_) => self.nested(entry, depth),
            Kind::String => self.string(entry, true),
            Kind::Bytes => self.bytes(entry, true),
            Kind::Id(length) => self.id(entry, length),
            kind => self.number(kind).map(|value| self.put(kind, value)),
        }
    }

    #[inline(always)]
    fn nested(&mut self, entry: &Entry, depth: u32) -> Parsed<()> {
        if depth_left(depth) == 0 {
            return Err(fault("json_depth", too_deep(depth)));
        }
        self.writer.key(entry.key);
        let open = self.writer.open(depth);
        self.message(entry.nested(), depth + 1)?;
        self.writer.close(open);
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self, entry: &Entry, is_needed: bool) -> Parsed<()> {
        match self.cursor.string("a text")? {
            Text::Plain([]) if !is_needed => {}
            Text::Plain(text) => {
                self.writer.key(entry.key);
                self.writer.sized(text);
            }
            Text::Escaped(raw) => {
                self.writer.key(entry.key);
                self.scratch.clear();
                unescape(raw, &mut self.scratch)?;
                self.writer.sized(&self.scratch);
            }
        }
        Ok(())
    }

    fn id(&mut self, entry: &Entry, length: usize) -> Parsed<()> {
        let wanted = "a text of hexadecimal digits";
        let text = match self.cursor.string(wanted)? {
            Text::Plain(text) => text,
            Text::Escaped(raw) => {
                self.scratch.clear();
                unescape(raw, &mut self.scratch)?;
                &self.scratch
            }
        };
        if text.is_empty() {
            return Ok(());
        }
        if text.len() != 2 * length {
            return Err(wrong_id(text, length));
        }
        self.writer.key(entry.key);
        self.writer.varint(length as u64);
        for pair in text.chunks_exact(2) {
            let [high, low] = [pair.first(), pair.last()].map(|digit| hex(digit.copied()));
            if (high | low) > 15 {
                return Err(wrong_id(text, length));
            }
            self.writer.buffer().push(high << 4 | low);
        }
        Ok(())
    }

    fn bytes(&mut self, entry: &Entry, is_needed: bool) -> Parsed<()> {
        let text = match self.cursor.string("a text in base64")? {
            Text::Plain(text) => text,
            Text::Escaped(raw) => {
                self.scratch.clear();
                unescape(raw, &mut self.scratch)?;
                &self.scratch
            }
        };
        let bytes = base64(text)
            .map_err(|error| fault("json_base64", format!("is not base64: {error}")))?;
        if is_needed || !bytes.is_empty() {
            self.writer.key(entry.key);
            self.writer.sized(&bytes);
        }
        Ok(())
    }

    #[inline(always)]
    fn scalar(&mut self, entry: &Entry, is_needed: bool) -> Parsed<()> {
        let kind = entry.field.kind;
        let value = self.number(kind)?;
        if is_needed || value != 0 || matches!(kind, Kind::Double) {
            self.writer.key(entry.key);
            self.put(kind, value);
        }
        Ok(())
    }

    /// A number, boolean or name, as the bits that go on the wire.
    #[inline(always)]
    fn number(&mut self, kind: Kind) -> Parsed<u64> {
        Ok(match kind {
            Kind::Fixed64 | Kind::UInt64 => integer(&mut self.cursor)?.unsigned(u64::MAX)?,
            Kind::Int64 | Kind::SFixed64 => integer(&mut self.cursor)?.signed64()?.cast_unsigned(),
            Kind::Fixed32 | Kind::UInt32 => {
                integer(&mut self.cursor)?.unsigned(u64::from(u32::MAX))?
            }
            Kind::Int32 => sign_extended(integer(&mut self.cursor)?.signed32()?),
            Kind::SInt32 => {
                let value = integer(&mut self.cursor)?.signed32()?;
                u64::from(((value << 1) ^ (value >> 31)).cast_unsigned())
            }
            Kind::Enum(names) => sign_extended(self.enumerated(names)?),
            Kind::Bool => u64::from(self.cursor.boolean()?),
            Kind::Double => double(&mut self.cursor)?.to_bits(),
            Kind::Bytes | Kind::Id(_) | Kind::Message(_) | Kind::String => 0,
        })
    }

    #[inline(always)]
    fn put(&mut self, kind: Kind, value: u64) {
        match kind {
            Kind::Double | Kind::Fixed64 | Kind::SFixed64 => {
                self.writer.buffer().extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed32 => {
                let [first, second, third, fourth, ..] = value.to_le_bytes();
                self.writer.buffer().extend_from_slice(&[first, second, third, fourth]);
            }
            _ => self.writer.varint(value),
        }
    }

    fn enumerated(&mut self, of: &'static EnumType) -> Parsed<i32> {
        let before = self.cursor.clone();
        if self.cursor.peek() == b'"'
            && let Text::Plain(name) = self.cursor.string("a name")?
        {
            if let Some((number, _)) = of.values.iter().find(|(_, known)| known.as_bytes() == name)
            {
                return Ok(*number);
            }
            if !name.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-') {
                let message = format!("{} is no {}", quoted(name), of.name);
                return Err(fault("json_enum", message));
            }
            self.cursor = before;
        }
        integer(&mut self.cursor)?.signed32()
    }
}

fn depth_left(depth: u32) -> usize {
    MOST_LEVELS.saturating_sub(depth as usize)
}

fn sign_extended(value: i32) -> u64 {
    i64::from(value).cast_unsigned()
}

/// The value of a hexadecimal digit; more than 15 for any other byte.
#[inline(always)]
fn hex(digit: Option<u8>) -> u8 {
    match digit {
        Some(digit @ b'0'..=b'9') => digit - b'0',
        Some(digit @ b'a'..=b'f') => digit - b'a' + 10,
        Some(digit @ b'A'..=b'F') => digit - b'A' + 10,
        _ => 0xff,
    }
}

#[cold]
fn wrong_id(text: &[u8], length: usize) -> Box<Fault> {
    let digits = 2 * length;
    let hint = match base64(text) {
        Ok(id) if id.len() == length => "looks like base64, must be hex: ",
        _ => "",
    };
    let found = quoted(text);
    fault("json_id", format!("{hint}must be {digits} hexadecimal digits, but is {found}"))
}

#[cold]
fn not_utf8(text: &[u8]) -> Box<Fault> {
    let at = std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len);
    fault("json_utf8", format!("the body is not UTF-8 at byte {at}"))
}
