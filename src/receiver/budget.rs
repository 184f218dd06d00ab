//! The bytes that the requests of one listener may hold at one time.
//!
//! Guarantees that what is held never exceeds the budget and is given back when a request ends,
//! however it ends. Knows nothing of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Shared by all connections of a listener.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    held: AtomicUsize,
}

/// The part of a budget that one request holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Budget,
    held: usize,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Others hold what it needs.
    ForNow,
    /// It needs more than the whole budget, in bytes.
    ForEver(usize),
}

/// What a request costs that sends nothing: its stream, its task, its head.
const REQUEST: usize = 8 << 10;

/// So many requests fit into any budget: a small one is not for empty requests alone.
const REQUESTS: usize = 1 << 16;

impl Budget {
    /// A budget of so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit, held: AtomicUsize::new(0) }))
    }

    /// Bytes that may be held.
    pub(super) fn limit(&self) -> usize {
        self.0.limit
    }

    /// Bytes held at the moment.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// The reservation of a request that begins; `None` when there is no room for it.
    ///
    /// It holds what a request costs before its first byte. Without that, those who open streams
    /// and send nothing would be free of charge.
    pub(super) fn request(&self) -> Option<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), held: 0 };
        reservation.grow((self.0.limit / REQUESTS).min(REQUEST)).ok()?;
        Some(reservation)
    }
}

impl Reservation {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// The budget does not have them, and nothing is taken.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Lack> {
        let inner = &self.budget.0;
        // The counter guards no other memory, so its order with other accesses does not matter.
        // Requests that fail for lack of room undo what they added; meanwhile others see less
        // room than there is, never more.
        let before = inner.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > inner.limit {
            inner.held.fetch_sub(bytes, Ordering::Relaxed);
            let fits_alone = self.held.saturating_add(bytes) <= inner.limit;
            return Err(if fits_alone { Lack::ForNow } else { Lack::ForEver(inner.limit) });
        }
        self.held += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_all_of_its_bytes_and_not_one_more() {
        let budget = Budget::new(10);
        let mut first = budget.request().unwrap();
        let mut second = budget.request().unwrap();
        first.grow(6).unwrap();
        assert_eq!(second.grow(5), Err(Lack::ForNow));
        second.grow(4).unwrap();
        assert_eq!(first.grow(1), Err(Lack::ForNow));
        assert_eq!(first.grow(5), Err(Lack::ForEver(10)));
        assert_eq!(budget.held(), 10);
        drop(first);
        assert_eq!(second.grow(7), Err(Lack::ForEver(10)));
        second.grow(6).unwrap();
        drop(second);
        assert_eq!(budget.held(), 0);
    }

    /// Scenario: streams are opened and nothing is sent. Guarantees: they are counted too.
    #[test]
    fn requests_without_a_byte_use_the_budget_up() {
        let budget = Budget::new(512 << 20);
        let open: Vec<_> = std::iter::from_fn(|| budget.request()).take(70_000).collect();
        assert_eq!(open.len(), REQUESTS);
        drop(open);
        assert_eq!(budget.held(), 0);
        assert!(budget.request().is_some());
    }
}
