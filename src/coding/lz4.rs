//! LZ4 frames.
//!
//! Guarantees that a frame is whole before it is inflated (the library takes a missing end for
//! the end), and that the number of frames is bounded: each costs memory of its block size.

use std::io;

use lz4_flex::frame::FrameDecoder;

use super::sink::Sink;
use super::snappy::read_all;
use super::{Coding, InflateError};
use crate::batch::Rope;

const MAGIC: u32 = 0x184d_2204;

/// The most frames in a body. Encoders write one; each may need 8 MiB to be inflated, so that
/// thousands of tiny ones would occupy a worker for minutes.
const MOST_FRAMES: usize = 16;

/// Inflates a whole body.
pub(super) fn inflate(
    mut body: &[u8],
    sink: &mut Sink,
    out: &mut Rope,
) -> Result<(), InflateError> {
    let coding = Coding::Lz4;
    if body.is_empty() {
        return Err(InflateError::Truncated { coding });
    }
    for _ in 0..MOST_FRAMES {
        let frame = frame(&mut body)?;
        let mut decoder = FrameDecoder::new(frame);
        // The library also says that there is no more after a block of nothing.
        while !decoder.get_ref().is_empty() {
            read_all(&mut decoder, frame.len(), sink, out)?
                .map_err(|error| InflateError::corrupt(coding, detail(&error)))?;
        }
        if body.is_empty() {
            return Ok(());
        }
    }
    Err(InflateError::corrupt(coding, "too many frames"))
}

/// What the library says; its message for the end of the input is of no use.
fn detail(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "a frame that does not fit its header".to_owned(),
        _ => error.to_string(),
    }
}

/// Takes one whole frame off the body, by the lengths in it.
fn frame<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], InflateError> {
    let coding = Coding::Lz4;
    let start = *body;
    let mut rest = start;
    let truncated = || InflateError::Truncated { coding };
    if number(&mut rest).ok_or_else(truncated)? != MAGIC {
        return Err(InflateError::corrupt(coding, "no frame header"));
    }
    let [flags, _block_size, tail @ ..] = rest else { return Err(truncated()) };
    let has = |bit: u8| flags & (1 << bit) != 0;
    let (has_content_size, has_dictionary) = (has(3), has(0));
    let (has_content_sum, has_block_sums) = (has(2), has(4));
    let more = if has_content_size { 8 } else { 0 } + if has_dictionary { 4 } else { 0 } + 1;
    rest = tail.get(more..).ok_or_else(truncated)?;
    loop {
        let length = number(&mut rest).ok_or_else(truncated)?;
        if length == 0 {
            break;
        }
        let sum = if has_block_sums { 4 } else { 0 };
        // The highest bit says that the block is not compressed.
        let length = usize::try_from(length & 0x7fff_ffff).unwrap_or(usize::MAX);
        rest = rest.get(length.saturating_add(sum)..).ok_or_else(truncated)?;
    }
    if has_content_sum {
        number(&mut rest).ok_or_else(truncated)?;
    }
    let (frame, tail) = start.split_at(start.len() - rest.len());
    *body = tail;
    Ok(frame)
}

/// Takes a number of four bytes.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u32::from_le_bytes(*bytes))
}
