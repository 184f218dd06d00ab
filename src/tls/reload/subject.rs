//! One `tls` block under watch: when to read it again, and what to do with what was read.
//!
//! Guarantees that only a set of files is loaded that read the same twice, a settling time apart,
//! and again after the load: writers that are not atomic never get half a set published. A set that
//! is refused changes nothing, is said aloud once, and is tried again until it is mended.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::debug;

use crate::config::{Problem, Span};
use crate::metrics::{End, Epochs};
use crate::tls::error::{CredentialsError, Loaded};
use crate::tls::reload::files::Fingerprint;
use crate::tls::reload::status::{Refused, Report, Serving};
use crate::tls::store::Store;
use crate::tls::time;

/// A snapshot that the reloader can publish and talk about.
pub(crate) trait Snapshot: fmt::Debug + Send + Sync + 'static {
    /// Its number in this process.
    fn generation(&self) -> u64;

    /// What is served with it, in one line: subject, serial, end of validity, fingerprint.
    fn describe(&self) -> String;

    /// What is in force with it, in short.
    fn epochs(&self) -> Epochs {
        Epochs::default()
    }

    /// When each certificate and list of it ends.
    fn ends(&self) -> &[End] {
        &[]
    }

    /// When the same files must be judged anew: the next start or end of a validity among them.
    fn judge_again(&self) -> Option<SystemTime>;

    /// When what it shows to peers ends.
    fn not_after(&self) -> Option<SystemTime>;
}

/// What is served, with the short names by which other gateways are compared with this one.
fn told(snapshot: &impl Snapshot) -> String {
    let (what, Epochs { trust, identity }) = (snapshot.describe(), snapshot.epochs());
    if trust.is_empty() { what } else { format!("{what} (trust {trust}, identity {identity})") }
}

/// One `tls` block: its files, and how to load and publish them.
pub(crate) struct Subject {
    /// Such as `receivers.otlp.protocols.grpc.tls`.
    key_path: String,
    files: Arc<[PathBuf]>,
    load: Arc<Load>,
    current: Box<dyn Fn() -> Arc<dyn Snapshot> + Send + Sync>,
    /// The generation that was told of last.
    told: Option<u64>,
    /// What is in force.
    served: Option<Fingerprint>,
    /// The same in words, at start-up.
    first: Serving,
    judge_again: Option<SystemTime>,
    /// Files that changed and have not been loaded yet.
    pending: Option<Pending>,
    /// A read under way; kept when it hangs, so that a dead file system costs one thread only.
    reading: Option<JoinHandle<Reading>>,
    /// Whether it was told that the files cannot even be judged, and nothing else since.
    told_unjudged: bool,
    /// Whether the last that was told aloud is that the files cannot be used, or not be read in
    /// time. Until that is taken back, log, metric and status say so.
    alarmed: bool,
    /// Since when nothing that was there could be used, whatever it was.
    unusable_since: Option<Instant>,
}

type Load = dyn Fn() -> Result<Fresh, CredentialsError> + Send + Sync;

/// A vetted snapshot that waits for its publication.
struct Fresh {
    publish: Box<dyn FnOnce() + Send>,
    report: Report,
    judge_again: Option<SystemTime>,
}

struct Pending {
    fingerprint: Fingerprint,
    /// When the files began to differ from what is in force.
    changing_since: Instant,
    /// When these very bytes were first seen.
    same_since: Instant,
    /// How often these very bytes were refused.
    refused: u32,
}

/// What one look at the files found.
enum Reading {
    /// The same as what is in force.
    Unchanged,
    /// Other bytes than at the look before, or they changed during the load.
    Unsettled(Fingerprint),
    /// Loaded and vetted.
    Loaded(Fingerprint, Fresh),
    /// Settled, and unusable.
    Refused(Fingerprint, CredentialsError),
}

/// How often and how long, with defaults for production.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two looks without any event.
    pub(crate) poll: Duration,
    /// How long bytes must stay the same before they are loaded.
    pub(crate) settle: Duration,
    /// A set that changes for so long is tried even so.
    pub(crate) most_wait: Duration,
    /// Between two tries of a refused set, at most.
    pub(crate) retry: Duration,
    /// Longest time for one look; a file system may hang.
    pub(crate) deadline: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(10),
            settle: Duration::from_millis(150),
            most_wait: Duration::from_secs(5),
            retry: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// How long to wait after an event, if the last look took so long. Events come in bursts; one
    /// look serves them all. Whoever touches files without end gets a fifth of one processor,
    /// unless a look takes very long: then it mostly waits itself, for a disk or a processor, and
    /// must not be late for that.
    pub(super) fn breath(&self, cost: Duration) -> Duration {
        (self.settle / 3).max(cost * 4).min(self.settle * 2)
    }
}

/// What became of one look, for log, metrics and status.
pub(super) enum Event {
    /// Nothing to tell.
    Quiet,
    /// A new generation is in force.
    Published(Report),
    /// The files are what is in force again, after they had been refused.
    Restored,
    /// The files cannot be used; told once for the same bytes.
    Refused(Refused),
}

impl Subject {
    /// `store` holds the snapshot that was loaded at start-up from the same files, after `before`
    /// was taken of them: what changed in between is seen by the first look. `load` is given what
    /// is in force.
    pub(crate) fn new<T: Snapshot>(
        key_path: &str,
        (files, before): (Vec<PathBuf>, Fingerprint),
        store: Arc<Store<T>>,
        load: impl Fn(&T) -> Result<Loaded<T>, CredentialsError> + Send + Sync + 'static,
    ) -> Self {
        let current = store.watch().current();
        let judge_again = current.judge_again();
        let first = Serving { what: told(&*current), until: current.not_after() };
        let watch = store.watch();
        let load = move || {
            let current = store.watch().current();
            let loaded = load(&current)?;
            let judge_again = loaded.snapshot.judge_again();
            let report = Report {
                generation: loaded.snapshot.generation(),
                before: told(&*current),
                after: Serving { what: told(&loaded.snapshot), until: loaded.snapshot.not_after() },
                warnings: loaded.warnings,
            };
            let store = Arc::clone(&store);
            let publish = Box::new(move || store.publish(loaded.snapshot));
            Ok(Fresh { publish, report, judge_again })
        };
        Self {
            key_path: key_path.to_owned(),
            files: files.into(),
            load: Arc::new(load),
            current: Box::new(move || watch.current()),
            told: None,
            served: Some(before),
            first,
            judge_again,
            pending: None,
            reading: None,
            told_unjudged: false,
            alarmed: false,
            unusable_since: None,
        }
    }

    /// The config key of the block.
    pub(super) fn key_path(&self) -> &str {
        &self.key_path
    }

    /// What is in force at start-up.
    pub(super) fn first(&self) -> &Serving {
        &self.first
    }

    /// What is in force.
    pub(super) fn current(&self) -> Arc<dyn Snapshot> {
        (self.current)()
    }

    /// Whether another generation is in force than when this was asked before.
    pub(super) fn is_news(&mut self) -> bool {
        let generation = self.current().generation();
        self.told.replace(generation) != Some(generation)
    }

    /// Every file of the block.
    pub(super) fn files(&self) -> Arc<[PathBuf]> {
        Arc::clone(&self.files)
    }

    /// When to look next if no event comes before; `None` leaves it to the poll.
    pub(super) fn next_look(&self, pace: &Pace) -> Option<Duration> {
        let refused = self.pending.as_ref().map(|pending| pending.refused);
        let pending = refused.map(|tries| match tries {
            0 => pace.settle,
            tries => pace.retry.min(pace.settle.saturating_mul(1 << tries.min(16))),
        });
        let left = self.judge_again.map(|at| at.duration_since(time::clock()).unwrap_or_default());
        // What was judged again since then and refused waits its turn, as whatever is refused.
        let left = left.filter(|left| !left.is_zero() || refused.is_none_or(|tries| tries == 0));
        let judge_again = left.map(|left| left.max(Duration::from_secs(1)));
        pending.into_iter().chain(judge_again).min()
    }

    /// Loads the files with the next look, even if they are unchanged.
    pub(super) fn judge_now(&mut self) {
        self.judge_again = Some(SystemTime::UNIX_EPOCH);
    }

    /// Looks at the files, and publishes them if they are new, settled and sound.
    pub(super) async fn look(&mut self, pace: &Pace) -> Event {
        let hangs = self.reading.is_some();
        let mut reading = match self.reading.take() {
            Some(hanging) => hanging,
            None => tokio::task::spawn_blocking(self.reader(pace)),
        };
        // It is waited for once: the other blocks are looked at after this one.
        let patience = if hangs { Duration::ZERO } else { pace.deadline };
        let event = match tokio::time::timeout(patience, &mut reading).await {
            Ok(Ok(found)) => self.settle(found, pace),
            Ok(Err(_panicked)) => {
                // As whatever is refused, it is tried again ever more seldom.
                if let Some(pending) = &mut self.pending {
                    pending.refused = pending.refused.saturating_add(1);
                }
                self.unjudged(
                    "reading the files ended in a fault of this program",
                    "the log says where, in a line with `panicked`: please report it, and put the \
                     files back that were there before",
                )
            }
            Err(_elapsed) => {
                self.reading = Some(reading);
                let seconds = pace.deadline.as_secs_f64();
                self.unjudged(
                    &format!("reading the files takes longer than {seconds} s"),
                    "is their mount hanging (`df` on their folder tells)?",
                )
            }
        };
        match event {
            Event::Refused(_) => self.alarmed = true,
            Event::Published(_) | Event::Restored => self.alarmed = false,
            Event::Quiet => {}
        }
        event
    }

    /// Says aloud, once, that there is no verdict on the files.
    fn unjudged(&mut self, message: &str, help: &str) -> Event {
        if std::mem::replace(&mut self.told_unjudged, true) {
            return Event::Quiet;
        }
        let problem = Problem {
            span: Span::default(),
            key_path: self.key_path.clone(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
            reason: "reload_failed",
        };
        Event::Refused(Refused { problems: vec![problem], since: time::clock() })
    }

    /// What happens off the runtime's threads.
    fn reader(&self, pace: &Pace) -> impl FnOnce() -> Reading + Send + use<> {
        let files = Arc::clone(&self.files);
        let load = Arc::clone(&self.load);
        let due = self.judge_again.is_some_and(|at| at <= time::clock());
        let served = self.served.filter(|_| !due);
        let seen = self.pending.as_ref().map(|pending| {
            let settled = pending.same_since.elapsed() >= pace.settle;
            (pending.fingerprint, settled, pending.changing_since.elapsed() >= pace.most_wait)
        });
        move || {
            let found = Fingerprint::of(&files);
            if served == Some(found) {
                return Reading::Unchanged;
            }
            let settled = match seen {
                Some((fingerprint, settled, overdue)) => {
                    overdue || (settled && fingerprint == found)
                }
                None => due,
            };
            if !settled {
                return Reading::Unsettled(found);
            }
            let loaded = load();
            if Fingerprint::of(&files) != found {
                return Reading::Unsettled(found);
            }
            match loaded {
                Ok(fresh) => Reading::Loaded(found, fresh),
                Err(error) => Reading::Refused(found, error),
            }
        }
    }

    fn settle(&mut self, found: Reading, pace: &Pace) -> Event {
        match found {
            Reading::Unchanged => {
                self.pending = None;
                self.told_unjudged = false;
                self.unusable_since = None;
                if self.alarmed { Event::Restored } else { Event::Quiet }
            }
            Reading::Unsettled(fingerprint) => {
                debug!(block = self.key_path, "the files are changing: they are left to settle");
                let same_since = Instant::now();
                let (changing_since, same_since, refused) = match &self.pending {
                    Some(p) if p.fingerprint == fingerprint => {
                        (p.changing_since, p.same_since, p.refused)
                    }
                    Some(p) if p.refused == 0 => (p.changing_since, same_since, 0),
                    Some(_) | None => (same_since, same_since, 0),
                };
                self.pending = Some(Pending { fingerprint, changing_since, same_since, refused });
                Event::Quiet
            }
            Reading::Loaded(fingerprint, fresh) => {
                self.pending = None;
                self.told_unjudged = false;
                self.unusable_since = None;
                self.served = Some(fingerprint);
                self.judge_again = fresh.judge_again;
                (fresh.publish)();
                Event::Published(fresh.report)
            }
            Reading::Refused(fingerprint, error) => {
                let now = Instant::now();
                let same = self.pending.take().filter(|p| p.fingerprint == fingerprint);
                let refused = same.as_ref().map_or(0, |p| p.refused).saturating_add(1);
                let same_since = same.map_or(now, |p| p.same_since);
                self.pending =
                    Some(Pending { fingerprint, changing_since: now, same_since, refused });
                if let Some(first) = error.problems.first().filter(|_| refused < LOUD) {
                    debug!(block = self.key_path, error = %first, "cannot be used; tried again");
                }
                // Two writers that fight leave other bytes every time.
                let since = *self.unusable_since.get_or_insert(now);
                let restless = !self.alarmed && now.duration_since(since) >= pace.most_wait;
                if refused == LOUD || restless {
                    self.told_unjudged = false;
                    Event::Refused(Refused { problems: error.problems, since: time::clock() })
                } else {
                    Event::Quiet
                }
            }
        }
    }
}

/// At how many refusals of the same bytes it is said aloud. The first may be a writer between two
/// files.
const LOUD: u32 = 2;
