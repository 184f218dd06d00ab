//! Who is connected to one listener, and by which snapshot each was judged last.
//!
//! Guarantees that clients with the same certificates are one, and that what an older snapshot
//! thinks of a client does not count once a newer one has let it in.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::{Metrics, OpenGuard};
use crate::tls::server::live::loss::Loss;
use crate::tls::{inspect, time};

/// Era, and hash of the chain.
pub(super) type Key = (u64, [u8; 32]);

#[derive(Debug, Default)]
pub(super) struct Connected {
    pub(super) clients: HashMap<Key, Entry>,
    /// Another one begins when the clock is set: what was noted by the old clock stays apart.
    pub(super) era: u64,
    /// When the next round is planned, in Unix seconds.
    pub(super) next_round: i64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) client: Arc<Client>,
    /// The CA that vouches for it, as the snapshot that judged last has it.
    ca: String,
    /// Its connections, each counted under that CA.
    open: Vec<OpenGuard>,
    /// Number of the snapshot that judged last.
    pub(super) generation: u64,
    /// When to judge again without any other cause, in Unix seconds.
    pub(super) again_at: i64,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// When each certificate of the chain ends.
    ends: Vec<i64>,
    /// What the clocks showed when it came.
    came: (i64, Instant),
    pub(super) lost: watch::Sender<Option<Loss>>,
}

/// A snapshot that lets a client in: its number, and when its own files are judged anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) generation: u64,
    /// In Unix seconds.
    pub(super) again_at: Option<i64>,
}

impl Connected {
    /// One more connection of a client that is there already.
    pub(super) fn join(&mut self, key: Key, by: Judged, metrics: &Metrics) -> Option<&Entry> {
        let entry = self.clients.get_mut(&key)?;
        entry.join(by, metrics);
        Some(entry)
    }

    /// The first connection of a client, unless it has come meanwhile.
    pub(super) fn admit(
        &mut self,
        key: Key,
        (client, ca): (Client, String),
        by: Judged,
        metrics: &Metrics,
    ) -> &Entry {
        let again_at = client.judge_again(by.again_at, time::now());
        let entry = self.clients.entry(key).or_insert_with(|| Entry {
            client: Arc::new(client),
            ca,
            open: Vec::new(),
            generation: by.generation,
            again_at,
        });
        entry.join(by, metrics);
        entry
    }

    /// One connection less.
    pub(super) fn leave(&mut self, key: &Key, client: &Arc<Client>) {
        // Another entry may have the key by now, if this client was lost and let in anew.
        let Some(entry) = self.of(key, client) else { return };
        drop(entry.open.pop());
        if entry.open.is_empty() {
            self.clients.remove(key);
        }
    }

    /// Takes note of the CA that vouches for a client now.
    pub(super) fn vouched(
        &mut self,
        key: &Key,
        client: &Arc<Client>,
        ca: String,
        metrics: &Metrics,
    ) {
        if let Some(entry) = self.of(key, client).filter(|entry| entry.ca != ca) {
            entry.open.iter_mut().for_each(|open| *open = metrics.connection_of(&ca));
            entry.ca = ca;
        }
    }

    fn of(&mut self, key: &Key, client: &Arc<Client>) -> Option<&mut Entry> {
        self.clients.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.client, client))
    }

    /// Forgets a client that the snapshot of this number does not trust. `false` if a newer one has
    /// let it in since.
    pub(super) fn strike(&mut self, key: &Key, client: &Arc<Client>, generation: u64) -> bool {
        // Whoever was lost and let in anew is another client under the same key.
        let Some(entry) = self.clients.get(key).filter(|one| Arc::ptr_eq(&one.client, client))
        else {
            return true;
        };
        if entry.generation > generation {
            return false;
        }
        self.clients.remove(key);
        true
    }
}

impl Entry {
    fn join(&mut self, by: Judged, metrics: &Metrics) {
        self.open.push(metrics.connection_of(&self.ca));
        // The handshake was a judgement, too.
        if by.generation > self.generation {
            self.generation = by.generation;
            let again_at = self.client.judge_again(by.again_at, time::now());
            self.again_at = self.again_at.min(again_at);
        }
    }
}

impl Client {
    pub(super) fn new(chain: &[CertificateDer<'_>]) -> Self {
        let ends = chain.iter().filter_map(|der| inspect::describe(der));
        Self {
            ends: ends.map(|facts| facts.not_after).collect(),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            came: (time::now(), Instant::now()),
            lost: watch::Sender::new(None),
        }
    }

    /// The time that this client is judged by. A clock that is set back makes nobody's certificate
    /// last longer.
    pub(super) fn now(&self, clock: i64, steady: Instant) -> i64 {
        let (came, since) = self.came;
        let passed = steady.saturating_duration_since(since).as_secs();
        clock.max(came.saturating_add_unsigned(passed))
    }

    /// When a snapshot whose files are judged anew at `its` may think otherwise of it, if nothing
    /// else happens.
    pub(super) fn judge_again(&self, its: Option<i64>, now: i64) -> i64 {
        let own = self.ends.iter().filter(|end| **end >= now).map(|end| end.saturating_add(1));
        own.chain(its.filter(|at| *at > now)).min().unwrap_or(i64::MAX)
    }
}

/// The same for the same certificates in the same order, and for no others.
pub(super) fn hash_of(chain: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for der in chain {
        context.update(&u64::try_from(der.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(der);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
