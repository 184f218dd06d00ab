//! Compressing whole bodies.
//!
//! Guarantees to reuse the encoders' state on each thread: gzip's is 270 kB. Knows nothing of what
//! the bytes mean.

use std::cell::RefCell;
use std::io::Write as _;

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, compress_bound};

use super::Coding;
use crate::batch::Rope;

/// The highest zstd level: beyond it, encoders announce windows that decoders need not accept.
const MOST_ZSTD_LEVEL: i32 = 19;

/// The first and the largest piece of a compressed body.
const FIRST: usize = 16 << 10;
const LARGEST: usize = 256 << 10;

/// Compresses a whole body; `level` is the library's own scale, `None` its default. For `gzip`,
/// `zlib` and `deflate` that is -2 to 9 as in Go, where -1 is the default and -2 (Huffman codes
/// only) becomes 1; for `zstd` any number. Other codings have no levels.
pub(crate) fn compress(coding: Coding, level: Option<i32>, body: &Rope) -> Rope {
    match coding {
        Coding::Deflate | Coding::Zlib => deflate(Wrapper::Zlib, level, body),
        Coding::Gzip => deflate(Wrapper::Gzip, level, body),
        Coding::Lz4 => lz4(body),
        Coding::Snappy => snappy(body),
        Coding::SnappyFramed => snappy_framed(body),
        Coding::Zstd => zstd(level, body),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapper {
    Gzip,
    Zlib,
}

thread_local! {
    static DEFLATE: RefCell<Option<(Wrapper, u32, Compress)>> = const { RefCell::new(None) };
    static ZSTD: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
}

fn deflate(wrapper: Wrapper, level: Option<i32>, body: &Rope) -> Rope {
    let level = match level.unwrap_or(-1) {
        level @ 0..=9 => level.unsigned_abs(),
        ..-1 => 1,
        -1 => 6,
        _ => 9,
    };
    DEFLATE.with_borrow_mut(|kept| {
        let mut encoder = match kept.take() {
            Some((kept_wrapper, kept_level, mut encoder))
                if (kept_wrapper, kept_level) == (wrapper, level) =>
            {
                encoder.reset();
                encoder
            }
            _ => match wrapper {
                Wrapper::Gzip => Compress::new_gzip(Compression::new(level), 15),
                Wrapper::Zlib => Compress::new(Compression::new(level), true),
            },
        };
        let out = deflate_with(&mut encoder, body);
        *kept = Some((wrapper, level, encoder));
        out
    })
}

fn deflate_with(encoder: &mut Compress, body: &Rope) -> Rope {
    let mut out = Rope::new();
    let mut piece = Vec::with_capacity((body.len() / 4).clamp(1 << 10, FIRST));
    let end = (&[][..], FlushCompress::Finish);
    let pieces = body.pieces().iter().map(|piece| (&piece[..], FlushCompress::None));
    for (mut input, flush) in pieces.chain([end]) {
        loop {
            let taken = encoder.total_in();
            // Fails only when called after the end of the stream.
            let status = encoder.compress_vec(input, &mut piece, flush).unwrap_or(Status::BufError);
            let taken = usize::try_from(encoder.total_in() - taken).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();
            if piece.len() == piece.capacity() && status != Status::StreamEnd {
                let next = Vec::with_capacity((piece.capacity() * 2).min(LARGEST));
                out.push(std::mem::replace(&mut piece, next).into());
            } else if input.is_empty() {
                break;
            }
        }
    }
    out.push(piece.into());
    out
}

fn zstd(level: Option<i32>, body: &Rope) -> Rope {
    ZSTD.with_borrow_mut(|kept| {
        let context = kept.get_or_insert_with(CCtx::create);
        // None of these can fail: there is no session, the level is in the library's range, and
        // what is set is the true size.
        let _ = context.reset(ResetDirective::SessionAndParameters);
        let level = level.unwrap_or_default().min(MOST_ZSTD_LEVEL);
        let _ = context.set_parameter(CParameter::CompressionLevel(level));
        let _ = context.set_pledged_src_size(Some(body.len() as u64));
        zstd_with(context, body)
    })
}

fn zstd_with(context: &mut CCtx<'static>, body: &Rope) -> Rope {
    let mut out = Rope::new();
    let mut piece = Vec::with_capacity(compress_bound(body.len()).min(FIRST));
    for input in body.pieces() {
        let mut input_buffer = InBuffer::around(input);
        while input_buffer.pos() < input.len() {
            let filled = piece.len();
            let mut target = OutBuffer::around_pos(&mut piece, filled);
            if context.compress_stream(&mut target, &mut input_buffer).is_err() {
                // Only for want of memory. A body without an end is refused by whoever reads it.
                return out;
            }
            make_room(&mut piece, &mut out);
        }
    }
    loop {
        let filled = piece.len();
        let mut target = OutBuffer::around_pos(&mut piece, filled);
        match context.end_stream(&mut target) {
            Ok(0) | Err(_) => break,
            Ok(_) => make_room(&mut piece, &mut out),
        }
    }
    out.push(piece.into());
    out
}

fn make_room(piece: &mut Vec<u8>, out: &mut Rope) {
    if piece.len() == piece.capacity() {
        let next = Vec::with_capacity((piece.capacity() * 2).clamp(FIRST, LARGEST));
        out.push(std::mem::replace(piece, next).into());
    }
}

/// A block holds at most 4 GiB. A larger body becomes no block at all, which whoever reads it
/// refuses.
fn snappy(body: &Rope) -> Rope {
    let compressed = snap::raw::Encoder::new().compress_vec(&body.to_bytes());
    Rope::from(bytes::Bytes::from(compressed.unwrap_or_default()))
}

fn snappy_framed(body: &Rope) -> Rope {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    // An empty body has no chunks, and the encoder writes its header before the first one.
    if body.is_empty() {
        return Rope::from(bytes::Bytes::from_static(b"\xff\x06\0\0sNaPpY"));
    }
    for piece in body.pieces() {
        // Writing to a vector does not fail.
        let _ = encoder.write_all(piece);
    }
    Rope::from(bytes::Bytes::from(encoder.into_inner().unwrap_or_default()))
}

fn lz4(body: &Rope) -> Rope {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    for piece in body.pieces() {
        // Writing to a vector does not fail.
        let _ = encoder.write_all(piece);
    }
    Rope::from(bytes::Bytes::from(encoder.finish().unwrap_or_default()))
}
