//! How the gateway stops: one drain with one deadline, and the requests that begin it.
//!
//! Guarantees that everyone learns of the drain, however late they ask, and that its deadline is
//! only ever moved nearer.

mod requests;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use requests::Request;
pub(crate) use requests::SystemRequests;

/// Begins a drain. Dropping it ends the drain at once.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<Option<Instant>>);

/// Learns of a drain; clones learn of the same one.
#[derive(Clone, Debug)]
pub(crate) struct Draining(watch::Receiver<Option<Instant>>);

impl Drain {
    /// A drain that has not begun.
    pub(crate) fn new() -> (Self, Draining) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), Draining(receiver))
    }

    /// Begins it, or moves its deadline nearer.
    pub(crate) fn begin(&self, deadline: Instant) {
        self.0.send_modify(|current| {
            *current = Some(current.map_or(deadline, |known| known.min(deadline)));
        });
    }
}

impl Draining {
    /// Waits until the drain has begun. Cancel-safe.
    pub(crate) async fn begun(&mut self) {
        // An error means that nobody is left to begin it: the end.
        let _begun_or_over = self.0.wait_for(Option::is_some).await;
    }

    /// Waits until the drain's deadline is over. Cancel-safe.
    pub(crate) async fn over(&mut self) {
        loop {
            let deadline = *self.0.borrow_and_update();
            let Some(deadline) = deadline else {
                if self.0.changed().await.is_err() {
                    return;
                }
                continue;
            };
            // Both branches are cancel-safe.
            tokio::select! {
                () = sleep_until(deadline) => return,
                moved = self.0.changed() => if moved.is_err() {
                    return;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Scenario: a drain of a minute has begun; then it is told to end in a second.
    /// Guarantees: it ends in a second, and a later deadline changes nothing.
    #[tokio::test(start_paused = true)]
    async fn a_deadline_only_moves_nearer() {
        let (drain, mut draining) = Drain::new();
        let start = Instant::now();
        drain.begin(start + Duration::from_secs(60));
        draining.begun().await;
        drain.begin(start + Duration::from_secs(1));
        drain.begin(start + Duration::from_secs(30));
        draining.over().await;
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_dropped_drain_is_over() {
        let (drain, mut draining) = Drain::new();
        drop(drain);
        draining.begun().await;
        draining.over().await;
    }
}
