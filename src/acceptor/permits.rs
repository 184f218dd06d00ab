//! How many handshakes are under way at one time, and who makes room for whom.
//!
//! Guarantees that no more than the cap are, and that whoever stands still in the middle of one does
//! not hold others up: after its share of time it makes room for those who wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};

/// See the module.
#[derive(Debug)]
pub(super) struct Permits {
    free: Semaphore,
    waiting: AtomicUsize,
}

impl Permits {
    /// So many at one time.
    pub(super) fn new(count: usize) -> Self {
        Self { free: Semaphore::new(count), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a permit; `None` when there was none before the deadline.
    pub(super) async fn take(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.free.try_acquire() {
            return Some(permit);
        }
        let _waiting = Waiting::begin(&self.waiting);
        timeout_at(deadline, self.free.acquire()).await.ok()?.ok()
    }

    /// Ends when a handshake that begins now has had its share of time and others wait.
    pub(super) async fn needed(&self) {
        sleep(SHARE).await;
        while self.waiting.load(Ordering::Relaxed) == 0 {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Counts one as waiting for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handshake takes a round trip or two and a few milliseconds.
const SHARE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
