//! Sessions that clients may resume.
//!
//! Guarantees that they end with the snapshot that made them (a later one has a store of its own),
//! after [`LIFETIME`] at the latest whatever the client was told, that each of TLS 1.3 serves once,
//! and a bound in number and size. Nothing is kept outside of this process: no ticket holds a
//! session, so none can be replayed to another one or outlive a key.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;
use tokio::time::Instant;

/// The sessions of one snapshot.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_key: HashMap<Vec<u8>, Session>,
    /// Oldest first; some are gone already.
    order: VecDeque<(u64, Vec<u8>)>,
    puts: u64,
}

/// When it began, how many puts came before it, and its secrets.
type Session = (Instant, u64, Vec<u8>);

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>, now: Instant) -> bool {
        if value.len() > MAX_BYTES {
            return false;
        }
        self.puts += 1;
        self.order.push_back((self.puts, key.clone()));
        self.by_key.insert(key, (now, self.puts, value));
        while self.order.len() > MAX_SESSIONS {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            if self.by_key.get(&oldest).is_some_and(|(_, current, _)| *current == number) {
                self.by_key.remove(&oldest);
            }
        }
        true
    }

    fn get(&self, key: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (began, _, value) = self.by_key.get(key)?;
        (now.saturating_duration_since(*began) < LIFETIME).then(|| value.clone())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.kept().put(key, value, Instant::now())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept().get(key, Instant::now())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut kept = self.kept();
        let value = kept.get(key, Instant::now());
        kept.by_key.remove(key);
        value
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They hold secrets.
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// After this a client proves itself anew.
const LIFETIME: Duration = Duration::from_secs(3600);

/// With the next bound, at most 16 MiB.
const MAX_SESSIONS: usize = 1024;
const MAX_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_bounded_and_end_by_time() {
        let mut kept = Kept::default();
        let now = Instant::now();
        for index in 0..MAX_SESSIONS + 1 {
            assert!(kept.put(index.to_string().into_bytes(), vec![1], now));
        }
        assert_eq!((kept.by_key.len(), kept.order.len()), (MAX_SESSIONS, MAX_SESSIONS));
        assert_eq!(kept.get(b"0", now), None);
        assert_eq!(kept.get(b"1", now), Some(vec![1]));
        assert_eq!(kept.get(b"1", now + LIFETIME), None);
        assert!(!kept.put(b"large".to_vec(), vec![0; MAX_BYTES + 1], now));
    }

    #[test]
    fn a_session_is_taken_once() {
        let sessions = Sessions::default();
        assert!(sessions.put(b"a".to_vec(), vec![1]));
        assert_eq!(sessions.take(b"a"), Some(vec![1]));
        assert_eq!(sessions.take(b"a"), None);
    }
}
