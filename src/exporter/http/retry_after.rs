//! `Retry-After`: seconds or an HTTP date (check H16).

use std::time::{Duration, SystemTime};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// The delay from `now`; `None` when it is unreadable or over.
pub(super) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = PrimitiveDateTime::parse(value, IMF_FIXDATE).ok()?.assume_utc();
    Duration::try_from(at - OffsetDateTime::from(now)).ok()
}

const IMF_FIXDATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_the_past_is_no_delay() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        assert_eq!(parse("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 ", now), Some(Duration::ZERO));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse(date, now), Some(Duration::from_secs(30)));
        assert_eq!(parse(date, now + Duration::from_secs(31)), None);
        assert_eq!(parse("soon", now), None);
        assert_eq!(parse("-5", now), None);
    }
}
