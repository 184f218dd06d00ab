//! The facts of one certificate, for decisions, messages and `certs show`.
//!
//! Guarantees that every text in [`CertificateFacts`] is escaped and capped: names come from
//! whoever made the certificate. Judges nothing: whether a certificate is trusted is decided
//! elsewhere.

mod facts;
mod key;
mod names;

pub(crate) use facts::{CertificateFacts, Purpose, describe, named, sha256_hex};
pub(crate) use key::{KeyFacts, KeyKind, bit_length};
pub(super) use names::distinguished_name;
pub(crate) use names::{date, shown};
