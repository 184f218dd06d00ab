//! The client certificates that were admitted lately, for whoever wants to know what a change of
//! CA would break.
//!
//! Guarantees a bound in entries and in bytes; the one that was not seen for longest makes room.
//! Keeps certificates only, which their owners show to everyone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Notes a handshake.
pub(crate) fn record<'a>(identity: &Identity, chain: impl Iterator<Item = &'a [u8]>) {
    SEEN.with(|seen| seen.record(identity, chain, time::now()));
}

/// Everyone noted, those seen last first.
pub(crate) fn clients() -> Vec<Client> {
    SEEN.with(|seen| {
        let mut clients: Vec<_> = seen.clients.values().cloned().collect();
        clients.sort_by(|a, b| {
            b.last_seen.cmp(&a.last_seen).then_with(|| a.identity.sha256.cmp(&b.identity.sha256))
        });
        clients
    })
}

/// When the certificates of those noted end: the first of them.
pub(crate) fn ends() -> Vec<End> {
    SEEN.with(|seen| {
        let mut clients: Vec<_> = seen.clients.values().map(|client| &client.identity).collect();
        clients.sort_by(|a, b| (a.not_after, &a.sha256).cmp(&(b.not_after, &b.sha256)));
        let end = |identity: &Identity| End {
            role: "client",
            name: inspect::named(&identity.subject),
            fingerprint: identity.sha256.chars().take(8).collect(),
            not_after: time::seconds(identity.not_after),
        };
        clients.into_iter().take(MAX_ENDS).map(end).collect()
    })
}

/// Metrics show so many clients.
const MAX_ENDS: usize = 100;

/// Across listeners and reloads.
static SEEN: Shared = Shared(Mutex::new(None));

struct Shared(Mutex<Option<Seen>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen: MutexGuard<'_, Option<Seen>> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(seen.get_or_insert_default())
    }
}

/// By fingerprint.
#[derive(Debug, Default)]
struct Seen {
    clients: HashMap<String, Client>,
}

impl Seen {
    fn record<'a>(&mut self, identity: &Identity, chain: impl Iterator<Item = &'a [u8]>, now: i64) {
        if let Some(client) = self.clients.get_mut(&identity.sha256) {
            client.last_seen = now;
            client.handshakes += 1;
            return;
        }
        if self.clients.len() >= MAX_CLIENTS {
            let oldest = self.clients.values().min_by_key(|client| client.last_seen);
            if let Some(oldest) = oldest.map(|client| client.identity.sha256.clone()) {
                self.clients.remove(&oldest);
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
        self.clients.insert(identity.sha256.clone(), client);
    }
}

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
        let mut seen = Seen::default();
        for index in 0..MAX_CLIENTS + 10 {
            seen.record(&named(index.to_string()), [&*der].into_iter(), index as i64);
            seen.record(&named("0".to_owned()), [&*der].into_iter(), index as i64);
        }
        assert_eq!(seen.clients.len(), MAX_CLIENTS);
        assert!(seen.clients.contains_key("0"));
        assert!(!seen.clients.contains_key("1"));
        let long = vec![0; MAX_CHAIN_BYTES];
        seen.record(&named("long".to_owned()), [&*der, &*long].into_iter(), i64::MAX);
        assert_eq!(seen.clients["long"].chain, [der]);
        assert_eq!(seen.clients["long"].handshakes, 1);
    }
}
