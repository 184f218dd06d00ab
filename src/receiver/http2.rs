//! What is peculiar to HTTP/2: the end of a refused request.
//!
//! Guarantees that a sender can read why a small request was refused. A stream whose answer is done
//! while its body is still coming is reset with NO_ERROR, as RFC 9113, 8.1 has it, and clients are
//! about that then report the reset and drop the answer (curl 7.88, OkHttp). Knows nothing of OTLP.

use std::time::Duration;

use super::read::{Frames, Source};

/// Longest time to wait for the rest of a body that is refused.
pub(super) const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Most bytes to read of it: what a client sends without being told to go on.
pub(super) const DRAIN_BYTES: usize = 64 << 10;

/// Reads what is left of a refused request if it is known to be little, or not known to be much.
pub(super) async fn finish<B: Frames>(source: &mut Source<B>) {
    if source.is_unread() && source.announced() <= DRAIN_BYTES as u64 {
        let _ended = source.drain(DRAIN_BYTES, DRAIN_TIME).await;
    }
}
