//! Inflating: bounded, whatever comes, and the inverse of compressing.

use bytes::Bytes;

use super::cut;
use crate::batch::Rope;
use crate::coding::{Coding, InflateError, Inflater, compress};

/// Inflates the rest of the input under a limit, whole and in pieces; the first byte says which
/// coding, the second the limit. With the highest bit set, compresses it first.
pub fn inflate(data: &[u8]) {
    let [first, second, rest @ ..] = data else { return };
    let coding = Coding::ALL[usize::from(first & 0x0f) % Coding::ALL.len()];
    let limit = 1_usize << (second & 0x0f).min(20);
    let frames: &[usize] = match second >> 5 {
        0 => &[1],
        1 => &[3],
        2 => &[17, 1],
        _ => &[500],
    };
    if first & 0x80 != 0 {
        let level = (first & 0x40 != 0).then(|| i32::from(second >> 4) - 2);
        let body = compress(coding, level, &Rope::from(Bytes::copy_from_slice(rest)));
        let found = inflated(coding, limit, body.pieces());
        if rest.len() <= limit {
            assert_eq!(found.expect("our own body inflates"), rest);
        } else {
            assert_eq!(found, Err(InflateError::TooLarge { limit }));
        }
        return;
    }
    let whole = inflated(coding, limit, &[Bytes::copy_from_slice(rest)]);
    let split = inflated(coding, limit, cut(rest, frames).pieces());
    match (whole, split) {
        (Ok(whole), Ok(split)) => assert_eq!(whole, split),
        (Err(_), Err(_)) => {}
        (whole, split) => panic!("pieces matter: {:?} {:?}", whole.err(), split.err()),
    }
}

fn inflated(coding: Coding, limit: usize, body: &[Bytes]) -> Result<Vec<u8>, InflateError> {
    let mut inflater = Inflater::new(coding, limit);
    let mut out = Rope::new();
    for piece in body {
        let taken = inflater.push(piece, &mut out);
        assert!(out.len() <= limit, "{} bytes in spite of the limit {limit}", out.len());
        taken?;
    }
    inflater.finish(&mut out)?;
    assert!(out.len() <= limit, "{} bytes in spite of the limit {limit}", out.len());
    Ok(out.to_bytes().to_vec())
}
