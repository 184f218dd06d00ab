//! Revocation lists: loaded and vetted with the rest of a `tls` block, held against every chain.
//!
//! Guarantees that a list counts only for the issuer whose key signed it, that the newest of one
//! issuer wins and an older one never replaces it, and that doubt refuses unless the policy says
//! otherwise. A lookup is one hash and one binary search; nothing is copied for a handshake.

mod check;
mod der;
mod extensions;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod list;
mod load;
mod succession;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::config::sections::RevocationPolicy;
use crate::tls::revocation::list::List;

pub(super) use check::{Doubt, DoubtKind};
pub(super) use load::{Inputs, load};

/// The lists of one `tls` block in force, newest only. Immutable.
#[derive(Debug)]
pub(crate) struct Revocations {
    by_issuer: HashMap<Box<[u8]>, Vec<Known>>,
    policy: RevocationPolicy,
    algorithms: WebPkiSupportedAlgorithms,
    /// The files, for messages.
    place: String,
}

/// One list and whose key signed it.
#[derive(Clone, Debug)]
struct Known {
    list: Arc<List>,
    /// Set at load for a list of an anchor; for one of an intermediate, when the first chain through
    /// it proves which key that is, and from then on its successors inherit it.
    signer: Arc<OnceLock<Signer>>,
    /// Where it was read, for people.
    place: Arc<str>,
}

/// Whose key made a list, each as a SubjectPublicKeyInfo.
#[derive(Clone, Debug)]
struct Signer {
    key: Vec<u8>,
    /// The key of the anchor that vouches for it: its own, or the one that its chain ended in.
    anchor: Vec<u8>,
}

impl Signer {
    fn anchor(key: Vec<u8>) -> Self {
        Self { anchor: key.clone(), key }
    }
}

/// What is to be told about a list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListFacts {
    /// Who issued it, escaped.
    pub(crate) issuer: String,
    /// When it was made, in Unix seconds.
    pub(crate) this_update: i64,
    /// When it stops to count, in Unix seconds; `None` never.
    pub(crate) next_update: Option<i64>,
    /// How many certificates it lists.
    pub(crate) entries: usize,
    /// Number and date.
    pub(crate) edition: String,
    /// The file, or the key, that it was read from.
    pub(crate) place: String,
}

impl Revocations {
    /// Every list, in order of issuer.
    pub(crate) fn lists(&self) -> Vec<ListFacts> {
        let mut facts: Vec<_> = self
            .by_issuer
            .values()
            .flatten()
            .map(|known| ListFacts {
                issuer: known.list.issuer_name.clone(),
                this_update: known.list.this_update,
                next_update: known.list.next_update,
                entries: known.list.len(),
                edition: known.list.edition(),
                place: known.place.to_string(),
            })
            .collect();
        facts.sort_by(|one, two| one.issuer.cmp(&two.issuer));
        facts
    }

    /// The next moment after `now` at which a list runs out, grace included.
    pub(crate) fn next_boundary(&self, now: i64) -> Option<i64> {
        let grace = i64::try_from(self.policy.grace.as_secs()).unwrap_or(i64::MAX);
        self.by_issuer
            .values()
            .flatten()
            .filter_map(|known| known.list.next_update)
            .map(|at| at.saturating_add(grace))
            .filter(|at| *at > now)
            .min()
    }
}

#[cfg(test)]
mod tests;
