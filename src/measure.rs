//! What `benches/` measures of the inside. No part of the interface.

use bytes::Bytes;

use crate::batch::Rope;
use crate::otlp::check;
use crate::signal::Signal;

/// Checks a request of the named signal that came in these frames: how many items are in it, or
/// nothing when it is refused.
pub fn check(signal: &str, frames: &[Bytes]) -> Option<u64> {
    let request: Rope = frames.iter().cloned().collect();
    check::check(Signal::from_name(signal)?, &request).ok().map(|checked| checked.items)
}
