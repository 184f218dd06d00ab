//! Old connections and new credentials: how long the old ones go on serving when no new ones can
//! be had.
//!
//! Guarantees that requests do not fail while connections of the old generation work, except when
//! it is we who do not trust the upstream any more, or when it cannot be asked anew for long.

use std::time::Duration;

use tokio::time::Instant;

use crate::exporter::upstream::{ConnectError, pace};

/// A change of credentials that is not complete.
#[derive(Debug)]
pub(crate) struct Handover {
    since: Instant,
    failures: u32,
    /// What the last attempt with the new credentials died of.
    stuck: Option<&'static str>,
}

/// How long an upstream that cannot be asked anew is still taken at its old word.
const GRACE: Duration = Duration::from_secs(30);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Handover {
    /// New credentials were published.
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), failures: 0, stuck: None }
    }

    /// An attempt with the new credentials failed: whether the old connections go on serving. Says
    /// so once for each reason.
    pub(crate) fn keeps_old(
        &mut self,
        error: &ConnectError,
        exporter: &str,
        endpoint: &str,
    ) -> bool {
        self.failures = self.failures.saturating_add(1);
        let before = self.stuck.replace(error.reason());
        let what = "no connection with the new certificates; it is tried again by itself";
        error.tell(before, exporter, endpoint, what);
        !error.is_distrust() && !self.is_over()
    }

    /// Whether old connections end although no new one is up: the upstream did not answer for so
    /// long that it may have changed. One that refuses our new certificate did answer, and whom the
    /// new credentials do not trust has been let go of before.
    pub(crate) fn is_over(&self) -> bool {
        let refuses_us = self.stuck.is_some_and(ConnectError::refuses_us);
        self.since.elapsed() >= GRACE && !refuses_us
    }

    /// Until the next attempt.
    pub(crate) fn pause(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => pace::doubled(failures, LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reason: &'static str) -> ConnectError {
        ConnectError::new(reason, "no")
    }

    #[tokio::test(start_paused = true)]
    async fn old_connections_serve_for_ever_if_refused_and_for_a_while_if_unheard() {
        let mut refused = Handover::begin();
        let mut unheard = Handover::begin();
        let keeps = |handover: &mut Handover, reason| handover.keeps_old(&error(reason), "x", "y");
        assert!(keeps(&mut refused, "upstream_rejected_our_certificate"));
        assert!(keeps(&mut unheard, "upstream_timeout"));
        tokio::time::advance(GRACE).await;
        assert!(!refused.is_over() && unheard.is_over());
        assert!(keeps(&mut refused, "upstream_demands_certificate"));
        assert!(keeps(&mut refused, "upstream_no_common_signature"));
        assert!(!keeps(&mut unheard, "upstream_timeout"));
        assert!(!keeps(&mut refused, "upstream_timeout"));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_become_rarer() {
        let mut handover = Handover::begin();
        assert_eq!(handover.pause(), Duration::ZERO);
        handover.keeps_old(&error("upstream_timeout"), "x", "y");
        assert_eq!(handover.pause(), Duration::from_millis(100));
        handover.failures = u32::MAX;
        assert_eq!(handover.pause(), LONGEST_PAUSE);
    }
}
