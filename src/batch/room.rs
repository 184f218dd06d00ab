//! The bytes that requests hold beside those that came in: edited ones, and those that leave as JSON.
//!
//! Guarantees that they never exceed a bound, for the whole gateway, and are given back when the
//! last who holds them lets go. Listeners count what arrives, and an edit or another encoding may
//! make many times as much of it. Knows nothing of either.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

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
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The same bytes, counted until they are dropped; `None` when there is no room for them.
    pub(crate) fn hold(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Option<Bytes> {
        let length = bytes.as_ref().len();
        // The counter guards no other memory, so its order with other accesses does not matter.
        let before = self.held.fetch_add(length, Ordering::Relaxed);
        let held = Held { bytes, length, room: self.clone() };
        // Dropping what does not fit gives it back.
        let fits = before.saturating_add(length) <= self.limit;
        fits.then(|| Bytes::from_owner(held))
    }
}

/// Bytes that are counted.
struct Held<B> {
    bytes: B,
    length: usize,
    room: Room,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Held<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<B> Drop for Held<B> {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.length, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_the_last_of_them_is_dropped() {
        let room = Room::new(10);
        let bytes = |length| vec![7; length];
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
