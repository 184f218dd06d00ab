//! The latest warnings and errors, kept for the status page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A ring of the latest warnings and errors; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<Mutex<VecDeque<RecentRecord>>>);

/// One of them. Its texts may hold what a peer sent, controls already escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecentRecord {
    /// RFC 3339, UTC.
    pub(crate) time: String,
    /// `warn` or `error`.
    pub(crate) level: &'static str,
    /// Message and fields as on the console.
    pub(crate) text: String,
}

impl Recent {
    /// The records, oldest first.
    pub(crate) fn records(&self) -> Vec<RecentRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn push(&self, record: RecentRecord) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(record);
    }
}

/// Enough to see a pattern, small enough to copy for one page view.
const KEPT: usize = 50;
