//! The connections of one worker to one upstream.
//!
//! Guarantees that requests spread over the upstream's addresses, that one attempt to connect
//! runs at a time and failures are paced, and that new credentials lead to new connections while
//! the old ones finish what they carry; see [`Handover`] for when no new one can be had.

#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::info;

use crate::aside::contained;
use crate::config::sections::ClientKeepalive;
use crate::exporter::upstream::driver::Driven;
use crate::exporter::upstream::link::{Link, Opened};
use crate::exporter::upstream::pace::{self, Acquire};
use crate::exporter::upstream::state::{MAX_LINKS, State};
use crate::exporter::upstream::{ConnectError, Dialer, Handover, Lease, Told, driver};

/// The longest pause between attempts to reach a further address while another one serves.
const LONGEST_EXTRA_PAUSE: Duration = Duration::from_secs(30);
/// How long a request waits for an attempt that follows a failed one.
const RETRY_PATIENCE: Duration = Duration::from_secs(1);
/// While there is no rotation.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// Between looks at a rotation that is not complete.
const ROTATION_STEP: Duration = Duration::from_secs(1);

/// How a pool behaves.
#[derive(Clone, Debug)]
pub(crate) struct PoolSettings {
    /// For the log.
    pub(crate) exporter: String,
    /// For the log.
    pub(crate) endpoint: String,
    /// One connection to each address instead of one in all.
    pub(crate) round_robin: bool,
    /// Requests wait for a connection instead of failing while there is none.
    pub(crate) wait_for_ready: bool,
    pub(crate) keepalive: Option<ClientKeepalive>,
    /// What was said of the upstream by all workers.
    pub(crate) told: Told,
}

/// Connections that are opened as they are needed. Dropping it closes them.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dialer: Dialer,
    settings: PoolSettings,
    state: Mutex<State>,
    changed: Arc<Notify>,
    /// The next attempt panics.
    #[cfg(test)]
    breaks: AtomicBool,
}

/// Tells a pool that a request is over.
#[derive(Debug)]
pub(super) struct Release(Arc<Notify>);

impl Release {
    pub(super) fn one(&self) {
        self.0.notify_one();
    }
}

impl Pool {
    pub(crate) fn new(dialer: Dialer, settings: PoolSettings) -> Self {
        Self(Arc::new(Shared {
            dialer,
            settings,
            state: Mutex::default(),
            changed: Arc::default(),
            #[cfg(test)]
            breaks: AtomicBool::default(),
        }))
    }

    /// Requests on all connections.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        let state = self.0.lock();
        state.links.iter().map(|link| link.state().in_flight()).sum()
    }

    #[cfg(test)]
    pub(crate) fn break_next(&self) {
        self.0.breaks.store(true, Ordering::SeqCst);
    }

    /// Begins to connect. Must be called within a runtime.
    pub(crate) fn connect(&self) {
        let mut state = self.0.lock();
        self.0.tend(&mut state);
    }

    /// The right to send one request, on the connection whose turn it is.
    ///
    /// # Errors
    /// No connection is there and none came up in time, or the last attempt failed.
    pub(crate) async fn acquire(&self, deadline: Instant) -> Result<Lease, Acquire> {
        let mut patience = deadline;
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            {
                let mut state = self.0.lock();
                if let Some(lease) = self.0.pick(&mut state) {
                    return Ok(lease);
                }
                self.0.tend(&mut state);
                if !self.0.settings.wait_for_ready
                    && let Some(failure) = &state.failure
                {
                    if !state.dialing {
                        return Err(state.refusal(failure));
                    }
                    patience = patience.min(Instant::now() + RETRY_PATIENCE);
                }
            }
            if timeout_at(patience, changed).await.is_err() {
                let state = self.0.lock();
                let error =
                    state.failure.clone().unwrap_or_else(|| state.still_waiting(&self.0.dialer));
                return Err(state.refusal(&error));
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next connection with room; also sees to it that connections that are missing come up.
    fn pick(self: &Arc<Self>, state: &mut State) -> Option<Lease> {
        state.links.retain(|link| !link.is_closed());
        let generation = self.dialer.generation();
        state.retire(generation);
        let wanted = state.wanted(self.settings.round_robin);
        let stale = state.links.iter().any(|link| link.generation != generation);
        if state.links.len() < wanted || stale {
            self.tend(state);
        }
        state.turn = state.turn.wrapping_add(1);
        let count = state.links.len();
        (0..count).find_map(|offset| {
            let link = state.links.get(state.turn.wrapping_add(offset) % count)?;
            if link.is_closed() || !link.has_room() {
                return None;
            }
            link.lease(Release(Arc::clone(&self.changed)))
        })
    }

    /// Begins an attempt to connect unless one is running, or it is too early for one, or there
    /// are enough connections.
    fn tend(self: &Arc<Self>, state: &mut State) {
        while state.tasks.try_join_next().is_some() {}
        self.watch_credentials(state);
        let generation = self.dialer.generation();
        let current = state.links.iter().filter(|link| link.generation == generation).count();
        if state.dialing || current >= MAX_LINKS {
            return;
        }
        let urgent = !state.links.iter().any(|link| link.has_room());
        let not_before = if urgent { state.not_before } else { state.extra_not_before };
        let wait = not_before.filter(|at| *at > Instant::now());
        if wait.is_some() && !(urgent && self.settings.wait_for_ready) {
            return;
        }
        state.dialing = true;
        let shared = Arc::clone(self);
        state.tasks.spawn(async move {
            if let Some(at) = wait {
                sleep_until(at).await;
            }
            // Whatever comes of it, the next attempt must be able to begin.
            let opened = contained(shared.open()).await;
            shared.settle(opened.unwrap_or_else(|| Err(ConnectError::panicked())));
        });
    }

    /// One attempt: every address in turn until one works.
    async fn open(&self) -> Result<Opened, ConnectError> {
        #[cfg(test)]
        assert!(!self.breaks.swap(false, Ordering::SeqCst), "as the test wants it");
        let deadline = self.dialer.deadline();
        let addresses = self.dialer.resolve(deadline).await?;
        let candidates = {
            let mut state = self.lock();
            state.addresses = addresses;
            let candidates = state
                .candidates(self.dialer.generation(), !state.links.iter().any(|l| l.has_room()));
            if self.settings.round_robin {
                state.attempt = state.attempt.wrapping_add(1);
            }
            candidates
        };
        self.dialer.first(candidates, deadline, Link::open).await
    }

    /// Takes note of how an attempt ended.
    fn settle(self: &Arc<Self>, opened: Result<Opened, ConnectError>) {
        let mut state = self.lock();
        state.dialing = false;
        match opened {
            Ok(Opened { link, connection, cork, heard, lifetime }) => {
                let keepalive = self.settings.keepalive.clone();
                state.tasks.spawn(driver::run(
                    Driven::new(connection, cork),
                    link.state(),
                    heard,
                    keepalive,
                    lifetime,
                ));
                if state.failures > 0 && self.settings.told.is_mended() {
                    info!(
                        exporter = %self.settings.exporter,
                        endpoint = %self.settings.endpoint,
                        address = %link.address,
                        "connected to the upstream again",
                    );
                }
                state.links.push(Arc::new(link));
                state.failure = None;
                state.failures = 0;
                state.not_before = None;
                let generation = self.dialer.generation();
                if state.retire(generation) {
                    state.handover = None;
                    state.extra_failures = 0;
                } else {
                    // Credentials changed during the handshake.
                    self.tend(&mut state);
                }
            }
            Err(error) => {
                self.note_failure(&mut state, error);
                if state.failures == 1 {
                    // See [`pace::after`].
                    self.tend(&mut state);
                }
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn note_failure(&self, state: &mut State, error: ConnectError) {
        let now = Instant::now();
        let PoolSettings { exporter, endpoint, .. } = &self.settings;
        if state.is_stale(self.dialer.generation()) {
            let handover = state.handover.get_or_insert_with(Handover::begin);
            if !handover.keeps_old(&error, exporter, endpoint) {
                state.links.clear();
            }
        }
        if state.links.iter().any(|link| !link.is_closed()) {
            // Others serve; nobody waits for this one.
            state.extra_failures = state.extra_failures.saturating_add(1);
            state.extra_not_before =
                Some(now + pace::doubled(state.extra_failures, LONGEST_EXTRA_PAUSE));
            return;
        }
        state.failures = state.failures.saturating_add(1);
        state.not_before = pace::after(state.failures).map(|pause| now + pause);
        let before = state.failure.as_ref().map(ConnectError::reason);
        if before != Some(error.reason()) && self.settings.told.is_news(error.reason()) {
            let what = "no connection to the upstream; it is tried again as batches come";
            error.tell(None, exporter, endpoint, what);
        }
        state.failure = Some(error);
    }

    /// Replaces connections when new credentials are published, also when no batches come.
    fn watch_credentials(self: &Arc<Self>, state: &mut State) {
        if state.watching {
            return;
        }
        state.watching = true;
        let Some(mut watch) = self.dialer.watch() else { return };
        let pool: Weak<Self> = Arc::downgrade(self);
        state.tasks.spawn(async move {
            let mut step = FOREVER;
            loop {
                let published = match timeout(step, watch.changed()).await {
                    Ok(false) => return,
                    Ok(true) => true,
                    Err(_step) => false,
                };
                let Some(shared) = pool.upgrade() else { return };
                step = if shared.rotate(published) { ROTATION_STEP } else { FOREVER };
            }
        });
    }

    /// Ends connections to upstreams that the credentials in force do not trust. They are not asked:
    /// who lost trust need not answer.
    fn judge(&self, state: &mut State) {
        let State { links, handover, .. } = state;
        let PoolSettings { exporter, endpoint, .. } = &self.settings;
        links.retain(|link| {
            let distrust = link.standing.as_ref().and_then(|held| self.dialer.distrusts(held));
            let Some(error) = distrust else { return true };
            handover.get_or_insert_with(Handover::begin).keeps_old(&error, exporter, endpoint)
        });
    }

    /// Looks after a change of credentials; `false` when there is nothing more to do.
    fn rotate(self: &Arc<Self>, published: bool) -> bool {
        let mut state = self.lock();
        let generation = self.dialer.generation();
        if published {
            state.not_before = None;
            state.extra_not_before = None;
            state.extra_failures = 0;
            state.handover = Some(Handover::begin());
            self.judge(&mut state);
        }
        state.links.retain(|link| !link.is_closed());
        if state.handover.as_ref().is_some_and(Handover::is_over) {
            state.links.retain(|link| link.generation == generation);
        }
        let stale = state.is_stale(generation);
        if stale {
            self.tend(&mut state);
        }
        stale
    }
}
