//! Why a peer was not let in: who, what, why, what to do, and a stable reason.

use std::fmt;

/// A connection that ended before it could carry a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Stable reason code, such as `client_cert_missing`; also a metric label.
    pub(crate) reason: &'static str,
    /// What happened, to whom and why.
    pub(crate) message: String,
    /// One next step; may be empty.
    pub(crate) help: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
