//! The ends of certificates and revocation lists, by `tls` block.
//!
//! Guarantees that a block shows those of its generation in force and no others, and at most
//! [`MAX_SERIES`] of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::instruments::Block;
use crate::metrics::{Metrics, OpenGuard};

/// When one certificate or list of a block ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    /// `own`, `ca`, `crl` or `client`.
    pub(crate) role: &'static str,
    /// The subject, or the issuer of a list; escaped.
    pub(crate) name: String,
    /// The beginning of its SHA-256; empty for a list.
    pub(crate) fingerprint: String,
    /// Unix time.
    pub(crate) not_after: i64,
}

/// Labels of `portcullis_tls_not_after_timestamp_seconds`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dated {
    block: String,
    role: &'static str,
    name: String,
    fingerprint: String,
}

/// Label of `portcullis_tls_connections_by_issuer`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Issuer {
    ca: String,
}

/// The instruments of what ends.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    ends: Family<Dated, Gauge>,
    generations: Family<Block, Gauge>,
    by_issuer: Family<Issuer, Gauge>,
    /// What is shown of each block.
    shown: Mutex<HashMap<String, Vec<Dated>>>,
}

impl Certificates {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_tls_not_after_timestamp_seconds",
            "When a certificate or revocation list in force ends, by tls block and role",
            self.ends.clone(),
        );
        registry.register(
            "portcullis_tls_generation",
            "Number of the generation of certificates in force, by tls block",
            self.generations.clone(),
        );
        registry.register(
            "portcullis_tls_connections_by_issuer",
            "Open connections of clients by the CA that vouches for them",
            self.by_issuer.clone(),
        );
    }
}

impl Metrics {
    /// Says which generation of a block is in force and when everything of it ends.
    pub(crate) fn certificates(&self, block: &str, generation: u64, ends: &[End]) {
        self.ends(block, ends);
        let block = Block { block: block.to_owned() };
        let generation = i64::try_from(generation).unwrap_or(i64::MAX);
        self.0.certificates.generations.get_or_create(&block).set(generation);
    }

    /// Shows these ends of a block instead of those before.
    pub(crate) fn ends(&self, block: &str, ends: &[End]) {
        let certificates = &self.0.certificates;
        let mut shown = certificates.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.remove(block).unwrap_or_default() {
            certificates.ends.remove(&gone);
        }
        let mut labels = Vec::new();
        for end in ends.iter().take(MAX_SERIES) {
            let dated = Dated {
                block: block.to_owned(),
                role: end.role,
                name: end.name.clone(),
                fingerprint: end.fingerprint.clone(),
            };
            certificates.ends.get_or_create(&dated).set(end.not_after);
            labels.push(dated);
        }
        shown.insert(block.to_owned(), labels);
    }

    /// Counts an open connection under the CA that vouches for its client, until the guard is
    /// dropped. `ca` is a name of the listener's bundle.
    pub(crate) fn connection_of(&self, ca: &str) -> OpenGuard {
        let labels = Issuer { ca: ca.to_owned() };
        OpenGuard::new(self.0.certificates.by_issuer.get_or_create_owned(&labels))
    }
}

/// A bundle may hold 512 CAs.
const MAX_SERIES: usize = 600;
