//! The one clock of certificate dates, and spans of time in words.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
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
