//! How many files the connections of senders may use up.
//!
//! Guarantees that some are left, however many senders come: without one no upstream can be reached
//! again, and no new certificate read.

use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the process may have open for senders; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Descriptors {
    free: Arc<Semaphore>,
    room: usize,
}

impl Descriptors {
    /// For this much.
    pub(super) fn new(room: usize) -> Self {
        let room = room.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(room)), room }
    }

    /// What the limit of open files leaves.
    pub(crate) fn of_this_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::new(room(usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// One of them; `None` when there is none.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// How many there are in all.
    pub(super) fn room(&self) -> usize {
        self.room
    }
}

impl Default for Descriptors {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

fn room(limit: usize) -> usize {
    limit.saturating_sub((limit / 4).min(MOST_KEPT))
}

/// Upstream connections, probes and scrapers, certificates, threads: far fewer than this.
const MOST_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_kept_and_of_a_large_limit_less() {
        assert_eq!([0, 100, 1024, 1 << 20].map(room), [0, 75, 768, (1 << 20) - 1024]);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let descriptors = Descriptors::new(1);
        let taken = descriptors.take().unwrap();
        assert!(descriptors.take().is_none());
        drop(taken);
        assert!(descriptors.take().is_some());
    }
}
