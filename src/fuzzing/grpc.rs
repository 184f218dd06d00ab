//! The framing of gRPC, against its definition.

use super::{cut, frames, mode};
use crate::batch::Rope;
use crate::receiver::{Deframer, FrameError, parse_timeout};

/// Takes the rest of the input apart as the body of a call, whole and in frames; also reads it as
/// a `grpc-timeout`.
pub fn grpc(data: &[u8]) {
    let (mode, rest) = mode(data);
    let limit = match mode >> 5 {
        0 => 0,
        1 => 1,
        2 => 16,
        3 => 300,
        _ => 64 << 20,
    };
    let whole = deframe(limit, &cut(rest, &[rest.len().max(1)]));
    let split = deframe(limit, &cut(rest, frames(mode)));
    assert_eq!(whole, split, "frames matter");
    assert_eq!(whole, defined(limit, rest));
    if let Some(time) = parse_timeout(rest) {
        assert!((2..=9).contains(&rest.len()), "{time:?}");
    }
}

type Message = Result<(bool, Vec<u8>), FrameError>;

fn deframe(limit: usize, body: &Rope) -> Message {
    let mut deframer = Deframer::new(limit);
    let mut message = Vec::new();
    for piece in body.pieces() {
        message.extend_from_slice(&deframer.push(piece.clone())?);
    }
    deframer.finish()?;
    Ok((deframer.compressed().expect("the prefix is there"), message))
}

/// One byte of flags, four of length, and exactly one message of that length.
fn defined(limit: usize, body: &[u8]) -> Message {
    let Some(([flag, length @ ..], rest)) = body.split_first_chunk::<5>() else {
        let missing = 5 - body.len();
        return Err(if body.is_empty() {
            FrameError::Missing
        } else {
            FrameError::Short { missing }
        });
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).expect("a 32-bit machine at least");
    if *flag > 1 {
        Err(FrameError::Flag(*flag))
    } else if length > limit {
        Err(FrameError::TooLarge { length, limit })
    } else if rest.len() < length {
        Err(FrameError::Short { missing: length - rest.len() })
    } else if rest.len() > length {
        Err(FrameError::Trailing)
    } else {
        Ok((*flag == 1, rest.to_vec()))
    }
}
