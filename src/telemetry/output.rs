//! Where log lines go: standard streams and files.
//!
//! Guarantees that whoever logs waits for no output: each has a thread that writes to it, and what
//! it does not take in time is left out and counted. A pipe that nobody reads, or a disk that
//! hangs, must not stop what is served.

use std::collections::VecDeque;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why an output could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot open {path}: {source}")]
pub(crate) struct OutputError {
    /// The config key that names it.
    key: String,
    path: String,
    source: io::Error,
}

/// Every output of the log; clones share them. Dropping the last waits a moment for what is still
/// to be written.
#[derive(Clone)]
pub(super) struct Outputs(Arc<All>);

struct All(Vec<Output>);

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("count", &self.0.0.len()).finish()
    }
}

enum Output {
    /// Where there is no thread to be had.
    Direct(Mutex<Box<dyn Write + Send>>),
    Queued(Arc<Queue>),
}

/// What waits for the thread that writes.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Something waits, or nothing will come any more.
    more: Condvar,
    /// Everything is written.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// Of them, and of those that are being written.
    bytes: usize,
    is_closed: bool,
}

impl Outputs {
    /// Opens `stderr`, `stdout` and files; files are appended to.
    pub(super) fn open(key: &str, paths: &[String]) -> Result<Self, OutputError> {
        let opened: Result<Vec<_>, _> = paths.iter().map(|path| open(key, path)).collect();
        Ok(Self(Arc::new(All(opened?.into_iter().map(Output::queued).collect()))))
    }

    /// One output of the caller's own, written to at once.
    #[cfg(test)]
    pub(super) fn to(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(All(vec![Output::Direct(Mutex::new(writer))])))
    }

    /// Writes one line to each of them; false if one of them did not take it.
    pub(super) fn write(&self, line: &str) -> bool {
        let mut taken = true;
        for output in &self.0.0 {
            taken &= output.write(line);
        }
        taken
    }

    /// Waits until everything is written, but no longer than a moment.
    pub(super) fn flush(&self) {
        self.0.flush();
    }
}

impl All {
    fn flush(&self) {
        for output in &self.0 {
            if let Output::Queued(queue) = output {
                queue.wait_until_idle();
            }
        }
    }
}

impl Drop for All {
    fn drop(&mut self) {
        for output in &self.0 {
            if let Output::Queued(queue) = output {
                queue.lock().is_closed = true;
                queue.more.notify_one();
            }
        }
        self.flush();
    }
}

impl Output {
    fn queued(writer: Box<dyn Write + Send>) -> Self {
        let queue = Arc::new(Queue::default());
        let (writer, theirs) = (Arc::new(Mutex::new(Some(writer))), Arc::clone(&queue));
        let handed_over = Arc::clone(&writer);
        let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let writer = handed_over.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(writer) = writer {
                theirs.write_all_to(writer);
            }
        });
        match spawned {
            Ok(_ends_with_the_queue) => Self::Queued(queue),
            Err(_no_thread) => {
                let writer = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
                Self::Direct(Mutex::new(writer.unwrap_or_else(|| Box::new(io::sink()))))
            }
        }
    }

    fn write(&self, line: &str) -> bool {
        match self {
            Self::Direct(writer) => {
                // A thread that panicked while writing left at most half a line behind.
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                writer.write_all(line.as_bytes()).and_then(|()| writer.flush()).is_ok()
            }
            Self::Queued(queue) => queue.push(line),
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &str) -> bool {
        let mut state = self.lock();
        // One line is always taken, however long it is.
        if state.bytes > 0 && state.bytes.saturating_add(line.len()) > MOST_WAITING {
            return false;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_owned());
        drop(state);
        self.more.notify_one();
        true
    }

    /// What a thread does until the queue is closed and empty.
    fn write_all_to(&self, mut writer: Box<dyn Write + Send>) {
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() {
                if state.is_closed {
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let lines = std::mem::take(&mut state.lines);
            drop(state);
            let mut written = 0;
            for line in lines {
                // Nobody is left to tell that the log cannot be written.
                let _lost_line = writer.write_all(line.as_bytes());
                written += line.len();
            }
            let _lost_lines = writer.flush();
            let mut state = self.lock();
            state.bytes = state.bytes.saturating_sub(written);
            if state.bytes == 0 {
                self.idle.notify_all();
            }
        }
    }

    fn wait_until_idle(&self) {
        let is_busy = |state: &mut State| state.bytes > 0;
        let _late = self.idle.wait_timeout_while(self.lock(), PATIENCE, is_busy);
    }
}

fn open(key: &str, path: &str) -> Result<Box<dyn Write + Send>, OutputError> {
    Ok(match path {
        "stderr" => Box::new(io::stderr()),
        "stdout" => Box::new(io::stdout()),
        file => Box::new(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(file.strip_prefix("file://").unwrap_or(file))
                .map_err(|source| OutputError {
                    key: key.to_owned(),
                    path: file.to_owned(),
                    source,
                })?,
        ),
    })
}

/// A few thousand lines, for a reader that is slow for a moment.
const MOST_WAITING: usize = 4 << 20;

/// How long the end of the process waits for whoever reads its log.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use tokio::time::Instant;

    use super::*;

    /// Takes nothing until it is told to, then everything.
    struct Stuck {
        go_on: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _told_or_dropped = self.go_on.recv();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Scenario: an output takes nothing, as a pipe does that nobody reads.
    /// Guarantees: whoever logs does not wait; some megabytes are kept and the rest is left out; the
    /// end does not wait for ever; and when it takes again, what was kept is written in order.
    #[test]
    fn an_output_that_takes_nothing_keeps_nobody_waiting() {
        let (release, go_on) = channel();
        let taken: Arc<Mutex<Vec<u8>>> = Arc::default();
        let stuck = Stuck { go_on, taken: Arc::clone(&taken) };
        let outputs = Outputs(Arc::new(All(vec![Output::queued(Box::new(stuck))])));
        let line = |number: usize| format!("{number:01023}\n");
        let kept = (0..10_000).take_while(|number| outputs.write(&line(*number))).count();
        assert_eq!(kept, MOST_WAITING / 1024);
        let start = Instant::now();
        outputs.flush();
        assert!((PATIENCE..PATIENCE * 10).contains(&start.elapsed()), "{:?}", start.elapsed());
        drop(release);
        outputs.flush();
        let wanted: String = (0..kept).map(line).collect();
        assert!(*taken.lock().unwrap() == wanted.as_bytes(), "lines are missing or in disorder");
        assert!(outputs.write(&"x".repeat(2 * MOST_WAITING)), "one line is always taken");
    }
}
