//! The facts of one certificate, for decisions, messages and `certs show`.
//!
//! Texts in [`CertificateFacts`] are as they stand in the certificate, and come from whoever made it:
//! [`named`] and [`shown`] make them fit to be printed, escaped and capped. Judges nothing: whether a certificate is trusted is decided
//! elsewhere.

mod facts;
mod key;
mod names;

pub(crate) use facts::{CertificateFacts, Purpose, describe, named, sha256_hex};
pub(crate) use key::{KeyFacts, KeyKind, bit_length};
pub(super) use names::distinguished_name;
pub(crate) use names::{date, shown};
