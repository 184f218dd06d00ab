//! What a pool knows of its connections, and which come next.
//!
//! Knows nothing of how they are opened.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::exporter::upstream::link::Link;
use crate::exporter::upstream::pace::Acquire;
use crate::exporter::upstream::{Address, ConnectError, Dialer, Handover};

/// Most connections at a time; more addresses than this take turns as connections end.
pub(super) const MAX_LINKS: usize = 8;

/// Behind the lock of a pool.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) links: Vec<Arc<Link>>,
    /// Of the last resolution.
    pub(super) addresses: Vec<Address>,
    /// Counts requests, for turns.
    pub(super) turn: usize,
    /// Counts attempts, for turns.
    pub(super) attempt: usize,
    pub(super) dialing: bool,
    /// The last attempt's, until one succeeds.
    pub(super) failure: Option<ConnectError>,
    pub(super) failures: u32,
    pub(super) extra_failures: u32,
    pub(super) not_before: Option<Instant>,
    /// As `not_before`, for attempts that no request waits for.
    pub(super) extra_not_before: Option<Instant>,
    pub(super) watching: bool,
    /// While old connections serve because there are none with the new credentials.
    pub(super) handover: Option<Handover>,
    /// Drivers and attempts; dropping them ends them.
    pub(super) tasks: JoinSet<()>,
}

impl State {
    /// What a request is told for which there is no connection.
    pub(super) fn refusal(&self, error: &ConnectError) -> Acquire {
        let seconds = if self.failures < 5 { 1 } else { 5 };
        Acquire { error: error.clone(), retry_after: Duration::from_secs(seconds) }
    }

    /// Why, when no attempt has failed.
    pub(super) fn still_waiting(&self, dialer: &Dialer) -> ConnectError {
        if self.links.is_empty() { dialer.still_waiting() } else { ConnectError::no_stream() }
    }

    /// Addresses without a connection, the one whose turn it is first.
    pub(super) fn candidates(&self, generation: u64, all: bool) -> Vec<Address> {
        let start = self.attempt % self.addresses.len().max(1);
        let (before, from) = self.addresses.split_at_checked(start).unwrap_or_default();
        let free = |address: &&Address| {
            !self.links.iter().any(|l| l.address == **address && l.generation == generation)
        };
        let turns = || from.iter().chain(before);
        let mut chosen: Vec<_> = turns().filter(free).cloned().collect();
        if all {
            chosen.extend(turns().filter(|address| !free(address)).cloned());
        }
        chosen
    }

    /// Whether connections with old credentials serve because there are no others.
    pub(super) fn is_stale(&self, generation: u64) -> bool {
        !self.links.is_empty() && self.links.iter().all(|link| link.generation != generation)
    }

    /// Lets go of connections with old credentials if one with the new ones is up: what is in
    /// flight on them goes on to its end. Whether one is up.
    pub(super) fn retire(&mut self, generation: u64) -> bool {
        let current = self.links.iter().any(|l| l.generation == generation && !l.is_closed());
        if current {
            self.links.retain(|link| link.generation == generation);
        }
        current
    }

    /// How many connections there should be.
    pub(super) fn wanted(&self, round_robin: bool) -> usize {
        if round_robin { self.addresses.len().clamp(1, MAX_LINKS) } else { 1 }
    }
}
