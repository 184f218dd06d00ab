//! Where log lines go: standard error, standard output, files.
//!
//! A line is written with one call, so that lines of several threads never mix. A failing output
//! loses its lines and nothing else: logging must not stop the data path.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Why an output could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot open {path}: {source}")]
pub(crate) struct OutputError {
    /// The config key that names it.
    key: String,
    path: String,
    source: io::Error,
}

/// Every output of the log.
pub(super) struct Outputs(Vec<Mutex<Box<dyn Write + Send>>>);

impl Outputs {
    /// Opens `stderr`, `stdout` and files; files are appended to.
    pub(super) fn open(key: &str, paths: &[String]) -> Result<Self, OutputError> {
        paths.iter().map(|path| open(key, path)).collect::<Result<_, _>>().map(Self)
    }

    /// One output of the caller's own.
    #[cfg(test)]
    pub(super) fn to(writer: Box<dyn Write + Send>) -> Self {
        Self(vec![Mutex::new(writer)])
    }

    /// Writes one line to each of them.
    pub(super) fn write(&self, line: &str) {
        for output in &self.0 {
            // A thread that panicked while writing left at most half a line behind.
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            let _lost_line = output.write_all(line.as_bytes()).and_then(|()| output.flush());
        }
    }
}

fn open(key: &str, path: &str) -> Result<Mutex<Box<dyn Write + Send>>, OutputError> {
    Ok(Mutex::new(match path {
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
    }))
}
