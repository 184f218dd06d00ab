//! How a long run is followed: what the reloader says, how far it is, and what stopped it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::load::Load;
use super::rotations;

/// Follows one row.
pub struct Follower {
    what: String,
    heard: Heard,
    /// From the last write to the new certificate, at most.
    slowest: Duration,
    _listening: DefaultGuard,
}

/// The last lines of the reloader. It runs on the test's own thread.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<VecDeque<String>>>);

impl io::Write for Heard {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(line).trim_end().to_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Follower {
    /// Listens from now on.
    pub fn of(what: String) -> Self {
        let heard = Heard::default();
        let writer = heard.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_filter(Targets::new().with_target("portcullis::tls::reload", Level::DEBUG));
        let listening = tracing_subscriber::registry().with(lines).set_default();
        Self { what, heard, slowest: Duration::ZERO, _listening: listening }
    }

    /// A rotation is over: ends the row if something failed, and says from time to time how far
    /// it is.
    pub fn rotated(&self, round: u32, load: &Load) {
        let (requests, handshakes, failures) = load.so_far();
        assert!(failures.is_empty(), "{}", self.story(round, load, &first(&failures)));
        let done = round + 1;
        if rotations() > 100 && done.is_multiple_of(100) {
            self.sum_up(done, (requests, handshakes, 0), load.elapsed());
        }
    }

    /// One rotation's new material was `written` then; whether it is in force since.
    pub fn took_up(&mut self, round: u32, load: &Load, written: Instant, is_in_force: bool) {
        let waited = written.elapsed();
        let wrong = || format!("the new certificate is not in force after {waited:?}");
        assert!(is_in_force, "{}", self.story(round, load, &wrong()));
        self.slowest = self.slowest.max(waited);
    }

    /// What went wrong, when, and what the reloader saw before.
    fn story(&self, round: u32, load: &Load, wrong: &str) -> String {
        let lines: Vec<_> = self.heard.0.lock().unwrap().iter().cloned().collect();
        format!(
            "{}, rotation {round}, {:.2} s after the start (now {:?}): {wrong}\nthe reloader said \
             last:\n{}",
            self.what,
            load.elapsed().as_secs_f64(),
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap(),
            lines.join("\n")
        )
    }

    /// Ends the load and says how it went. Fails if there was none.
    pub async fn end(&self, rotations: u32, load: Load) {
        let took = load.elapsed();
        let (requests, handshakes, failures) = load.stop().await;
        self.sum_up(rotations, (requests, handshakes, failures.len()), took);
        assert!(failures.is_empty(), "{}: {}", self.what, first(&failures));
        assert!(handshakes > 0 && requests > handshakes, "{}: there was no load", self.what);
    }

    fn sum_up(&self, rotations: u32, counts: (u64, u64, usize), took: Duration) {
        let (requests, handshakes, failed) = counts;
        eprintln!(
            "rotation: {}: {rotations} rotations, {requests} requests, {handshakes} fresh \
             handshakes, {failed} failed; slowest to be served {} ms; all in {} s",
            self.what,
            self.slowest.as_millis(),
            took.as_secs()
        );
    }
}

fn first(failures: &[String]) -> String {
    format!("{} failed, first:\n{}", failures.len(), failures[..failures.len().min(5)].join("\n"))
}

const KEPT: usize = 40;
