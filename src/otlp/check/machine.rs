//! The thorough way: any byte may be the last of its frame.
//!
//! Guarantees that its state between frames is of bounded size, and that the time for a frame is
//! linear in its length. Leaves whole fields to [`super::walk`].

use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::count::Count;
use super::error::{CheckError, Fault, Place};
use super::plan::{ANY_VALUE, KEY_VALUE, METRIC, Op, Plan};
use super::scan::{LONGEST_FRAME, LONGEST_VARINT};
use super::text::Text;
use super::walk::walk;
use super::{Checked, MOST_LEVELS};
use crate::otlp::schema::{MESSAGES, index};
use crate::signal::Signal;

/// An export request under check. After an error it is of no further use.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    /// The innermost open message or group; the first is the request.
    here: Open,
    /// Those around it, the request first; at most [`MOST_LEVELS`]. What is usual has its place
    /// here, as a checker is moved several times for each request.
    around: SmallVec<[Open; USUAL_LEVELS]>,
    /// Bytes of the request taken so far.
    offset: u64,
    step: Step,
    number: Varint,
    /// Number of the field at hand; nothing between fields.
    field: Option<NonZeroU32>,
    count: Count,
    /// Up to here fields are not left to the walker, which has stopped in them before.
    slow_until: u64,
}

/// From the request down to the values of a span's attributes.
const USUAL_LEVELS: usize = 8;

/// An open message or group.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Offset of its end; for a group, that of the message it is in.
    end: u64,
    /// The field number, if it is a group.
    group: Option<NonZeroU32>,
    /// Index of its type; for a group, of the message it is in.
    message: u8,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The key of a field, or the end of a message.
    Key,
    /// The length of a field.
    Length(Op),
    /// A varint whose value does not matter.
    Varint,
    /// Varints up to this offset.
    Packed(u64),
    /// Bytes that do not matter, up to this offset.
    Skip(u64),
    /// Text up to this offset.
    Text(u64, Text),
}

/// The part of a varint that was taken.
#[derive(Clone, Copy, Debug, Default)]
struct Varint {
    value: u64,
    len: usize,
}

impl Checker {
    /// A checker that has seen nothing.
    pub(crate) fn new(signal: Signal) -> Self {
        let message = match signal {
            Signal::Traces => const { index("ExportTraceServiceRequest") },
            Signal::Metrics => const { index("ExportMetricsServiceRequest") },
            Signal::Logs => const { index("ExportLogsServiceRequest") },
            Signal::Profiles => const { index("ExportProfilesServiceRequest") },
        };
        let request = Open { end: u64::MAX, group: None, message };
        Self {
            here: request,
            around: SmallVec::new(),
            offset: 0,
            step: Step::Key,
            number: Varint::default(),
            field: None,
            count: Count::default(),
            slow_until: 0,
        }
    }

    /// Takes the next bytes of the request.
    ///
    /// # Errors
    ///
    /// When no bytes that may follow could make the request valid.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<(), CheckError> {
        let mut rest = frame;
        while self.advance(&mut rest).map_err(|fault| self.error(fault))? {}
        Ok(())
    }

    /// Says what the request is, when all of its bytes were taken.
    ///
    /// # Errors
    ///
    /// When the request ends inside a field or a message.
    pub(crate) fn finish(mut self) -> Result<Checked, CheckError> {
        self.push(&[])?;
        match self.step {
            Step::Key if self.around.is_empty() && self.number.len == 0 => {
                Ok(Checked { items: self.count.items() })
            }
            _ => Err(self.error(Fault::Truncated)),
        }
    }

    /// Items that have begun.
    pub(super) fn items_so_far(&self) -> u64 {
        self.count.items()
    }

    /// Goes one step; false when there is nothing left to go on with.
    fn advance(&mut self, rest: &mut &[u8]) -> Result<bool, Fault> {
        match self.step {
            Step::Key => {
                if self.number.len == 0 {
                    self.close()?;
                    self.walk(rest);
                    self.close()?;
                }
                match self.varint(rest, self.here.end)? {
                    Some(key) => self.start_field(key).map(|()| true),
                    None => Ok(false),
                }
            }
            Step::Length(op) => match self.varint(rest, self.here.end)? {
                Some(length) => self.start_value(op, length, rest).map(|()| true),
                None => Ok(false),
            },
            Step::Varint => {
                let done = self.varint(rest, self.here.end)?.is_some();
                Ok(done && self.next_field())
            }
            Step::Packed(end) if self.offset == end && self.number.len == 0 => {
                Ok(self.next_field())
            }
            Step::Packed(end) => Ok(self.varint(rest, end)?.is_some()),
            Step::Skip(end) => {
                self.take(rest, end);
                Ok(self.offset == end && self.next_field())
            }
            Step::Text(end, mut text) => {
                let start = self.offset;
                let piece = self.take(rest, end);
                if let Err(position) = text.push(piece) {
                    self.offset = start + position as u64;
                    return Err(Fault::Utf8);
                }
                self.step = Step::Text(end, text);
                if self.offset == end && !text.is_whole() {
                    return Err(Fault::Utf8);
                }
                Ok(self.offset == end && self.next_field())
            }
        }
    }

    /// Leaves messages whose end is reached.
    fn close(&mut self) -> Result<(), Fault> {
        while self.offset == self.here.end && !self.around.is_empty() {
            if self.here.group.is_some() {
                return Err(Fault::Group);
            }
            self.leave();
        }
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(outer) = self.around.pop() {
            self.here = outer;
        }
    }

    fn enter(&mut self, inner: Open) -> Result<(), Fault> {
        if self.around.len() == MOST_LEVELS {
            return Err(Fault::Depth);
        }
        self.around.push(self.here);
        self.here = inner;
        self.next_field();
        Ok(())
    }

    /// The field at hand is done, or there is none yet; always true.
    fn next_field(&mut self) -> bool {
        self.step = Step::Key;
        self.field = None;
        true
    }

    /// Lets the walker take the fields that lie whole in the frame.
    fn walk(&mut self, rest: &mut &[u8]) {
        // What a part of a `Metric` holds depends on the parts before.
        if self.here.group.is_none()
            && self.here.message != METRIC
            && self.offset >= self.slow_until
        {
            let window = until(rest, self.here.end - self.offset);
            let end = u32::try_from(window.len().min(LONGEST_FRAME)).unwrap_or_default();
            let plan = Plan::of(self.here.message);
            let walked = walk(rest, plan, (0, end), self.levels());
            self.count.add(walked.items);
            self.skip(rest, walked.at as usize);
        }
    }

    /// How many messages may still be nested in the one at hand.
    fn levels(&self) -> u32 {
        u32::try_from(MOST_LEVELS - self.around.len()).unwrap_or_default()
    }

    /// Takes the bytes before `end` that are in the frame.
    fn take<'a>(&mut self, rest: &mut &'a [u8], end: u64) -> &'a [u8] {
        let piece = until(rest, end - self.offset);
        self.skip(rest, piece.len());
        piece
    }

    fn skip(&mut self, rest: &mut &[u8], bytes: usize) {
        *rest = rest.get(bytes..).unwrap_or_default();
        self.offset += bytes as u64;
    }

    /// The varint at hand, when all of it has arrived; it must not reach beyond `end`.
    fn varint(&mut self, rest: &mut &[u8], end: u64) -> Result<Option<u64>, Fault> {
        loop {
            if self.offset == end {
                return Err(Fault::Overrun);
            }
            let Some((&byte, tail)) = rest.split_first() else { return Ok(None) };
            *rest = tail;
            self.offset += 1;
            if self.number.len == LONGEST_VARINT - 1 && byte > 1 {
                return Err(Fault::Varint);
            }
            self.number.value |= u64::from(byte & 0x7f) << (7 * self.number.len);
            self.number.len += 1;
            if byte < 0x80 {
                let value = self.number.value;
                self.number = Varint::default();
                return Ok(Some(value));
            }
        }
    }

    /// The key of a field is known.
    fn start_field(&mut self, key: u64) -> Result<(), Fault> {
        let Ok(key) = u32::try_from(key) else { return Err(Fault::Key) };
        let number = NonZeroU32::new(key >> 3).ok_or(Fault::Key)?;
        self.field = Some(number);
        let op = match self.here.group {
            Some(_) => Op::Other,
            None => Plan::of(self.here.message).by_key(key),
        };
        self.step = match op {
            Op::Other => return self.start_other(number, key & 7),
            Op::Varint => Step::Varint,
            Op::Fixed32 => Step::Skip(self.end(4)?),
            Op::Fixed64 => Step::Skip(self.end(8)?),
            _ => Step::Length(op),
        };
        Ok(())
    }

    /// A field that is not known, or not in this wire type.
    fn start_other(&mut self, number: NonZeroU32, wire_type: u32) -> Result<(), Fault> {
        if wire_type > 5 {
            return Err(Fault::Key);
        }
        if wire_type == 4 {
            if self.here.group != Some(number) {
                return Err(Fault::Group);
            }
            self.leave();
            self.next_field();
            return Ok(());
        }
        if self.here.group.is_none() && self.known(number).is_some() {
            return Err(Fault::WireType { found: wire_type });
        }
        if self.around.len() == MOST_LEVELS {
            return Err(Fault::Depth);
        }
        self.step = match wire_type {
            0 => Step::Varint,
            1 => Step::Skip(self.end(8)?),
            2 => Step::Length(Op::Bytes),
            3 => return self.enter(Open { group: Some(number), ..self.here }),
            _ => Step::Skip(self.end(4)?),
        };
        Ok(())
    }

    /// The length of a value is known.
    fn start_value(&mut self, op: Op, length: u64, rest: &mut &[u8]) -> Result<(), Fault> {
        let end = self.end(length)?;
        self.step = match op {
            Op::Text => Step::Text(end, Text::default()),
            Op::PackedVarint => Step::Packed(end),
            Op::Id(expected) if length != 0 && length != u64::from(expected) => {
                return Err(Fault::IdLength { expected, found: length });
            }
            Op::PackedFixed64 if !length.is_multiple_of(8) => return Err(Fault::Overrun),
            Op::KeyValue => return self.start_message(KEY_VALUE, end, rest),
            Op::AnyValue => return self.start_message(ANY_VALUE, end, rest),
            Op::Message(message) => return self.start_message(message, end, rest),
            Op::Item(message) => {
                self.count.add(1);
                return self.start_message(message, end, rest);
            }
            Op::Choice(message) => {
                self.count.choose(message);
                return self.start_message(message, end, rest);
            }
            _ => Step::Skip(end),
        };
        Ok(())
    }

    /// Enters a message. If it lies whole in the frame and the walker does not get through it now,
    /// it never does: it is spared from trying again at every level inside.
    fn start_message(&mut self, message: u8, end: u64, rest: &mut &[u8]) -> Result<(), Fault> {
        self.enter(Open { end, group: None, message })?;
        if message == METRIC {
            self.count.forget_choice();
        }
        let is_whole = rest.len() as u64 >= end - self.offset;
        if is_whole && message != METRIC && self.offset >= self.slow_until {
            self.walk(rest);
            self.slow_until = end;
        }
        Ok(())
    }

    /// Where a value of this length ends.
    fn end(&self, length: u64) -> Result<u64, Fault> {
        if length > self.here.end - self.offset {
            return Err(Fault::Overrun);
        }
        Ok(self.offset + length)
    }

    /// The name of the field with this number in the message at hand.
    fn known(&self, number: NonZeroU32) -> Option<&'static str> {
        let message = MESSAGES.get(usize::from(self.here.message))?;
        message.field(number.get()).map(|field| field.proto)
    }

    fn error(&self, fault: Fault) -> CheckError {
        let message = MESSAGES.get(usize::from(self.here.message)).map_or("", |m| m.name);
        let place = match (self.field, self.here.group) {
            (Some(number), None) => match self.known(number) {
                Some(field) => Place::Field { message, field },
                None => Place::Unknown { message, number: number.get() },
            },
            (_, Some(number)) => Place::Unknown { message, number: number.get() },
            (None, None) => Place::Message { message },
        };
        CheckError { fault, place, offset: self.offset }
    }
}

/// The first `length` bytes, or all.
fn until(bytes: &[u8], length: u64) -> &[u8] {
    usize::try_from(length).ok().and_then(|length| bytes.get(..length)).unwrap_or(bytes)
}
