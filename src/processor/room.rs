//! The bytes that edited requests hold beside those that came in.
//!
//! Guarantees that they never exceed a bound, for the whole process, and are given back when the
//! last who holds them lets go. Listeners count what arrives, and an edit may make many times as
//! much of it. Knows nothing of edits.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

/// A number of bytes to be held at one time.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    held: AtomicUsize,
}

/// For the whole process.
pub(super) static ROOM: Room = Room::new(MOST_HELD);

/// As much as a listener holds by default.
pub(super) const MOST_HELD: usize = 512 << 20;

impl Room {
    const fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }

    /// The same bytes, counted until they are dropped; `None` when there is no room for them.
    pub(super) fn hold(&'static self, bytes: BytesMut) -> Option<Bytes> {
        // The counter guards no other memory, so its order with other accesses does not matter.
        let before = self.held.fetch_add(bytes.len(), Ordering::Relaxed);
        let held = Held { bytes, room: self };
        // Dropping what does not fit gives it back.
        let fits = before.saturating_add(held.bytes.len()) <= self.limit;
        fits.then(|| Bytes::from_owner(held))
    }
}

/// Bytes that are counted.
struct Held {
    bytes: BytesMut,
    room: &'static Room,
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
        static ROOM: Room = Room::new(10);
        let bytes = |length| BytesMut::from(vec![7; length].as_slice());
        let first = ROOM.hold(bytes(6)).unwrap();
        assert_eq!(&first[..], [7; 6]);
        assert!(ROOM.hold(bytes(5)).is_none());
        let second = ROOM.hold(bytes(4)).unwrap();
        let part = first.slice(..1);
        drop(first);
        assert!(ROOM.hold(bytes(1)).is_none(), "a part holds the whole");
        drop(part);
        drop(second);
        assert!(ROOM.hold(bytes(10)).is_some());
    }
}
