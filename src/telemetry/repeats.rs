//! Refusals in the log: each once, repetitions counted, never a flood.
//!
//! A stranger can make a handshake or a request fail as often as it likes. Guarantees at most one line a minute
//! for one peer address, reason and certificate, at most [`LINES`] lines in [`WINDOW`] altogether,
//! and memory for at most [`REMEMBERED`] of them; every refusal is in the metrics all the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::quota::Quota;

/// What was said lately.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    /// One line a minute each.
    said: HashMap<Key, Quota>,
    /// Of all of them together.
    all: Quota,
}

impl Default for Memory {
    fn default() -> Self {
        Self { said: HashMap::new(), all: Quota::new(LINES, WINDOW) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    reason: &'static str,
    host: String,
    subject: String,
}

/// What to say of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A line.
    Say {
        /// How often the same was left out since its last.
        repeated: u64,
        /// How many others were.
        unsaid: u64,
    },
    /// Nothing.
    Silent,
}

impl Repeats {
    /// Whether to say now that a peer was refused. Two of the same reason, host and subject are the
    /// same refusal.
    pub(crate) fn weigh(&self, reason: &'static str, subject: &str, peer: &str) -> Verdict {
        self.weigh_at(reason, subject, peer, Instant::now())
    }

    fn weigh_at(&self, reason: &'static str, subject: &str, peer: &str, now: Instant) -> Verdict {
        let key = Key { reason, host: host(peer).to_owned(), subject: subject.to_owned() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).weigh(key, now)
    }
}

impl Memory {
    fn weigh(&mut self, key: Key, now: Instant) -> Verdict {
        if let Some(own) = self.said.get_mut(&key).filter(|own| own.is_used_up(now)) {
            let _left_out = own.take(now);
            return Verdict::Silent;
        }
        let Some(mut unsaid) = self.all.take(now) else { return Verdict::Silent };
        let repeated = self.said.remove(&key).map_or(0, |own| own.unsaid());
        if self.said.len() >= REMEMBERED {
            unsaid += self.make_room(now);
        }
        let mut own = Quota::new(1, AGAIN);
        own.take(now);
        self.said.insert(key, own);
        Verdict::Say { repeated, unsaid }
    }

    /// How many were left out of those that are forgotten.
    fn make_room(&mut self, now: Instant) -> u64 {
        let count = |(_key, own): (Key, Quota)| own.unsaid();
        let over = self.said.extract_if(|_key, own| !own.is_used_up(now));
        let lost: u64 = over.map(count).sum();
        if self.said.len() < REMEMBERED {
            return lost;
        }
        // Repeating a line is better than growing.
        lost + self.said.drain().map(count).sum::<u64>()
    }
}

/// The address without its port, which changes with every connection.
fn host(peer: &str) -> &str {
    peer.rsplit_once(':').map_or(peer, |(host, _port)| host)
}

/// How long a refusal stays said.
const AGAIN: Duration = Duration::from_secs(60);

const WINDOW: Duration = Duration::from_secs(10);
const LINES: u32 = 50;
const REMEMBERED: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_refusal_is_said_once_a_minute_with_its_count() {
        let (report, now) = (Repeats::default(), Instant::now());
        let say = |peer: &str, subject: &str, after: u64| {
            let at = now + Duration::from_secs(after);
            report.weigh_at("client_cert_expired", subject, peer, at)
        };
        assert_eq!(say("10.0.0.7:1", "a", 0), Verdict::Say { repeated: 0, unsaid: 0 });
        for port in 2..12 {
            assert_eq!(say(&format!("10.0.0.7:{port}"), "a", 59), Verdict::Silent);
        }
        assert_eq!(say("10.0.0.7:1", "b", 59), Verdict::Say { repeated: 0, unsaid: 0 });
        assert_eq!(say("10.0.0.8:1", "a", 59), Verdict::Say { repeated: 0, unsaid: 0 });
        assert_eq!(say("10.0.0.7:1", "a", 60), Verdict::Say { repeated: 10, unsaid: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_different_peers_is_capped_and_counted() {
        let (report, now) = (Repeats::default(), Instant::now());
        let mut said = 0;
        for index in 0..500 {
            let verdict = report.weigh_at("x", "", &format!("host-{index}:1"), now);
            said += u32::from(verdict != Verdict::Silent);
        }
        assert_eq!(said, LINES);
        let later = report.weigh_at("x", "", "host-new:1", now + WINDOW);
        assert_eq!(later, Verdict::Say { repeated: 0, unsaid: 450 });
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let (report, start) = (Repeats::default(), Instant::now());
        for index in 0..4 * REMEMBERED as u64 {
            let now = start + WINDOW * u32::try_from(index / u64::from(LINES)).unwrap();
            report.weigh_at("x", "", &format!("host-{index}:1"), now);
        }
        assert!(report.0.lock().unwrap().said.len() <= REMEMBERED);
    }
}
