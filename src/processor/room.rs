//! The bytes that edited requests hold beside those that came in.
//!
//! Guarantees that they never exceed a bound, for the whole gateway, and are given back when the
//! last who holds them lets go. Listeners count what arrives, and an edit may make many times as
//! much of it. Knows nothing of edits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

/// A number of bytes to be held at one time; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    limit: usize,
    held: Arc<AtomicUsize>,
}

impl Room {
    /// For so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// So many bytes in all.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The same bytes, counted until they are dropped; `None` when there is no room for them.
    pub(super) fn hold(&self, bytes: BytesMut) -> Option<Bytes> {
        // The counter guards no other memory, so its order with other accesses does not matter.
        let before = self.held.fetch_add(bytes.len(), Ordering::Relaxed);
        let held = Held { bytes, room: self.clone() };
        // Dropping what does not fit gives it back.
        let fits = before.saturating_add(held.bytes.len()) <= self.limit;
        fits.then(|| Bytes::from_owner(held))
    }
}

/// Bytes that are counted.
struct Held {
    bytes: BytesMut,
    room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_the_last_of_them_is_dropped() {
        let room = Room::new(10);
        let bytes = |length| BytesMut::from(vec![7; length].as_slice());
        let first = room.hold(bytes(6)).unwrap();
        assert_eq!(&first[..], [7; 6]);
        assert!(room.hold(bytes(5)).is_none());
        let second = room.hold(bytes(4)).unwrap();
        let part = first.slice(..1);
        drop(first);
        assert!(room.hold(bytes(1)).is_none(), "a part holds the whole");
        drop(part);
        drop(second);
        assert!(room.hold(bytes(10)).is_some());
    }
}
