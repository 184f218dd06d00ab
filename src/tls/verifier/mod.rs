//! Whether a peer's certificate is accepted: what the Collector accepts, no more, no less where it
//! can be helped.
//!
//! The chain is validated by webpki. Three kinds of leaf that it refuses and Go accepts are then
//! looked at once more, because published recipes make them: X.509 v1, CA:TRUE, and a leaf that the
//! bundle itself names. Such a leaf is never taken for an issuer. Guarantees that a refusal leaves
//! a [`Fault`] for the handshake it happened in.

mod candidates;
mod client;
mod direct;
mod domains;
mod explain;
mod forged;
mod judge;
mod mismatch;
mod note;
mod rare;
mod server;
mod signature;
mod unsupported;

pub(super) use client::{Admission, ClientVerifier};
pub(super) use domains::TrustDomains;
pub(crate) use judge::{Fault, Verdict};
pub(crate) use note::noted;
pub(super) use server::{NoVerifier, ServerVerifier};

pub(super) use note::note_asked;

#[cfg(test)]
mod kinds;
#[cfg(test)]
mod lenient;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
