//! File events as a mere hint that something may have changed.
//!
//! Guarantees that a missing or broken watcher costs latency only: the poll finds every change.
//! Folders are watched, never files: a watch on a file dies with the first rename over it.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
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

    /// Whether events of all folders arrive.
    pub(super) fn is_watching(&self) -> bool {
        let watching = self.eyes.as_ref().and_then(|eyes| eyes.watching.as_ref());
        watching.is_some_and(|watching| watching.is_whole)
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
    /// Whether it was told that there is no watcher.
    broken: bool,
}

#[derive(Debug)]
struct Watching {
    /// Ends the watch when dropped.
    _watcher: RecommendedWatcher,
    folders: BTreeSet<Folder>,
    /// Set when one of them was removed. What has its path now may have its inode, too.
    removed: Arc<AtomicBool>,
    /// Whether events of all of them arrive.
    is_whole: bool,
}

/// Path, device, inode and mode. A folder that was replaced has the same path, and one that may be
/// read by now has another mode.
type Folder = (PathBuf, u64, u64, u32);

impl Eyes {
    fn watch(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let folders: BTreeSet<_> = folders
            .iter()
            .filter_map(|path| {
                let metadata = std::fs::metadata(path).ok()?;
                Some((path.clone(), metadata.dev(), metadata.ino(), metadata.mode()))
            })
            .collect();
        let is_same = |watching: &Watching| {
            watching.folders == folders && !watching.removed.load(Ordering::Acquire)
        };
        if self.watching.as_ref().is_some_and(is_same) {
            return false;
        }
        // The old watcher goes first: watches are a limited resource of the user.
        self.watching = None;
        match self.start(folders) {
            Ok(watching) => {
                self.broken = false;
                self.watching = Some(watching);
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

    fn start(&self, folders: BTreeSet<Folder>) -> Result<Watching, notify::Error> {
        let removed = Arc::new(AtomicBool::new(false));
        let (hint, flag) = (Arc::clone(&self.hint), Arc::clone(&removed));
        let watched: BTreeSet<_> = folders.iter().map(|(path, ..)| path.clone()).collect();
        let paths = watched.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<_>| {
            let event: Option<notify::Event> = event.ok();
            if event.as_ref().is_some_and(|event| is_read(event.kind)) {
                return;
            }
            if event.is_some_and(|event| takes_away(&event, &watched)) {
                flag.store(true, Ordering::Release);
            }
            hint.notify_one();
        })?;
        let closed = watch_each(&paths, |path| watcher.watch(path, RecursiveMode::NonRecursive))?;
        for folder in &closed {
            tracing::warn!(
                folder = %folder.display(),
                reason = "watcher_folder_closed",
                help = "let this process list the folder (`chmod g+r`, `fsGroup`); changed \
                        certificates are still found by the poll, a few seconds later",
                "cannot watch a folder of certificates, which this process may not list"
            );
        }
        Ok(Watching { _watcher: watcher, folders, removed, is_whole: closed.is_empty() })
    }
}

/// Watches all but those that we may not list: one of them must not cost the events of the others.
/// Returns those.
fn watch_each(
    folders: &BTreeSet<PathBuf>,
    mut watch: impl FnMut(&Path) -> notify::Result<()>,
) -> notify::Result<Vec<&Path>> {
    let mut closed = Vec::new();
    for folder in folders {
        match watch(folder) {
            Ok(()) => {}
            Err(error) if is_denied(&error) => closed.push(folder.as_path()),
            Err(error) => return Err(error),
        }
    }
    Ok(closed)
}

fn is_denied(error: &notify::Error) -> bool {
    matches!(&error.kind, ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::PermissionDenied)
}

/// Whether a watch has ended with its folder.
fn takes_away(event: &notify::Event, watched: &BTreeSet<PathBuf>) -> bool {
    matches!(event.kind, EventKind::Remove(_))
        && event.paths.iter().any(|path| watched.contains(path))
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

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// Scenario: a look at the folders has begun and hangs. Guarantees: nobody waits for it again.
    #[tokio::test(start_paused = true)]
    async fn folders_on_a_mount_that_hangs_are_waited_for_once() {
        let mut watcher = Watcher::new(Arc::default());
        watcher.eyes = None;
        watcher.working = Some(tokio::spawn(std::future::pending()));
        let start = Instant::now();
        assert!(!watcher.watch(std::iter::empty(), Duration::from_secs(10)).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// Scenario: one of three folders may not be listed, as `/etc/ssl/private` with mode 0710; then
    /// there are no watches left.
    /// Guarantees: the others are watched all the same, and the one is named; the lack of watches is
    /// another fault.
    #[test]
    fn a_folder_that_may_not_be_listed_costs_no_other_its_events() {
        let folders = BTreeSet::from(["/a", "/b", "/c"].map(PathBuf::from));
        let mut watched = Vec::new();
        let closed = watch_each(&folders, |path| {
            if path == Path::new("/b") {
                return Err(notify::Error::io(io::ErrorKind::PermissionDenied.into()));
            }
            watched.push(path.to_owned());
            Ok(())
        });
        assert_eq!(closed.unwrap(), [Path::new("/b")]);
        assert_eq!(watched, [Path::new("/a"), Path::new("/c")]);
        let full = || Err(notify::Error::new(ErrorKind::MaxFilesWatch));
        assert!(watch_each(&folders, |_path| full()).is_err());
    }
}
