//! Snappy, as one block or in the framing format.
//!
//! Guarantees that a block's declared length is held against the limit, and against what its bytes
//! can yield, before memory is taken for it.

use std::io;

use snap::raw::Decoder;
use snap::read::FrameDecoder;

use super::sink::Sink;
use super::{Coding, InflateError};
use crate::batch::Rope;

/// How every framed body begins. As a block these bytes would declare 895 bytes and then go wrong.
const FRAMED: &[u8; 10] = b"\xff\x06\0\0sNaPpY";

/// The most a block can yield, by input byte: a copy of 64 bytes takes three.
const MOST_RATIO: usize = 22;

/// The most input a block can need, by output byte: a literal of one byte with the longest length.
const MOST_OVERHEAD: usize = 6;

/// A body in the block format, unless it turns out to be framed.
#[derive(Debug, Default)]
pub(super) struct Block {
    body: Vec<u8>,
    declared: Option<usize>,
}

impl Block {
    /// Takes the next bytes of the body.
    pub(super) fn push(&mut self, piece: &[u8], sink: &Sink) -> Result<(), InflateError> {
        let most = match self.declared {
            Some(declared) => declared.saturating_mul(MOST_OVERHEAD).saturating_add(16),
            None => usize::MAX,
        };
        if self.body.len().saturating_add(piece.len()) > most {
            return Err(corrupt("bytes after the end"));
        }
        self.body.extend_from_slice(piece);
        if self.declared.is_none() && !FRAMED.starts_with(&self.body) && !self.is_framed() {
            self.declared = match declared(&self.body)? {
                Some(declared) if declared > sink.limit() => return Err(sink.too_large()),
                declared => declared,
            };
        }
        Ok(())
    }

    /// Whether the body is in the framing format after all.
    pub(super) fn is_framed(&self) -> bool {
        self.declared.is_none() && self.body.starts_with(FRAMED)
    }

    /// How many bytes were taken.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The bytes taken.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Inflates the body.
    pub(super) fn finish(self, sink: &Sink, out: &mut Rope) -> Result<(), InflateError> {
        let truncated = InflateError::Truncated { coding: Coding::Snappy };
        let declared = match self.declared {
            Some(declared) => declared,
            None => declared(&self.body)?.ok_or_else(|| truncated.clone())?,
        };
        if declared > sink.limit() {
            return Err(sink.too_large());
        }
        if declared / MOST_RATIO > self.body.len() {
            return Err(truncated);
        }
        let mut inflated = vec![0; declared];
        let length = Decoder::new().decompress(&self.body, &mut inflated).map_err(|error| {
            match error {
                // Elements that reach beyond the input, or end before the declared length is there.
                snap::Error::Literal { .. }
                | snap::Error::CopyRead { .. }
                | snap::Error::HeaderMismatch { .. } => truncated,
                error => corrupt(error.to_string()),
            }
        })?;
        inflated.truncate(length);
        out.push(inflated.into());
        Ok(())
    }
}

/// The length that a block declares in its first bytes; `None` when more are needed.
fn declared(body: &[u8]) -> Result<Option<usize>, InflateError> {
    let mut value = 0_u64;
    for (at, &byte) in body.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            let length = u32::try_from(value).map_err(|_beyond| corrupt("no length"))?;
            return usize::try_from(length).map(Some).map_err(|_beyond| corrupt("no length"));
        }
    }
    if body.len() < 5 { Ok(None) } else { Err(corrupt("no length")) }
}

/// Inflates a whole body in the framing format.
pub(super) fn inflate_framed(
    body: &[u8],
    sink: &mut Sink,
    out: &mut Rope,
) -> Result<(), InflateError> {
    let coding = Coding::SnappyFramed;
    if body.is_empty() {
        return Err(InflateError::Truncated { coding });
    }
    let mut decoder = FrameDecoder::new(body);
    read_all(&mut decoder, body.len(), sink, out)?.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => InflateError::Truncated { coding },
        _ => InflateError::corrupt(coding, error.to_string()),
    })
}

/// Reads all that a decoder yields. The outer error is the limit's.
pub(super) fn read_all(
    decoder: &mut impl io::Read,
    waiting: usize,
    sink: &mut Sink,
    out: &mut Rope,
) -> Result<io::Result<()>, InflateError> {
    loop {
        let piece = sink.room(waiting, out);
        let filled = piece.len();
        piece.resize(piece.capacity(), 0);
        let read = decoder.read(piece.get_mut(filled..).unwrap_or_default());
        piece.truncate(filled + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => return Ok(Ok(())),
            Ok(length) => sink.wrote(length)?,
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn corrupt(detail: impl Into<std::borrow::Cow<'static, str>>) -> InflateError {
    InflateError::corrupt(Coding::Snappy, detail)
}
