//! When to try to connect again, and what a request is told meanwhile.

use std::time::Duration;

use crate::exporter::upstream::ConnectError;

/// The pause after the second failed attempt, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no connection for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acquire {
    pub(crate) error: ConnectError,
    /// When another try makes sense.
    pub(crate) retry_after: Duration,
}

/// The pause after so many failures in a row. The first is followed by another attempt at once: it
/// says little, since an upstream that restarts or takes new certificates says goodbye to a
/// handshake under way, too.
pub(super) fn after(failures: u32) -> Option<Duration> {
    (failures > 1).then(|| doubled(failures - 1, LONGEST_PAUSE))
}

/// Twice as long after each failure.
pub(super) fn doubled(failures: u32, longest: Duration) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_no_reason_to_pause_and_many_pause_a_second() {
        let pauses = [1, 2, 3, 9, u32::MAX].map(|n| after(n).map(|pause| pause.as_millis()));
        assert_eq!(pauses, [None, Some(100), Some(200), Some(1000), Some(1000)]);
    }
}
