//! When an upstream's answer must be there.

use std::time::Duration;

use tokio::time::Instant;

/// Time kept back for the way of the answer, so that it reaches a sender before it gives up: a
/// tenth of what is left, within these bounds.
const LEAST: Duration = Duration::from_millis(10);
const MOST: Duration = Duration::from_millis(250);

/// The longest wait when nobody names one.
const NO_TIMEOUT: Duration = Duration::from_secs(3600);

/// The exporter's timeout from now, or earlier when the sender gives up earlier.
pub(super) fn deadline(sender: Instant, timeout: Option<Duration>) -> Instant {
    let now = Instant::now();
    let left = sender.saturating_duration_since(now);
    let left = left.saturating_sub((left / 10).clamp(LEAST, MOST));
    now + left.min(timeout.unwrap_or(NO_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_answer_is_due_before_the_sender_gives_up() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let timeout = Some(Duration::from_secs(5));
        assert_eq!(deadline(after(60_000), timeout), after(5_000));
        assert_eq!(deadline(after(5_000), timeout), after(4_750));
        assert_eq!(deadline(after(1_000), timeout), after(900));
        assert_eq!(deadline(after(20), timeout), after(10));
        assert_eq!(deadline(after(0), timeout), now);
        assert_eq!(deadline(after(60_000), None), after(59_750));
    }
}
