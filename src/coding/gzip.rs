//! The gzip format (RFC 1952): members of a header, a DEFLATE stream and a trailer.
//!
//! Guarantees to check every checksum, and that a member costs no more than its bytes: the
//! library's own gzip decoder makes a new state of 45 kB for each. Knows nothing of DEFLATE.

use flate2::Crc;

use super::flate::{Inflate, Stop};
use super::inflate::Stepped;
use super::sink::Sink;
use super::{Coding, InflateError, Progress};
use crate::batch::Rope;

/// A body of one or more members.
#[derive(Debug)]
pub(super) struct Gzip {
    inflate: Inflate,
    step: Step,
    /// Of what the member inflates to.
    crc: Crc,
    members: u64,
    /// There may be more to be had without further input.
    is_paused: bool,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum Step {
    Header(Header),
    Body,
    /// The number of bytes taken, and the bytes.
    Trailer(usize, [u8; 8]),
}

impl Gzip {
    /// Nothing was taken yet.
    pub(super) fn new() -> Self {
        Self {
            inflate: Inflate::new(Coding::Gzip, false),
            step: Step::Header(Header::new()),
            crc: Crc::new(),
            members: 0,
            is_paused: false,
        }
    }

    /// Takes the next bytes of the body, or goes on after a pause.
    pub(super) fn step(&mut self, input: &mut &[u8], sink: &mut Sink, out: &mut Rope) -> Stepped {
        while std::mem::take(&mut self.is_paused) || !input.is_empty() {
            match &mut self.step {
                Step::Header(header) => {
                    let is_whole = header.push(input).map_err(|detail| {
                        let first = self.members == 0;
                        self.inflate.corrupt(if first { detail } else { "bytes after the end" })
                    })?;
                    if is_whole {
                        self.step = Step::Body;
                    }
                }
                Step::Body => match self.inflate.step(input, sink, out, Some(&mut self.crc))? {
                    Stop::End => self.step = Step::Trailer(0, [0; 8]),
                    Stop::Hungry => {}
                    Stop::Pause => {
                        self.is_paused = true;
                        return Ok(Progress::Paused);
                    }
                },
                Step::Trailer(taken, trailer) => {
                    for (slot, byte) in trailer.iter_mut().skip(*taken).zip(take(input, 8 - *taken))
                    {
                        *slot = *byte;
                        *taken += 1;
                    }
                    if *taken == 8 {
                        let trailer = *trailer;
                        self.end_member(trailer)?;
                    }
                }
            }
        }
        Ok(Progress::Done)
    }

    /// Whether the body may end here.
    pub(super) fn is_whole(&self) -> bool {
        matches!(&self.step, Step::Header(header) if header.is_empty()) && self.members > 0
    }

    fn end_member(&mut self, trailer: [u8; 8]) -> Result<(), InflateError> {
        let sums = [self.crc.sum(), self.crc.amount()].map(u32::to_le_bytes);
        if trailer.as_slice() != sums.as_flattened() {
            return Err(self.inflate.corrupt("wrong checksum"));
        }
        self.inflate.restart();
        self.step = Step::Header(Header::new());
        self.crc.reset();
        self.members += 1;
        Ok(())
    }
}

/// The header of a member, byte by byte.
#[derive(Debug)]
struct Header {
    flags: u8,
    part: Part,
    /// Of the header.
    crc: Crc,
}

/// Where in the header the next byte is.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The ten fixed bytes; so many were taken.
    Fixed(u8),
    /// The length of the extra field, its first byte.
    ExtraLow,
    /// Its second byte, after this one.
    ExtraHigh(u8),
    /// So many bytes are left of the extra field.
    Extra(u16),
    /// A text that ends with a zero byte.
    Name,
    /// Another one.
    Comment,
    /// The checksum of the header, its first byte.
    SumLow(u16),
    /// Its second byte, after a right one.
    SumHigh(u16),
    /// The header is whole.
    End,
}

const HAS_SUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

impl Header {
    fn new() -> Self {
        Self { flags: 0, part: Part::Fixed(0), crc: Crc::new() }
    }

    fn is_empty(&self) -> bool {
        matches!(self.part, Part::Fixed(0))
    }

    /// Takes bytes until the header is whole; true when it is.
    fn push(&mut self, input: &mut &[u8]) -> Result<bool, &'static str> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.part = self.next(byte)?;
            self.crc.update(&[byte]);
            if matches!(self.part, Part::SumLow(_)) {
                #[expect(clippy::cast_possible_truncation, reason = "RFC 1952: the low half")]
                let sum = self.crc.sum() as u16;
                self.part = Part::SumLow(sum);
            }
            if matches!(self.part, Part::End) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next(&mut self, byte: u8) -> Result<Part, &'static str> {
        let [low, high] = match self.part {
            Part::SumLow(sum) | Part::SumHigh(sum) => sum.to_le_bytes(),
            _ => [0, 0],
        };
        Ok(match self.part {
            Part::Fixed(0) if byte != 0x1f => return Err("no gzip header"),
            Part::Fixed(1) if byte != 0x8b => return Err("no gzip header"),
            Part::Fixed(2) if byte != 8 => return Err("unknown compression method"),
            Part::Fixed(3) if byte & RESERVED != 0 => return Err("unknown header flags"),
            Part::Fixed(taken) => {
                if taken == 3 {
                    self.flags = byte;
                }
                if taken == 9 { self.after(Part::Fixed(9)) } else { Part::Fixed(taken + 1) }
            }
            Part::ExtraLow => Part::ExtraHigh(byte),
            Part::ExtraHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.after(Part::Extra(0)),
                length => Part::Extra(length),
            },
            Part::Extra(left) if left > 1 => Part::Extra(left - 1),
            Part::Name | Part::Comment if byte != 0 => self.part,
            Part::Extra(_) | Part::Name | Part::Comment => self.after(self.part),
            Part::SumLow(sum) if byte == low => Part::SumHigh(sum),
            Part::SumHigh(_) if byte == high => Part::End,
            Part::SumLow(_) | Part::SumHigh(_) => return Err("wrong header checksum"),
            Part::End => Part::End,
        })
    }

    /// The next part that the flags name after this one.
    fn after(&self, part: Part) -> Part {
        let passed = match part {
            Part::Fixed(_) => 0,
            Part::Extra(_) => 1,
            Part::Name => 2,
            _ => 3,
        };
        if passed < 1 && self.flags & HAS_EXTRA != 0 {
            Part::ExtraLow
        } else if passed < 2 && self.flags & HAS_NAME != 0 {
            Part::Name
        } else if passed < 3 && self.flags & HAS_COMMENT != 0 {
            Part::Comment
        } else if self.flags & HAS_SUM != 0 {
            Part::SumLow(0)
        } else {
            Part::End
        }
    }
}

/// Takes the first `most` bytes, or as many as there are.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}
