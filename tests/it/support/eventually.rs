//! Waiting for what other threads do, with a deadline and without guessing how long it takes.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `condition` holds; `what` is for the message when it never does.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Far more than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);
