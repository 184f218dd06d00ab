//! What the fuzz targets call, and the replay of their seeds by the test suite.
//!
//! Each function takes any bytes and panics when a promise of the module it is named after does
//! not hold. `fuzz/README.md` says how they are run.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a panic is how a fuzz target reports"
)]

mod answer;
mod checker;
mod config;
mod crl;
mod grpc;
mod identity;
mod inflate;
mod json;
mod pem;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use checker::checker;
pub use config::config;
pub use crl::crl;
pub use grpc::grpc;
pub use identity::identity;
pub use inflate::inflate;
pub use json::json;
pub use pem::pem;

use bytes::Bytes;

use crate::batch::Rope;
use crate::signal::Signal;

/// The first byte of an input, which says how to use the rest.
fn mode(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(mode, rest)| (*mode, rest))
}

/// The signal that the low two bits name.
fn signal(mode: u8) -> Signal {
    match mode & 3 {
        0 => Signal::Traces,
        1 => Signal::Metrics,
        2 => Signal::Logs,
        _ => Signal::Profiles,
    }
}

/// Lengths into which an input is cut, in turn: what arrives may be cut anywhere.
fn frames(mode: u8) -> &'static [usize] {
    match mode >> 2 & 7 {
        0 => &[1],
        1 => &[2],
        2 => &[7],
        3 => &[0, 13, 1],
        4 => &[64, 1, 3],
        5 => &[100],
        6 => &[255, 2],
        _ => &[1024],
    }
}

/// The bytes with damage: an offset of two bytes, a byte and a kind of damage, as long as there is
/// more. The last kind takes away as many as the byte says.
fn damaged(bytes: Vec<u8>, recipe: &[u8]) -> Vec<u8> {
    damaged_or_cut(bytes, recipe, |bytes, at, byte| {
        let end = (at + usize::from(byte)).min(bytes.len());
        drop(bytes.drain(at..end));
    })
}

/// The same, where the last kind is this one.
fn damaged_or_cut(mut bytes: Vec<u8>, recipe: &[u8], cut: fn(&mut Vec<u8>, usize, u8)) -> Vec<u8> {
    for change in recipe.chunks_exact(4) {
        let [low, high, byte, how] = *change else { break };
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
        match how & 3 {
            0 => bytes.splice(at..=at, [byte]).for_each(drop),
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => cut(&mut bytes, at, byte),
        }
    }
    bytes
}

/// The bytes in pieces of these lengths.
fn cut(bytes: &[u8], frames: &[usize]) -> Rope {
    let mut rest = bytes;
    let mut rope = Rope::new();
    for &length in frames.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        rope.push(Bytes::copy_from_slice(piece));
        rest = tail;
    }
    rope
}
