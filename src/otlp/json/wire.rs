//! The fields of a protobuf message, one after the other.
//!
//! Guarantees to end at the first byte that makes no sense. Knows nothing of the schema.

use crate::otlp::schema::Kind;

/// A part of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// A varint, or four or eight bytes.
    Number(u64),
    /// A text, bytes, a message or packed numbers.
    Range(Range),
}

impl Value {
    /// Its range, if it is one.
    pub(super) fn range(&self) -> Option<Range> {
        match self {
            Self::Range(range) => Some(*range),
            Self::Number(_) => None,
        }
    }
}

/// Yields numbers and values of fields; groups are left out.
#[derive(Clone, Debug)]
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Wire<'a> {
    /// The fields in a part of these bytes.
    pub(super) fn new(bytes: &'a [u8], part: Range) -> Self {
        Self { bytes, at: part.start, end: part.end }
    }

    /// The next packed number, as the bits of one that is not packed.
    pub(super) fn packed(&mut self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::Double | Kind::Fixed64 | Kind::SFixed64 => self.fixed::<8>(),
            Kind::Fixed32 => self.fixed::<4>(),
            _ => self.varint(),
        }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).filter(|_| self.at < self.end)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn fixed<const N: usize>(&mut self) -> Option<u64> {
        let bytes = self.bytes.get(self.at..self.end)?.first_chunk::<N>()?;
        self.at += N;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn sized(&mut self) -> Option<Range> {
        let length = usize::try_from(self.varint()?).ok()?;
        let start = self.at;
        let end = start.checked_add(length).filter(|end| *end <= self.end)?;
        self.at = end;
        Some(Range { start, end })
    }

    /// Goes to the end of a group: that is where there are as many ends as starts.
    fn skip_group(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.varint()? & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed::<8>()?),
                2 => drop(self.sized()?),
                3 => depth += 1,
                4 => depth -= 1,
                5 => drop(self.fixed::<4>()?),
                _ => return None,
            }
        }
        Some(())
    }
}

impl Iterator for Wire<'_> {
    type Item = (u32, Value);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = u32::try_from(self.varint()?).ok()?;
            let value = match key & 7 {
                0 => Value::Number(self.varint()?),
                1 => Value::Number(self.fixed::<8>()?),
                2 => Value::Range(self.sized()?),
                3 => {
                    self.skip_group()?;
                    continue;
                }
                5 => Value::Number(self.fixed::<4>()?),
                _ => return None,
            };
            return Some((key >> 3, value));
        }
    }
}
