//! TLS material and what is built of it: everything a handshake decides with.
//!
//! One load reads every file of a `tls` block, vets it and builds one immutable snapshot; a
//! [`store::Store`] publishes it to the handshakes through one pointer. Only this folder and
//! `acceptor` name the TLS library. Knows nothing of HTTP or OTLP.

mod ahead;
mod anchors;
pub(crate) mod client;
mod epoch;
mod error;
pub(crate) mod examine;
pub(crate) mod expiry;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
pub(crate) mod inspect;
mod last_words;
mod material;
pub(crate) mod own;
pub(crate) mod pem;
mod profile;
mod recorded;
mod refusal;
pub(crate) mod reload;
pub(crate) mod revocation;
pub(crate) mod seen;
pub(crate) mod server;
pub(crate) mod store;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod time;
mod verifier;
mod way;

pub(crate) use client::{ClientSnapshot, Connector, UpstreamTlsError};
pub(crate) use error::CredentialsError;
pub(crate) use last_words::LastWords;
pub(crate) use profile::Alpn;
pub(crate) use recorded::Recorded;
pub(crate) use refusal::{Handshake, Plaintext, Refusal};
pub(crate) use server::{Live, Loss, ServerSnapshot, Standing};
pub(crate) use verifier::{Fault, noted};
