//! What the reloader tells: the last reload of each block, and what is wrong with the files now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::config::Problem;

/// A generation that came into force.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) generation: u64,
    pub(super) before: String,
    pub(super) after: Serving,
    pub(super) warnings: Vec<Problem>,
}

/// What a block shows to its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Serving {
    /// In one line.
    pub(crate) what: String,
    /// When it ends.
    pub(crate) until: Option<SystemTime>,
}

/// Files that were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Which files, why, and what to do.
    pub(crate) problems: Vec<Problem>,
    /// When that was found out.
    pub(crate) since: SystemTime,
}

/// What is known of one `tls` block.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockStatus {
    /// What is in force.
    pub(crate) serving: Serving,
    /// When the generation in force was loaded, if not at start-up.
    pub(crate) last_reload: Option<SystemTime>,
    /// Present while the files on disk cannot be used; the last good ones stay in force.
    pub(crate) refused: Option<Refused>,
    /// Present while what is in force has ended and serves for want of another.
    pub(super) over: Option<Refused>,
}

/// The state of every `tls` block by config key, for `/readyz` and the status page; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReloadStatus(Arc<Mutex<BTreeMap<String, BlockStatus>>>);

impl ReloadStatus {
    /// Everything that is known now.
    pub(crate) fn blocks(&self) -> BTreeMap<String, BlockStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, key_path: &str, change: impl FnOnce(&mut BlockStatus)) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(blocks.entry(key_path.to_owned()).or_default());
    }
}
