//! Why a peer was not let in: who, what, why, what to do, and a stable reason.

mod explain;
mod hello;
mod plaintext;

use std::fmt;

pub(crate) use explain::Handshake;
pub(crate) use plaintext::Plaintext;

/// A connection that ended before it could carry a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Stable reason code, such as `client_cert_missing`; also a metric label.
    pub(crate) reason: &'static str,
    /// What happened, to whom and why.
    pub(crate) message: String,
    /// One next step; may be empty.
    pub(crate) help: String,
    /// Whether it looks like a probe or a scanner, which nobody needs to be told of.
    pub(crate) probe: bool,
    /// Tells refusals of one peer apart, such as a certificate's fingerprint; may be empty.
    pub(crate) subject: String,
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

#[cfg(test)]
mod tests;
