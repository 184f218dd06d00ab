//! What became of the batches of each exporter, summed up for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;

use crate::metrics::instruments::Labels;
use crate::metrics::{PerSignal, Sent};

/// The counters of every exporter and endpoint by their labels, the last failure beside them.
#[derive(Debug, Default)]
pub(super) struct Exports(Mutex<BTreeMap<Labels, Arc<Sent>>>);

/// One exporter, all its endpoints together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Items that upstream accepted.
    pub(crate) sent: u64,
    /// Items that it did not.
    pub(crate) failed: u64,
    /// The last batch that was not delivered.
    pub(crate) last_failure: Option<LastFailure>,
}

/// Why a batch was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastFailure {
    /// When that was known.
    pub(crate) at: SystemTime,
    /// The reason code.
    pub(crate) reason: &'static str,
    /// What the sender was told.
    pub(crate) message: String,
}

impl Exports {
    /// The counters of these labels, made when they are new.
    pub(super) fn of(&self, labels: Labels, make: impl FnOnce(&Labels) -> Sent) -> Arc<Sent> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sent) = known.get(&labels) {
            return Arc::clone(sent);
        }
        let sent = Arc::new(make(&labels));
        known.insert(labels, Arc::clone(&sent));
        sent
    }

    /// By exporter.
    pub(super) fn sums(&self) -> BTreeMap<String, Exported> {
        let known: Vec<_> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut sums = BTreeMap::<String, Exported>::new();
        for one in known {
            let sum = sums.entry(one.exporter.clone()).or_default();
            sum.sent = sum.sent.saturating_add(total(&one.sent));
            sum.failed = sum.failed.saturating_add(total(&one.send_failed));
            let last = one.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let at = |failure: &Option<LastFailure>| failure.as_ref().map(|failure| failure.at);
            if at(&last) > at(&sum.last_failure) {
                sum.last_failure = last;
            }
        }
        sums
    }
}

fn total(counters: &PerSignal<Counter>) -> u64 {
    counters.iter().fold(0, |sum, counter| sum.saturating_add(counter.get()))
}
