//! Inflating one body, whatever its coding.
//!
//! Guarantees that what goes out is bounded by the limit and that memory on the way is bounded by
//! what came in. Knows the formats only by the modules beside it.

use std::borrow::Cow;

use super::flate::Zlib;
use super::gzip::Gzip;
use super::sink::Sink;
use super::snappy::{self, Block};
use super::zstandard::Zstandard;
use super::{Coding, lz4};
use crate::batch::Rope;

/// Why a body could not be inflated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InflateError {
    /// Not in the format that its header names, or damaged.
    #[error("the body is not valid {}: {detail}", coding.http_name())]
    Corrupt {
        /// The coding announced.
        coding: Coding,
        /// What the decoder says.
        detail: Cow<'static, str>,
    },
    /// It inflates to more than the limit.
    #[error("the body inflates to more than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// It ends before its end.
    #[error("the {} body ends too early", coding.http_name())]
    Truncated {
        /// The coding announced.
        coding: Coding,
    },
}

/// How far the bytes were inflated that were handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    /// All of them.
    Done,
    /// Not all yet, so that others get their turn: call [`Inflater::step`] again, with what is
    /// left of the bytes.
    Paused,
}

/// How a step of a decoder went.
pub(super) type Stepped = Result<Progress, InflateError>;

/// Inflates one body as its frames arrive. After an error it is of no further use.
#[derive(Debug)]
pub(crate) struct Inflater {
    decoder: Decoder,
    coding: Coding,
    sink: Sink,
}

/// The bytes of the rarer codings are collected and inflated at the end.
#[derive(Debug)]
enum Decoder {
    Gzip(Gzip),
    Lz4(Vec<u8>),
    SnappyBlock(Block),
    SnappyFramed(Vec<u8>),
    Zlib(Zlib),
    Zstd(Zstandard),
}

impl Inflater {
    /// `limit` is the most bytes the inflated body may have.
    pub(crate) fn new(coding: Coding, limit: usize) -> Self {
        let decoder = match coding {
            Coding::Deflate | Coding::Zlib => Decoder::Zlib(Zlib::new(coding)),
            Coding::Gzip => Decoder::Gzip(Gzip::new()),
            Coding::Lz4 => Decoder::Lz4(Vec::new()),
            Coding::Snappy => Decoder::SnappyBlock(Block::default()),
            Coding::SnappyFramed => Decoder::SnappyFramed(Vec::new()),
            Coding::Zstd => Decoder::Zstd(Zstandard::new()),
        };
        Self { decoder, coding, sink: Sink::new(limit) }
    }

    /// The coding of the bytes taken so far: the announced one, except that a `snappy` body in
    /// framing format is [`Coding::SnappyFramed`].
    pub(crate) fn coding(&self) -> Coding {
        self.coding
    }

    /// Takes the next bytes of the body and appends what they inflate to, as far as it fills
    /// whole pieces.
    ///
    /// # Errors
    /// The body is corrupt or inflates beyond the limit.
    pub(crate) fn push(&mut self, mut piece: &[u8], out: &mut Rope) -> Result<(), InflateError> {
        while self.step(&mut piece, out)? == Progress::Paused {}
        Ok(())
    }

    /// The same in steps, each of bounded work: takes bytes off the front of `input`.
    ///
    /// # Errors
    /// The body is corrupt or inflates beyond the limit.
    pub(crate) fn step(
        &mut self,
        input: &mut &[u8],
        out: &mut Rope,
    ) -> Result<Progress, InflateError> {
        match &mut self.decoder {
            Decoder::Gzip(gzip) => return gzip.step(input, &mut self.sink, out),
            Decoder::Zlib(zlib) => return zlib.step(input, &mut self.sink, out),
            Decoder::Zstd(zstd) => return zstd.step(input, &mut self.sink, out),
            Decoder::Lz4(body) | Decoder::SnappyFramed(body) => collect(body, input, &self.sink)?,
            Decoder::SnappyBlock(block) => {
                block.push(input, &self.sink)?;
                if block.is_framed() {
                    self.coding = Coding::SnappyFramed;
                    self.decoder = Decoder::SnappyFramed(std::mem::take(block).into_body());
                }
            }
        }
        *input = &[];
        Ok(Progress::Done)
    }

    /// How many bytes wait for [`Inflater::finish`] to be inflated, all at once.
    pub(crate) fn waiting(&self) -> usize {
        match &self.decoder {
            Decoder::Gzip(_) | Decoder::Zlib(_) | Decoder::Zstd(_) => 0,
            Decoder::Lz4(body) | Decoder::SnappyFramed(body) => body.len(),
            Decoder::SnappyBlock(block) => block.len(),
        }
    }

    /// The body has ended; appends what was still held back.
    ///
    /// # Errors
    /// The body ended too early, or a coding that is inflated at the end is corrupt or too large.
    pub(crate) fn finish(self, out: &mut Rope) -> Result<(), InflateError> {
        let Self { decoder, coding, mut sink } = self;
        let is_whole = match decoder {
            Decoder::Gzip(gzip) => gzip.is_whole(),
            Decoder::Lz4(body) => {
                lz4::inflate(&body, &mut sink, out)?;
                true
            }
            Decoder::SnappyBlock(block) => return block.finish(&sink, out),
            Decoder::SnappyFramed(body) => {
                snappy::inflate_framed(&body, &mut sink, out)?;
                true
            }
            Decoder::Zlib(zlib) => zlib.is_whole(),
            Decoder::Zstd(zstd) => zstd.is_whole(),
        };
        if !is_whole {
            return Err(InflateError::Truncated { coding });
        }
        sink.finish(out);
        Ok(())
    }
}

impl InflateError {
    pub(super) fn corrupt(coding: Coding, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Corrupt { coding, detail: detail.into() }
    }
}

/// Keeps bytes until the end. What is much longer than it may become is refused at once: these
/// formats add little to what they cannot compress.
fn collect(body: &mut Vec<u8>, piece: &[u8], sink: &Sink) -> Result<(), InflateError> {
    let most = sink.limit().saturating_add(sink.limit() / 4).saturating_add(1 << 10);
    if body.len().saturating_add(piece.len()) > most {
        return Err(sink.too_large());
    }
    body.extend_from_slice(piece);
    Ok(())
}
