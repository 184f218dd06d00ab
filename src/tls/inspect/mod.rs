//! The facts of one certificate, for decisions, messages and `certs show`.
//!
//! Guarantees that every text in [`CertificateFacts`] is escaped and capped: names come from
//! whoever made the certificate. Judges nothing: whether a certificate is trusted is decided
//! elsewhere.

mod facts;
mod names;

pub(crate) use facts::{
    CertificateFacts, KeyFacts, KeyKind, Purpose, bit_length, describe, named, sha256_hex,
};
pub(crate) use names::{date, shown};
