//! File events as a mere hint that something may have changed.
//!
//! Guarantees that a missing or broken watcher costs latency only: the poll finds every change.
//! Folders are watched, never files: a watch on a file dies with the first rename over it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::tls::reload::files::folders;

/// Watches the folders of a changing set of paths.
#[derive(Debug)]
pub(super) struct Watcher {
    hint: Arc<Notify>,
    /// Absent while it works.
    eyes: Option<Eyes>,
    /// Work under way; kept when it hangs, so that a dead file system costs one thread only.
    working: Option<JoinHandle<(Eyes, bool)>>,
}

impl Watcher {
    /// Watches nothing yet; `hint` is woken by every event.
    pub(super) fn new(hint: Arc<Notify>) -> Self {
        let eyes = Eyes { hint: Arc::clone(&hint), watching: None, broken: false };
        Self { hint, eyes: Some(eyes), working: None }
    }

    /// Whether events arrive.
    pub(super) fn is_watching(&self) -> bool {
        self.eyes.as_ref().is_some_and(|eyes| eyes.watching.is_some())
    }

    /// Watches all folders that decide what these paths lead to from now on. Returns whether the
    /// set differs from what was watched: a change may then have gone unseen, and the caller looks
    /// once more. Folders are looked at off the runtime's threads: their mount may hang.
    pub(super) async fn watch(
        &mut self,
        files: impl Iterator<Item = Arc<[PathBuf]>>,
        deadline: Duration,
    ) -> bool {
        // It is waited for once: meanwhile the poll finds what changes.
        let patience = if self.working.is_some() { Duration::ZERO } else { deadline };
        let mut working = match (self.working.take(), self.eyes.take()) {
            (Some(hanging), _) => hanging,
            (None, Some(mut eyes)) => {
                let files: Vec<_> = files.collect();
                tokio::task::spawn_blocking(move || {
                    let changed = eyes.watch(&files.iter().flat_map(|one| folders(one)).collect());
                    (eyes, changed)
                })
            }
            (None, None) => return false,
        };
        match tokio::time::timeout(patience, &mut working).await {
            Ok(Ok((eyes, changed))) => {
                self.eyes = Some(eyes);
                changed
            }
            Ok(Err(_panicked)) => {
                *self = Self::new(Arc::clone(&self.hint));
                false
            }
            Err(_elapsed) => {
                self.working = Some(working);
                false
            }
        }
    }
}

#[derive(Debug)]
struct Eyes {
    hint: Arc<Notify>,
    watching: Option<Watching>,
    /// Why there is no watcher; told once.
    broken: bool,
}

#[derive(Debug)]
struct Watching {
    /// Ends the watch when dropped.
    _watcher: RecommendedWatcher,
    /// A folder that was replaced has the same path and another inode.
    folders: BTreeSet<(PathBuf, u64, u64)>,
}

impl Eyes {
    fn watch(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let folders: BTreeSet<_> = folders
            .iter()
            .filter_map(|path| {
                let metadata = std::fs::metadata(path).ok()?;
                Some((path.clone(), metadata.dev(), metadata.ino()))
            })
            .collect();
        if self.watching.as_ref().is_some_and(|watching| watching.folders == folders) {
            return false;
        }
        // The old watcher goes first: watches are a limited resource of the user.
        self.watching = None;
        match self.start(&folders) {
            Ok(watcher) => {
                self.broken = false;
                self.watching = Some(Watching { _watcher: watcher, folders });
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.broken, true) {
                    tracing::warn!(
                        error = %error,
                        reason = "watcher_unavailable",
                        help = "raise fs.inotify.max_user_instances or max_user_watches; changed \
                                certificates are still found by the poll, a few seconds later",
                        "cannot watch the folders of certificates"
                    );
                }
                false
            }
        }
    }

    fn start(
        &self,
        folders: &BTreeSet<(PathBuf, u64, u64)>,
    ) -> Result<RecommendedWatcher, notify::Error> {
        let hint = Arc::clone(&self.hint);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<_>| {
            if event.is_ok_and(|event: notify::Event| is_read(event.kind)) {
                return;
            }
            hint.notify_one();
        })?;
        for (path, _, _) in folders {
            watcher.watch(path, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

/// Our own reads show up as events, too.
fn is_read(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access != AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Other
        | EventKind::Remove(_) => false,
    }
}
