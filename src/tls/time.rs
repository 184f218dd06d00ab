//! The one clock of certificate dates, and spans of time in words.
//!
//! Guarantees that every certificate is judged by the same clock, handshakes included, and that
//! somebody notices when it is set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use tokio::time::Instant;

/// What this machine believes the time is.
pub(crate) fn clock() -> SystemTime {
    #[cfg(test)]
    if let Some(shifted) = testing::shifted() {
        return shifted;
    }
    SystemTime::now()
}

/// Unix time in seconds.
pub(crate) fn now() -> i64 {
    seconds(clock())
}

/// The same for the TLS library.
pub(crate) fn unix(unix_seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default()))
}

/// The clock as handshakes read it.
#[derive(Debug)]
pub(super) struct Handshakes;

impl TimeProvider for Handshakes {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(now()))
    }
}

/// Notices that the clock was set: it is compared with one that nobody can set.
#[derive(Debug)]
pub(crate) struct Jumps {
    clock: SystemTime,
    steady: Instant,
}

impl Jumps {
    /// Compares with now from now on.
    pub(crate) fn start() -> Self {
        Self { clock: clock(), steady: Instant::now() }
    }

    /// By how many seconds the clock was set since the last call, if it was. Its small corrections
    /// are none.
    pub(crate) fn noticed(&mut self) -> Option<i64> {
        let before = std::mem::replace(self, Self::start());
        let passed = self.steady.saturating_duration_since(before.steady);
        let by = seconds(self.clock).saturating_sub(seconds(before.clock + passed));
        (by.abs() > MOST_CORRECTION).then_some(by)
    }
}

/// Seconds. A machine that slept is seen as one whose clock was set forward.
const MOST_CORRECTION: i64 = 300;

/// The instant of a Unix time; what lies before 1970 is 1970.
pub(crate) fn system(unix_seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default())
}

/// The first of these Unix times that is still to come, plus the second that it lasts.
pub(crate) fn next(boundaries: impl Iterator<Item = i64>) -> Option<SystemTime> {
    let now = now();
    let next = boundaries.filter(|at| *at >= now).min()?;
    Some(system(next.saturating_add(1)))
}

/// Unix time of an instant.
pub(crate) fn seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// How long it is until a Unix time; nothing, if it has passed.
pub(crate) fn until(unix_seconds: i64) -> Duration {
    system(unix_seconds).duration_since(clock()).unwrap_or_default()
}

/// `3 days ago`, `in 2 hours`.
pub(crate) fn ago(at: i64, now: i64) -> String {
    let distance = span(at.abs_diff(now));
    if at > now { format!("in {distance}") } else { format!("{distance} ago") }
}

/// `3 days`, `2 hours`.
pub(crate) fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that a test sets, for its own thread.

    use std::cell::Cell;

    use super::*;

    thread_local! {
        static SHIFT: Cell<i64> = const { Cell::new(0) };
    }

    pub(super) fn shifted() -> Option<SystemTime> {
        let by = SHIFT.get();
        let distance = Duration::from_secs(by.unsigned_abs());
        let now = SystemTime::now();
        match by {
            0 => None,
            1.. => Some(now + distance),
            _ => Some(now - distance),
        }
    }

    /// The clock of this thread goes wrong by so many seconds, until the value is dropped.
    #[derive(Debug)]
    pub(crate) struct Shift;

    impl Shift {
        pub(crate) fn by(seconds: i64) -> Self {
            SHIFT.set(seconds);
            Self
        }
    }

    impl Drop for Shift {
        fn drop(&mut self) {
            SHIFT.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Shift;
    use super::*;

    /// Scenario: hours pass; the clock is corrected by minutes, set by a year, and set back.
    /// Guarantees: only what no clock does by itself is noticed, once and with its direction.
    #[tokio::test(start_paused = true)]
    async fn t46_a_clock_that_is_set_is_noticed_once() {
        let mut jumps = Jumps::start();
        assert_eq!(jumps.noticed(), None);
        let _corrected = Shift::by(200);
        assert_eq!(jumps.noticed(), None);
        let _year = Shift::by(YEAR);
        assert!(jumps.noticed().is_some_and(|by| (YEAR - 201..=YEAR - 199).contains(&by)));
        assert_eq!(jumps.noticed(), None);
        let _back = Shift::by(-YEAR);
        assert!(jumps.noticed().is_some_and(|by| (-2 * YEAR - 1..=-2 * YEAR + 1).contains(&by)));
        assert_eq!(jumps.noticed(), None);
        let _hours_later = Shift::by(-YEAR + 7200);
        tokio::time::advance(Duration::from_secs(7200)).await;
        assert_eq!(jumps.noticed(), None);
    }

    /// Guarantees: what ends with a second is judged again when that second is over, and what has
    /// ended is not waited for.
    #[test]
    fn the_next_boundary_is_the_second_after_the_last_one_that_counts() {
        let now = now() + 100;
        assert_eq!(next([now + 5, now].into_iter()), Some(system(now + 1)));
        assert_eq!(next([now - 200].into_iter()), None);
    }

    const YEAR: i64 = 365 * 86400;
}
