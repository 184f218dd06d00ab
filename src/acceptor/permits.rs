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

/// Peers that have not said a whole hello.
#[derive(Debug)]
pub(super) struct Silent {
    count: AtomicUsize,
    /// So many of them are no crowd.
    most: usize,
}

impl Silent {
    /// On a listener that takes so many connections at one time.
    pub(super) fn of(max_connections: usize) -> Self {
        Self { count: AtomicUsize::new(0), most: max_connections / CROWD }
    }

    /// Counts a peer until the guard is dropped.
    pub(super) fn begin(&self) -> Waiting<'_> {
        Waiting::begin(&self.count)
    }

    /// Ends when a peer that begins now has been silent for its share of time and there is a crowd
    /// of them: whoever opens connections and says nothing must not use up those of the others.
    pub(super) async fn is_crowd(&self) {
        sleep(SHARE).await;
        while self.count.load(Ordering::Relaxed) <= self.most {
            sleep(LOOK_AGAIN).await;
        }
    }
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
pub(super) struct Waiting<'a>(&'a AtomicUsize);

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
/// A quarter of the connections of a listener.
const CROWD: usize = 4;
