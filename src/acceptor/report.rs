//! Refusals in the log: each once, repetitions counted, never a flood.
//!
//! A stranger can make a handshake fail as often as it likes. Guarantees at most one line a minute
//! for one peer address, reason and certificate, at most [`LINES`] lines in [`WINDOW`] altogether,
//! and memory for at most [`REMEMBERED`] of them; every refusal is in the metrics all the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::tls::Refusal;

/// What was said lately.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    said: HashMap<Key, Said>,
    window: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    reason: &'static str,
    host: String,
    subject: String,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    repeated: u64,
}

/// What to say of a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// A line; how often the same was left out since its last, and how many others were.
    Say { repeated: u64, unsaid: u64 },
    /// Nothing.
    Silent,
}

impl Report {
    /// Logs a refusal, unless it was said already.
    pub(super) fn say(&self, refusal: &Refusal, peer: &str) {
        if refusal.probe {
            tracing::debug!(
                reason = refusal.reason,
                peer,
                detail = %refusal.message,
                "a connection ended before the TLS handshake did"
            );
            return;
        }
        self.warn(refusal, peer, "a TLS handshake was refused");
    }

    /// Logs why a peer that is let in would be refused, unless it was said already.
    pub(super) fn would_refuse(&self, refusal: &Refusal, peer: &str) {
        let text = "let in, as client_auth is report_only; client_auth: require would refuse it";
        self.warn(refusal, peer, text);
    }

    fn warn(&self, refusal: &Refusal, peer: &str, text: &'static str) {
        let verdict = self.weigh(refusal, peer, Instant::now());
        if let Verdict::Say { repeated, unsaid } = verdict {
            tracing::warn!(
                reason = refusal.reason,
                peer,
                detail = %refusal.message,
                help = %refusal.help,
                repeated,
                other_refusals_not_logged = unsaid,
                "{text}"
            );
        }
    }

    fn weigh(&self, refusal: &Refusal, peer: &str, now: Instant) -> Verdict {
        let key = Key {
            reason: refusal.reason,
            host: host(peer).to_owned(),
            subject: refusal.subject.clone(),
        };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = memory.said.get_mut(&key)
            && now.duration_since(said.at) < AGAIN
        {
            said.repeated += 1;
            return Verdict::Silent;
        }
        if memory.window.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            memory.window = Some(now);
            memory.lines = 0;
        }
        if memory.lines >= LINES {
            memory.unsaid += 1;
            return Verdict::Silent;
        }
        memory.lines += 1;
        memory.make_room(now);
        let repeated = memory
            .said
            .insert(key, Said { at: now, repeated: 0 })
            .map_or(0, |before| before.repeated);
        Verdict::Say { repeated, unsaid: std::mem::take(&mut memory.unsaid) }
    }
}

impl Memory {
    fn make_room(&mut self, now: Instant) {
        if self.said.len() < REMEMBERED {
            return;
        }
        self.said.retain(|_key, said| now.duration_since(said.at) < AGAIN);
        if self.said.len() >= REMEMBERED {
            // Repeating a line is better than growing.
            let lost: u64 = self.said.drain().map(|(_key, said)| said.repeated).sum();
            self.unsaid += lost;
        }
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

    fn refusal(reason: &'static str, subject: &str) -> Refusal {
        Refusal {
            reason,
            message: String::new(),
            help: String::new(),
            probe: false,
            subject: subject.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_refusal_is_said_once_a_minute_with_its_count() {
        let (report, now) = (Report::default(), Instant::now());
        let say = |peer: &str, subject: &str, after: u64| {
            let at = now + Duration::from_secs(after);
            report.weigh(&refusal("client_cert_expired", subject), peer, at)
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
        let (report, now) = (Report::default(), Instant::now());
        let mut said = 0;
        for index in 0..500 {
            let verdict = report.weigh(&refusal("x", ""), &format!("host-{index}:1"), now);
            said += u32::from(verdict != Verdict::Silent);
        }
        assert_eq!(said, LINES);
        let later = report.weigh(&refusal("x", ""), "host-new:1", now + WINDOW);
        assert_eq!(later, Verdict::Say { repeated: 0, unsaid: 450 });
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let (report, start) = (Report::default(), Instant::now());
        for index in 0..4 * REMEMBERED as u64 {
            let now = start + WINDOW * u32::try_from(index / u64::from(LINES)).unwrap();
            report.weigh(&refusal("x", ""), &format!("host-{index}:1"), now);
        }
        assert!(report.0.lock().unwrap().said.len() <= REMEMBERED);
    }
}
