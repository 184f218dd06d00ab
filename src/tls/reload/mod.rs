//! Certificates change while the gateway runs: every `tls` block is read again when its files
//! change, and published as one generation.
//!
//! Guarantees that events only shorten the wait (the poll is the truth), that a set of files that
//! cannot be used changes nothing but a log line, a metric and the status, and that unchanged bytes
//! make no new generation. Knows nothing of what is in the files.

mod files;
mod measured;
mod status;
mod subject;
mod watcher;

#[cfg(test)]
mod hanging_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::config::Problem;
use crate::metrics::Metrics;
use crate::tls::expiry::Alarm;
use crate::tls::reload::status::Refused;
use crate::tls::reload::subject::Event;
use crate::tls::reload::watcher::Watcher;
use crate::tls::seen::Seen;
use crate::tls::{inspect, own, time};

pub(crate) use files::Fingerprint;
pub use measured::Measured;
pub(crate) use status::{BlockStatus, ReloadStatus};
pub(crate) use subject::{Pace, Snapshot, Subject};

/// Watches every `tls` block of one gateway.
pub(crate) struct Reloader {
    subjects: Vec<Subject>,
    pace: Pace,
    status: ReloadStatus,
    metrics: Metrics,
    force: Arc<Notify>,
    alarm: Alarm,
    watch_folders: bool,
    seen: Seen,
    /// Since the files were loaded: also while the first look is under way the clock may be set.
    jumps: time::Jumps,
}

impl Reloader {
    /// Watches these blocks once it runs.
    pub(crate) fn new(subjects: Vec<Subject>, pace: Pace, metrics: Metrics) -> Self {
        let force = Arc::new(Notify::new());
        let status = ReloadStatus::default();
        for subject in &subjects {
            let serving = subject.first().clone();
            status.update(subject.key_path(), |block| block.serving = serving);
        }
        Self {
            subjects,
            pace,
            status,
            metrics,
            force,
            alarm: Alarm::default(),
            watch_folders: true,
            seen: Seen::default(),
            jumps: time::Jumps::start(),
        }
    }

    /// The same, telling when the certificates of these clients end.
    pub(crate) fn telling_of(self, seen: Seen) -> Self {
        Self { seen, ..self }
    }

    /// The same without file events: changes are found by the poll alone.
    #[cfg(test)]
    pub(crate) fn without_events(mut self) -> Self {
        self.watch_folders = false;
        self
    }

    /// Wakes the reloader to look at every file now, as SIGHUP does.
    pub(crate) fn force(&self) -> Arc<Notify> {
        Arc::clone(&self.force)
    }

    /// What it knows of every block.
    pub(crate) fn status(&self) -> ReloadStatus {
        self.status.clone()
    }

    /// Runs until dropped.
    pub(crate) async fn run(mut self) {
        let hint = Arc::new(Notify::new());
        let mut watcher = Watcher::new(Arc::clone(&hint));
        self.watch(&mut watcher).await;
        // Files may have changed since they were loaded.
        self.look_at_all().await;
        let mut poll_at = Instant::now() + self.pace.poll;
        let mut cost = Duration::ZERO;
        loop {
            // Every branch is cancel-safe: a permit of a Notify is kept until it is taken.
            tokio::select! {
                () = hint.notified() => {
                    debug!("an event of the file system: something may have changed");
                    tokio::time::sleep(self.pace.breath(cost)).await;
                }
                () = self.force.notified() => info!("looking at all certificates, as asked"),
                () = tokio::time::sleep_until(self.next_look(poll_at)) => {}
            }
            if let Some(by) = self.jumps.noticed() {
                tell_of_jump(by);
                // By the old time, some were left out or refused that count by the new one.
                self.subjects.iter_mut().for_each(Subject::judge_now);
            }
            cost = self.look_at_all().await;
            // Looked at again when the set of folders changed: something may have been missed
            // between the change and the new watch.
            if self.watch(&mut watcher).await {
                hint.notify_one();
            }
            poll_at = Instant::now() + self.pace.poll;
        }
    }

    fn next_look(&self, poll_at: Instant) -> Instant {
        self.subjects
            .iter()
            .filter_map(|subject| subject.next_look(&self.pace))
            .min()
            .map_or(poll_at, |wait| poll_at.min(Instant::now() + wait))
    }

    /// Returns how long it took.
    async fn look_at_all(&mut self) -> Duration {
        let began = Instant::now();
        for subject in &mut self.subjects {
            let event = subject.look(&self.pace).await;
            tell(subject.key_path(), event, &self.status, &self.metrics);
            let current = subject.current();
            // A bundle may have hundreds of series, and this thread accepts connections, too.
            if subject.is_news() {
                let generation = current.generation();
                let (epochs, ends) = (current.epochs(), current.ends());
                self.metrics.certificates(subject.key_path(), generation, &epochs, ends);
            }
            self.alarm.judge(subject.key_path(), current.ends(), time::now());
        }
        self.metrics.ends("clients", &self.seen.ends());
        let took = began.elapsed();
        debug!(took = ?took, "looked at the certificates");
        took
    }

    async fn watch(&self, watcher: &mut Watcher) -> bool {
        if !self.watch_folders {
            return false;
        }
        let files = self.subjects.iter().map(Subject::files);
        let changed = watcher.watch(files, self.pace.deadline).await;
        self.metrics.watching(watcher.is_watching());
        changed
    }
}

fn tell_of_jump(by: i64) {
    warn!(
        reason = "clock_was_set",
        seconds = by,
        now = %inspect::date(time::now()),
        help = "if this time is right, nothing is to be done; if not, mend this machine's clock \
                (is NTP running?): certificates are refused, or accepted, by it",
        "the clock of this machine was set {} by {}; every certificate is judged again by the new \
         time",
        if by < 0 { "back" } else { "forward" },
        time::span(by.unsigned_abs())
    );
}

fn tell(key_path: &str, event: Event, status: &ReloadStatus, metrics: &Metrics) {
    match event {
        Event::Quiet => {}
        Event::Published(report) => {
            let (ended, warnings): (Vec<_>, Vec<_>) =
                report.warnings.into_iter().partition(|warning| warning.reason == own::EXPIRED);
            for warning in warnings {
                warn!(warning = %warning, "certificates are questionable");
            }
            info!(
                block = key_path,
                generation = report.generation,
                before = %report.before,
                after = %report.after.what,
                "certificates reloaded"
            );
            ended.iter().for_each(|problem| tell_refused(key_path, problem, true));
            metrics.reload(key_path, if ended.is_empty() { "success" } else { "failure" });
            let over =
                (!ended.is_empty()).then(|| Refused { problems: ended, since: time::clock() });
            status.update(key_path, |block| {
                block.last_reload = Some(time::clock());
                block.refused.clone_from(&over);
                block.over = over;
                block.serving = report.after;
            });
        }
        Event::Restored => {
            info!(block = key_path, "the files are those in force again");
            metrics.reload(key_path, "unchanged");
            status.update(key_path, |block| block.refused.clone_from(&block.over));
        }
        Event::Refused(refused) => {
            let until = status.blocks().remove(key_path).and_then(|block| block.serving.until);
            let over = until.is_some_and(|until| until <= time::clock());
            for problem in refused.problems.iter().take(MOST_TOLD) {
                tell_refused(key_path, problem, over);
            }
            let untold = refused.problems.len().saturating_sub(MOST_TOLD);
            if untold > 0 {
                warn!(block = key_path, untold, "and more problems of the same files");
            }
            metrics.reload(key_path, "failure");
            status.update(key_path, |block| block.refused = Some(refused));
        }
    }
}

fn tell_refused(key_path: &str, problem: &Problem, over: bool) {
    let (block, reason, error) = (key_path, problem.reason, problem);
    if over {
        tracing::error!(
            block,
            reason,
            %error,
            "our own certificate is over, and its files hold none that can be used: peers refuse \
             this gateway until they do; the files are tried again by themselves"
        );
    } else {
        warn!(
            block,
            reason,
            %error,
            "changed certificates cannot be used; the last good ones stay in force, and the files \
             are tried again by themselves"
        );
    }
}

/// In the log at one time: each block of a file may be a problem of its own.
const MOST_TOLD: usize = 20;
