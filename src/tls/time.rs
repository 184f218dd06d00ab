//! The one clock of certificate dates, and spans of time in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix time in seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

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

/// `3 days ago`, `in 2 hours`.
pub(crate) fn ago(at: i64, now: i64) -> String {
    let distance = at.abs_diff(now);
    let (count, unit) = match distance {
        0..60 => (distance, "second"),
        60..3600 => (distance / 60, "minute"),
        3600..172_800 => (distance / 3600, "hour"),
        _ => (distance / 86400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if at > now {
        format!("in {count} {unit}{plural}")
    } else {
        format!("{count} {unit}{plural} ago")
    }
}
