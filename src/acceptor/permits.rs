//! How many handshakes are under way at one time, and who makes room for whom.
//!
//! Guarantees that no more than the cap are, and that whoever stands still in the middle of one does
//! not hold others up: after its share of time it makes room for those who wait.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};

/// See the module.
#[derive(Debug)]
pub(super) struct Permits {
    free: Semaphore,
    waiting: Crowd,
}

/// Those who wait for something, and whom they send away when they are too many.
#[derive(Debug)]
pub(super) struct Crowd {
    count: AtomicUsize,
    /// So many of them are no crowd.
    most: usize,
    /// Rung once by each who comes to a crowd.
    bell: Notify,
}

impl Crowd {
    /// Peers that have not said a whole hello, on a listener that takes so many connections at one
    /// time: whoever opens connections and says nothing must not use up those of the others.
    pub(super) fn of_silent(max_connections: usize) -> Self {
        Self::above(max_connections / SILENT)
    }

    fn above(most: usize) -> Self {
        Self { count: AtomicUsize::new(0), most, bell: Notify::new() }
    }

    /// Counts one more until the guard is dropped.
    pub(super) fn join(&self) -> Waiting<'_> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.bell.notify_one();
        }
        Waiting(&self.count)
    }

    /// Ends when whoever begins now has had its share of time and there is a crowd. Each who comes
    /// to it sends at most one away that has had its share before.
    pub(super) async fn is_there(&self) {
        sleep(SHARE).await;
        loop {
            let mut rung = pin!(self.bell.notified());
            // Listens before it looks: two may come at once, and the bell remembers only one ring
            // that nobody heard.
            rung.as_mut().enable();
            if self.count.load(Ordering::Relaxed) > self.most {
                return;
            }
            rung.await;
        }
    }
}

/// Counts one as waiting for as long as it lives.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Permits {
    /// So many at one time.
    pub(super) fn new(count: usize) -> Self {
        Self { free: Semaphore::new(count), waiting: Crowd::above(0) }
    }

    /// Waits for a permit; `None` when there was none before the deadline.
    pub(super) async fn take(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.free.try_acquire() {
            return Some(permit);
        }
        let _waiting = self.waiting.join();
        timeout_at(deadline, self.free.acquire()).await.ok()?.ok()
    }

    /// Ends when a handshake that begins now has had its share of time and others wait.
    pub(super) async fn needed(&self) {
        self.waiting.is_there().await;
    }
}

/// A handshake takes a round trip or two and a few milliseconds.
const SHARE: Duration = Duration::from_secs(1);
/// A quarter of the connections of a listener.
const SILENT: usize = 4;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Guarantees: a handshake that stands still where nobody waits is not looked at again and
    /// again.
    #[tokio::test(start_paused = true)]
    async fn nothing_runs_for_a_handshake_that_nobody_waits_for() {
        let permits = Permits::new(1);
        let _held = permits.take(Instant::now()).await;
        let mut needed = pin!(permits.needed());
        let mut turns = 0;
        let counted = poll_fn(|context| {
            turns += 1;
            needed.as_mut().poll(context)
        });
        assert!(timeout(LONG, counted).await.is_err(), "nobody waited");
        // At the begin, at the end of its share, and at the end of the test.
        assert!(turns <= 3, "{turns} turns within an hour");
    }

    /// Scenario: four handshakes have had their share for long; then one begins to wait, and then
    /// two at once.
    /// Guarantees: each that waits sends one away, at once.
    #[tokio::test(start_paused = true)]
    async fn each_that_waits_sends_one_away() {
        let permits = Arc::new(Permits::new(4));
        let mut held = JoinSet::new();
        for _ in 0..4 {
            let permits = Arc::clone(&permits);
            held.spawn(async move {
                let permit = permits.take(Instant::now()).await;
                permits.needed().await;
                drop(permit);
            });
        }
        sleep(LONG).await;
        for waiting in [1, 2] {
            let before = held.len();
            let began = Instant::now();
            let mut come = JoinSet::new();
            for _ in 0..waiting {
                let permits = Arc::clone(&permits);
                come.spawn(async move {
                    let permit = permits.take(Instant::now() + LONG).await;
                    // It stays.
                    permit.expect("no room was made").forget();
                });
            }
            come.join_all().await;
            sleep(SHARE / 2).await;
            while held.try_join_next().is_some() {}
            assert_eq!(before - held.len(), waiting, "so many were sent away");
            assert_eq!(began.elapsed(), SHARE / 2, "they waited");
        }
    }

    /// Guarantees: who waited and got a permit, or waits no longer, sends nobody away.
    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_over_sends_nobody_away() {
        let permits = Permits::new(1);
        let held = permits.take(Instant::now()).await;
        assert!(permits.take(Instant::now() + SHARE).await.is_none());
        drop(held);
        let _held = permits.take(Instant::now()).await;
        assert!(timeout(LONG, permits.needed()).await.is_err());
    }
}
