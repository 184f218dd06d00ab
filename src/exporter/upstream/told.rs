//! What was said of an upstream, for the workers that share it: each has connections of its own, and
//! an outage is one piece of news, not one for each worker.

use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no connection, as it was said last; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Option<&'static str>>>);

impl Told {
    /// Whether a reason is news.
    pub(super) fn is_news(&self, reason: &'static str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(reason) != Some(reason)
    }

    /// Whether it is news that there is a connection.
    pub(super) fn is_mended(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_and_its_end_are_said_once_for_all_workers() {
        let (one, other) = (Told::default(), Told::default());
        let worker = one.clone();
        assert!(one.is_news("upstream_refused") && !worker.is_news("upstream_refused"));
        assert!(other.is_news("upstream_refused"), "another exporter has news of its own");
        assert!(worker.is_news("upstream_timeout"), "another reason is news");
        assert!(worker.is_mended() && !one.is_mended());
        assert!(one.is_news("upstream_timeout"), "after the end it begins anew");
    }
}
