//! Why a TLS connection to an upstream failed, in words its owner can act on.

use std::fmt;

/// A failed handshake with an upstream. Cheap to clone; the text names wanted name, presented
/// names, issuer and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamTlsError {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

impl UpstreamTlsError {
    /// Stable reason code, such as `upstream_name_mismatch`; also a metric label.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for UpstreamTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for UpstreamTlsError {}
