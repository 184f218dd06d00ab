//! `service.telemetry.logs.sampling`: the first `initial` equal records of each `tick` pass, then
//! every `thereafter`-th.
//!
//! Works like zap's sampler: a fixed table of counters addressed by a hash of level and message, and
//! here of reason and component too (one exporter that fails must not hide another), so that no
//! flood of different messages grows it. Two messages that share a counter are sampled
//! together, which loses records but never memory.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Level;

use crate::config::sections::LogSampling;
use crate::metrics::Metrics;

/// Decides which records pass. Safe to share between threads; takes no lock.
#[derive(Debug)]
pub(super) struct Sampler {
    settings: Option<LogSampling>,
    started: Instant,
    counters: Vec<Counter>,
    metrics: OnceLock<Metrics>,
}

/// How many records of one hash were seen since `window` began.
#[derive(Debug, Default)]
struct Counter {
    window: AtomicU64,
    seen: AtomicU64,
}

impl Sampler {
    /// `None` lets everything pass.
    pub(super) fn new(settings: Option<LogSampling>) -> Self {
        let size = if settings.is_some() { COUNTERS } else { 0 };
        Self {
            settings,
            started: Instant::now(),
            counters: (0..size).map(|_| Counter::default()).collect(),
            metrics: OnceLock::new(),
        }
    }

    /// Counts dropped records in these metrics; only the first call has an effect.
    pub(super) fn report_to(&self, metrics: Metrics) {
        let _second_call = self.metrics.set(metrics);
    }

    /// Whether a record passes. A `false` has been counted. Records that differ in `marks` are
    /// counted apart, as those of different messages are.
    pub(super) fn passes(&self, level: Level, message: &str, marks: &[&str]) -> bool {
        self.passes_at(self.started.elapsed(), level, message, marks)
    }

    fn passes_at(&self, now: Duration, level: Level, message: &str, marks: &[&str]) -> bool {
        let passes = self.decide(now, level, (message, marks));
        if !passes {
            self.left_out();
        }
        passes
    }

    /// Counts a record that is left out.
    pub(super) fn left_out(&self) {
        if let Some(metrics) = self.metrics.get() {
            metrics.log_dropped();
        }
    }

    fn decide(&self, now: Duration, level: Level, what: (&str, &[&str])) -> bool {
        let Some(settings) = &self.settings else { return true };
        let Some(counter) = self.counter(level, what) else { return true };
        let tick = u64::try_from(settings.tick.as_millis()).unwrap_or(u64::MAX).max(1);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let seen = counter.record(now / tick);
        if seen <= settings.initial {
            return true;
        }
        let beyond = seen - settings.initial;
        settings.thereafter > 0 && beyond.is_multiple_of(settings.thereafter)
    }

    fn counter(&self, level: Level, what: (&str, &[&str])) -> Option<&Counter> {
        let mut hasher = DefaultHasher::new();
        level.hash(&mut hasher);
        what.hash(&mut hasher);
        let slots = u64::try_from(self.counters.len()).ok()?;
        let slot = hasher.finish().checked_rem(slots)?;
        self.counters.get(usize::try_from(slot).ok()?)
    }
}

impl Counter {
    /// The ordinal of this record within its window, from 1. Two threads that meet at the turn of
    /// a window may both reset it; a few records more then pass, which harms nobody.
    fn record(&self, window: u64) -> u64 {
        if self.window.swap(window, Ordering::Relaxed) != window {
            self.seen.store(1, Ordering::Relaxed);
            return 1;
        }
        self.seen.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// Zap has 4096 for each level; there are far fewer messages than that here.
const COUNTERS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(initial: u64, thereafter: u64) -> Sampler {
        let tick = Duration::from_secs(10);
        Sampler::new(Some(LogSampling { tick, initial, thereafter }))
    }

    fn passed(sampler: &Sampler, second: u64, message: &str, times: usize) -> usize {
        let now = Duration::from_secs(second);
        (0..times).filter(|_| sampler.passes_at(now, Level::WARN, message, &[])).count()
    }

    #[test]
    fn the_first_records_of_a_tick_pass_and_then_one_of_many() {
        let sampler = sampler(10, 100);
        assert_eq!(passed(&sampler, 0, "refused", 10), 10);
        assert_eq!(passed(&sampler, 9, "refused", 99), 0);
        assert_eq!(passed(&sampler, 9, "refused", 1), 1);
        assert_eq!(passed(&sampler, 9, "other", 1), 1, "messages are counted apart");
        assert_eq!(passed(&sampler, 10, "refused", 11), 10, "a new tick starts from zero");
    }

    #[test]
    fn dropped_records_are_counted() {
        let sampler = sampler(1, 0);
        let metrics = Metrics::default();
        sampler.report_to(metrics.clone());
        assert_eq!(passed(&sampler, 0, "refused", 5), 1);
        assert!(metrics.render().contains("portcullis_log_records_dropped_total 4\n"));
    }

    #[test]
    fn without_sampling_everything_passes() {
        assert_eq!(passed(&Sampler::new(None), 0, "x", 1000), 1000);
    }
}
