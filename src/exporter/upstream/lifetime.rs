//! How long a connection may live that was opened with a certificate of ours.

use std::time::Duration;

use tokio::time::Instant;

/// A connection must be gone so long before the certificate that it carries ends.
const MARGIN: Duration = Duration::from_secs(30);
/// What requests in flight get before that.
const DRAIN: Duration = Duration::from_secs(30);
/// No timer is set further ahead.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a connection stops taking requests, and when it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// New requests go elsewhere from here on.
    pub(crate) rest: Instant,
    /// What is still in flight is cut off.
    pub(crate) end: Instant,
}

impl Lifetime {
    /// Of a connection opened `left` before its certificate ends. One that is opened in the last
    /// minute, because there is no newer certificate, may use it to its end.
    pub(super) fn new(left: Duration) -> Self {
        let now = Instant::now();
        let left = left.min(LONGEST);
        match left.checked_sub(MARGIN + DRAIN).filter(|rest| !rest.is_zero()) {
            Some(rest) => Self { rest: now + rest, end: now + rest + DRAIN },
            None => Self { rest: now + left / 4 * 3, end: now + left },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_drained_a_minute_and_gone_half_a_minute_before_its_certificate_ends() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let of = |seconds| Lifetime::new(Duration::from_secs(seconds));
        assert_eq!(of(3600), Lifetime { rest: after(3540), end: after(3570) });
        assert_eq!(of(61), Lifetime { rest: after(1), end: after(31) });
        assert_eq!(of(40), Lifetime { rest: after(30), end: after(40) });
        assert_eq!(of(u64::MAX).end, now + LONGEST - MARGIN);
    }
}
