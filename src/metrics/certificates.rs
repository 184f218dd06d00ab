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
    /// Unix time from which it counts; a list's thisUpdate.
    pub(crate) not_before: i64,
    /// Unix time; a list's nextUpdate.
    pub(crate) not_after: i64,
}

/// Short hashes of what is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epochs {
    /// Of everything that decides about peers.
    pub(crate) trust: String,
    /// Of our own certificates.
    pub(crate) identity: String,
}

/// Labels of `portcullis_tls_not_after_timestamp_seconds` and `..._not_before_...`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dated {
    block: String,
    role: &'static str,
    name: String,
    fingerprint: String,
}

/// Labels of `portcullis_tls_epoch_info`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Epoch {
    block: String,
    trust: String,
    identity: String,
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
    begins: Family<Dated, Gauge>,
    epochs: Family<Epoch, Gauge>,
    generations: Family<Block, Gauge>,
    by_issuer: Family<Issuer, Gauge>,
    /// What is shown of each block.
    shown: Mutex<HashMap<String, Vec<Dated>>>,
    /// The epoch that is shown of each block.
    shown_epochs: Mutex<HashMap<String, Epoch>>,
}

impl Certificates {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_tls_not_after_timestamp_seconds",
            "When a certificate or revocation list in force ends, by tls block and role",
            self.ends.clone(),
        );
        registry.register(
            "portcullis_tls_not_before_timestamp_seconds",
            "When a certificate or revocation list in force began to count, with the same labels",
            self.begins.clone(),
        );
        registry.register(
            "portcullis_tls_epoch_info",
            "1, with short hashes of whom a tls block trusts and of what it shows: the same on all \
             gateways with the same files",
            self.epochs.clone(),
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
    pub(crate) fn certificates(&self, block: &str, generation: u64, epochs: &Epochs, ends: &[End]) {
        self.ends(block, ends);
        self.epochs(block, epochs);
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
            certificates.begins.remove(&gone);
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
            certificates.begins.get_or_create(&dated).set(end.not_before);
            labels.push(dated);
        }
        shown.insert(block.to_owned(), labels);
    }

    fn epochs(&self, block: &str, epochs: &Epochs) {
        let certificates = &self.0.certificates;
        let now = Epoch {
            block: block.to_owned(),
            trust: epochs.trust.clone(),
            identity: epochs.identity.clone(),
        };
        let mut shown = certificates.shown_epochs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shown.insert(block.to_owned(), now.clone()) {
            certificates.epochs.remove(&before);
        }
        certificates.epochs.get_or_create(&now).set(1);
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
