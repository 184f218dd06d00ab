//! Sessions that clients may resume.
//!
//! Guarantees that they end with the snapshot that made them (a later one has a store of its own),
//! and [`LIFETIME`] after their client last proved that it holds its key, whatever it was told and
//! however often it has resumed since; that each of TLS 1.3 serves once, and a bound in number and
//! size. Nothing is kept outside of this process: no ticket holds a
//! session, so none can be replayed to another one or outlive a key.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;
use tokio::time::Instant;

/// The sessions of one snapshot.
pub(super) struct Sessions {
    kept: Mutex<Kept>,
    /// What [`Sessions::proof`] counts from.
    began: Instant,
    /// By which a proof is found in a session, which the TLS library writes. Not to be guessed, for a
    /// session holds things that its client chose.
    mark: [u8; 16],
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Vec<u8>, Session>,
    /// Oldest first; some are gone already.
    order: VecDeque<(u64, Vec<u8>)>,
    puts: u64,
}

/// When its client proved itself, how many puts came before it, and its secrets.
type Session = (Instant, u64, Vec<u8>);

impl Sessions {
    /// `None` when this machine has no random numbers to give.
    pub(super) fn new() -> Option<Self> {
        let mut mark = [0; 16];
        aws_lc_rs::rand::fill(&mut mark).ok()?;
        Some(Self { kept: Mutex::default(), began: Instant::now(), mark })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That a client proves itself now; to be kept in the sessions that it gets, and in those that it
    /// gets when it resumes them.
    pub(super) fn proof(&self) -> Vec<u8> {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        [&self.mark[..], &since.to_be_bytes()].concat()
    }

    /// When the client of a session proved itself.
    fn proved(&self, session: &[u8]) -> Option<Instant> {
        let place = memchr::memmem::rfind(session, &self.mark)?;
        let since = session.get(place..)?.get(self.mark.len()..)?.first_chunk()?;
        self.began.checked_add(Duration::from_millis(u64::from_be_bytes(*since)))
    }
}

impl Kept {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>, proved: Instant) -> bool {
        if value.len() > MAX_BYTES {
            return false;
        }
        self.puts += 1;
        self.order.push_back((self.puts, key.clone()));
        self.by_key.insert(key, (proved, self.puts, value));
        while self.order.len() > MAX_SESSIONS {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            if self.by_key.get(&oldest).is_some_and(|(_, current, _)| *current == number) {
                self.by_key.remove(&oldest);
            }
        }
        true
    }

    fn get(&self, key: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (proved, _, value) = self.by_key.get(key)?;
        (now.saturating_duration_since(*proved) < LIFETIME).then(|| value.clone())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        // One of unknown age is not kept.
        self.proved(&value).is_some_and(|proved| self.kept().put(key, value, proved))
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

/// After this a client proves itself anew: whoever copied a session has no more time with it.
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
        let sessions = Sessions::new().unwrap();
        let session = sessions.proof();
        assert!(sessions.put(b"a".to_vec(), session.clone()));
        assert_eq!(sessions.take(b"a"), Some(session));
        assert_eq!(sessions.take(b"a"), None);
    }

    /// Scenario: a session without a proof, one cut short, and one with that of another store.
    #[test]
    fn a_session_of_unknown_age_is_not_kept() {
        let sessions = Sessions::new().unwrap();
        let proof = sessions.proof();
        let foreign = Sessions::new().unwrap().proof();
        for session in [&b"secrets"[..], &proof[..proof.len() - 1], &foreign] {
            assert!(!sessions.put(b"a".to_vec(), session.to_vec()));
            assert_eq!(sessions.get(b"a"), None);
        }
    }
}
