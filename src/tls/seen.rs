//! The client certificates that were admitted lately, for whoever wants to know what a change of
//! CA would break.
//!
//! Guarantees a bound in entries and in bytes; the one that was not seen for longest makes room.
//! Keeps certificates only, which their owners show to everyone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::Identity;
use crate::metrics::End;
use crate::tls::inspect;
use crate::tls::time;

/// A client certificate that proved itself in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its facts.
    pub(crate) identity: Identity,
    /// The chain as it was shown, leaf first; the leaf alone when it is long.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Unix time of the last handshake.
    pub(crate) last_seen: i64,
    /// How many handshakes.
    pub(crate) handshakes: u64,
}

/// The memory of one gateway, across its listeners and their reloads; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<String, Client>>>);

impl Seen {
    /// Notes a handshake.
    pub(crate) fn record<'a>(&self, identity: &Identity, chain: impl Iterator<Item = &'a [u8]>) {
        self.record_at(identity, chain, time::now());
    }

    /// Everyone noted, those seen last first.
    pub(crate) fn clients(&self) -> Vec<Client> {
        let mut clients: Vec<_> = self.by_fingerprint().values().cloned().collect();
        clients.sort_by(|a, b| {
            b.last_seen.cmp(&a.last_seen).then_with(|| a.identity.sha256.cmp(&b.identity.sha256))
        });
        clients
    }

    /// When the certificates of those noted end: the first of them.
    pub(crate) fn ends(&self) -> Vec<End> {
        let clients = self.by_fingerprint();
        let mut clients: Vec<_> = clients.values().map(|client| &client.identity).collect();
        clients.sort_by(|a, b| (a.not_after, &a.sha256).cmp(&(b.not_after, &b.sha256)));
        let end = |identity: &Identity| End {
            role: "client",
            name: inspect::named(&identity.subject),
            fingerprint: identity.sha256.chars().take(8).collect(),
            not_before: time::seconds(identity.not_before),
            not_after: time::seconds(identity.not_after),
        };
        clients.into_iter().take(MAX_ENDS).map(end).collect()
    }

    fn by_fingerprint(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_at<'a>(&self, identity: &Identity, chain: impl Iterator<Item = &'a [u8]>, now: i64) {
        let mut clients = self.by_fingerprint();
        if let Some(client) = clients.get_mut(&identity.sha256) {
            client.last_seen = now;
            client.handshakes += 1;
            return;
        }
        if clients.len() >= MAX_CLIENTS {
            let oldest = clients.values().min_by_key(|client| client.last_seen);
            if let Some(oldest) = oldest.map(|client| client.identity.sha256.clone()) {
                clients.remove(&oldest);
            }
        }
        let mut chain: Vec<_> = chain.map(<[u8]>::to_vec).collect();
        if chain.iter().map(Vec::len).sum::<usize>() > MAX_CHAIN_BYTES {
            chain.truncate(1);
        }
        if chain.iter().map(Vec::len).sum::<usize>() > MAX_CHAIN_BYTES {
            return;
        }
        let client = Client { identity: identity.clone(), chain, last_seen: now, handshakes: 1 };
        clients.insert(identity.sha256.clone(), client);
    }
}

/// Metrics show so many clients.
const MAX_ENDS: usize = 100;

/// With the next bound, at most 16 MiB.
const MAX_CLIENTS: usize = 1024;
const MAX_CHAIN_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::TestPki;

    #[test]
    fn the_memory_is_bounded_and_the_one_not_seen_for_longest_makes_room() {
        let pki = TestPki::new();
        let der = pki.client.certificate.der().as_ref().to_vec();
        let identity = inspect::describe(&der).unwrap().identity;
        let named = |sha256: String| Identity { sha256, ..identity.clone() };
        let seen = Seen::default();
        for index in 0..MAX_CLIENTS + 10 {
            seen.record_at(&named(index.to_string()), [&*der].into_iter(), index as i64);
            seen.record_at(&named("0".to_owned()), [&*der].into_iter(), index as i64);
        }
        assert_eq!(seen.clients().len(), MAX_CLIENTS);
        assert!(seen.by_fingerprint().contains_key("0"));
        assert!(!seen.by_fingerprint().contains_key("1"));
        let long = vec![0; MAX_CHAIN_BYTES];
        seen.record_at(&named("long".to_owned()), [&*der, &*long].into_iter(), i64::MAX);
        let long = seen.clients().into_iter().find(|one| one.identity.sha256 == "long").unwrap();
        assert_eq!((long.chain, long.handshakes), (vec![der], 1));
    }
}
