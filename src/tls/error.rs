//! What a load of TLS material yields: a snapshot with warnings, or everything that is wrong.
//!
//! Guarantees that each fault names the config key, the file, what was found and what to do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::types::{Pem, PemSource};
use crate::config::{Problem, Span};

/// A snapshot and what is questionable about it.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    /// Ready to be published.
    pub(crate) snapshot: T,
    /// Each is logged once.
    pub(crate) warnings: Vec<Problem>,
}

/// Why a `tls` block cannot be used; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialsError {
    /// One for each faulty file or inline text.
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CredentialsError {}

impl From<Problem> for CredentialsError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Builds a problem about one piece of PEM material.
pub(super) fn problem(
    pem: &Pem,
    line: usize,
    reason: &'static str,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Problem {
    let file = match &pem.source {
        PemSource::File(path) => Some(Arc::from(path.to_string_lossy())),
        PemSource::Inline(_) => None,
    };
    let help = help.into();
    Problem {
        span: Span {
            file,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::from(line > 0),
        },
        key_path: pem.key_path.as_ref().to_owned(),
        message: message.into(),
        help: (!help.is_empty()).then_some(help),
        reason,
    }
}

/// Builds a problem about a block as a whole.
pub(super) fn unkeyed(reason: &'static str, message: String, help: &str) -> Problem {
    let (span, key_path) = (Span::default(), String::new());
    Problem { span, key_path, message, help: Some(help.to_owned()), reason }
}

/// For versions, suites and groups of which the TLS library can make nothing.
pub(super) fn unusable_profile(error: &rustls::Error) -> CredentialsError {
    let message = format!("the TLS settings do not fit together: {error}");
    let help = "compare `min_version`, `max_version`, `cipher_suites` and `curve_preferences`";
    unkeyed("tls_profile", message, help).into()
}

/// The number of the next snapshot of this process; connections remember theirs.
pub(super) fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
