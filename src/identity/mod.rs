//! What a verified certificate proved about a peer, which one name it is known by, and the rules
//! that say whether a peer of that name is let in.
//!
//! Guarantees that names of different kinds never compare equal, that a certificate gives at most
//! one name, and that what cannot be read beyond doubt gives none. Knows nothing of TLS libraries
//! or sockets. Every string comes from a peer: whoever prints one escapes it and caps its length.

mod extract;
mod name;
mod pattern;
mod rules;
mod shown;
mod spiffe;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::SystemTime;

pub use extract::{Unfit, spiffe_id};
pub use name::{Kind, Name};
pub use pattern::Pattern;
pub use rules::{Allow, Decision, Denial, Rule, Rules};
pub use shown::shown;
pub use spiffe::{SpiffeId, is_trust_domain};
#[cfg(any(test, fuzzing))]
pub use {extract::extract, spiffe::is_spiffe};

/// The facts of one leaf certificate, in the forms people compare them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Subject distinguished name as RFC 4514 text, such as `CN=shop,O=Example`.
    pub subject: String,
    /// Issuer distinguished name as RFC 4514 text.
    pub issuer: String,
    /// Subject common name, if there is exactly one.
    pub common_name: Option<String>,
    /// The common names of a subject that has several, of which none is its name.
    pub common_names: Vec<String>,
    /// Serial number in lower-case hexadecimal, without separators.
    pub serial: String,
    /// SHA-256 of the certificate's DER bytes in lower-case hexadecimal.
    pub sha256: String,
    /// DNS names of the subject alternative name extension.
    pub dns: Vec<String>,
    /// URIs of the subject alternative name extension; SPIFFE ids are among them.
    pub uris: Vec<String>,
    /// E-mail addresses of the subject alternative name extension.
    pub emails: Vec<String>,
    /// IP addresses of the subject alternative name extension.
    pub ips: Vec<IpAddr>,
    /// Whether a subject alternative name of these kinds, or the extension itself, is unreadable.
    pub unreadable_names: bool,
    /// Whether it says that it is a CA or may sign certificates or revocation lists.
    pub may_sign: bool,
    /// First instant at which the certificate is valid.
    pub not_before: SystemTime,
    /// Last instant at which the certificate is valid.
    pub not_after: SystemTime,
}

impl Identity {
    /// Nobody: no names, and a validity that is over.
    pub(crate) fn nobody() -> Self {
        Self {
            subject: String::new(),
            issuer: String::new(),
            common_name: None,
            common_names: Vec::new(),
            serial: String::new(),
            sha256: String::new(),
            dns: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            ips: Vec::new(),
            unreadable_names: false,
            may_sign: false,
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH,
        }
    }
}
