//! What may take the place of the lists in force.
//!
//! Guarantees that a reload lets nobody back in who is known to be revoked: an older list does not
//! replace a newer one, and none vanishes while a CA that it is known to be of is trusted. A list of
//! which that is not known does not go without a warning.

use std::cmp::Ordering;

use rustls_pki_types::TrustAnchor;

use crate::config::Problem;
use crate::config::sections::OnDoubt;
use crate::config::types::Pem;
use crate::tls::error::problem;
use crate::tls::revocation::check::issuer_and_serial;
use crate::tls::revocation::load::Inputs;
use crate::tls::revocation::{Known, Revocations};

/// Whoever can put an old file back must not bring the revoked back with it.
pub(super) fn judge(
    files: &[Pem],
    now: &Revocations,
    inputs: &Inputs<'_>,
    warnings: &mut Vec<Problem>,
) -> Vec<Problem> {
    let (Some(before), Some(first)) = (inputs.before, files.first()) else { return Vec::new() };
    let mut problems = Vec::new();
    for old in before.by_issuer.values().flatten() {
        inherit(old, now, inputs);
        let name = &old.list.issuer_name;
        let mut same = now.by_issuer.get(&old.list.issuer).into_iter().flatten();
        let same = same.find(|new| is_successor(new, old, inputs));
        let still = match same {
            Some(new) if new.list.age(&old.list) == Ordering::Less => {
                let message = format!(
                    "the list of {name} is {}, older than the one in force, {}",
                    new.list.edition(),
                    old.list.edition()
                );
                let help = "put the newer list back; an old one would let the revoked in again. If \
                            the CA's numbers really started anew, restart";
                problems.push(problem(first, 0, "crl_rolled_back", message, help));
                continue;
            }
            Some(_) => continue,
            None => still(old, inputs),
        };
        let Some((why, help)) = still.words() else { continue };
        let message = format!(
            "has no list of {name} any more, whose list {} is in force, {why}",
            old.list.edition()
        );
        let gone = problem(first, 0, "crl_withdrawn", message, help);
        if still == Still::Unseen { warnings.push(gone) } else { problems.push(gone) }
    }
    problems
}

/// What is still trusted of that which a list is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Still {
    Anchor,
    Pinned,
    /// An intermediate whose chain was seen to end in an anchor that is there.
    Below,
    /// It may be an intermediate's that no client came with, or a stranger's.
    Unseen,
    Nothing,
}

impl Still {
    fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Anchor => Some((
                "and that CA is still trusted",
                "put its list back, or take the CA out of the bundle, too",
            )),
            Self::Pinned => Some((
                "and a certificate on it is still in the bundle",
                "put its list back, or take that certificate out of the bundle, too",
            )),
            Self::Below => Some((
                "and the CA above it is still trusted: `revocation.unknown: allow` would let in \
                 whoever is on it",
                "put its list back: one that is out of date does no harm if nobody uses that CA any \
                 more. If it is meant to go, restart",
            )),
            Self::Unseen => Some((
                "and `revocation.unknown: allow` now lets in whoever is on it",
                "put its list back, unless that CA is none of yours",
            )),
            Self::Nothing => None,
        }
    }
}

fn still(old: &Known, inputs: &Inputs<'_>) -> Still {
    let signer = old.signer.get();
    let is_issuer = |anchor: &TrustAnchor<'_>| {
        anchor.subject.as_ref() == &*old.list.issuer
            && signer.is_none_or(|signer| has_key(anchor, &signer.key))
    };
    let is_listed = |pin: &[u8]| {
        issuer_and_serial(pin).is_some_and(|(issuer, serial)| {
            issuer == &*old.list.issuer && old.list.find(serial).is_some()
        })
    };
    let anchors = inputs.anchors;
    if anchors.roots.roots.iter().any(is_issuer) {
        Still::Anchor
    } else if anchors.pins.iter().any(|(pin, _facts)| is_listed(pin)) {
        Still::Pinned
    } else if inputs.policy.unknown == OnDoubt::Deny {
        // Its clients are refused without it.
        Still::Nothing
    } else if is_vouched(old, inputs) {
        Still::Below
    } else if signer.is_none() {
        Still::Unseen
    } else {
        Still::Nothing
    }
}

fn is_successor(new: &Known, old: &Known, inputs: &Inputs<'_>) -> bool {
    new.list.scope == old.list.scope
        && match (new.signer.get(), old.signer.get()) {
            (Some(one), Some(two)) => one.key == two.key,
            // It would have inherited the key if that had signed it.
            (None, Some(_)) if is_vouched(old, inputs) => false,
            _ => match (&new.list.signed_with, &old.list.signed_with) {
                (Some(one), Some(two)) => one == two,
                _ => true,
            },
        }
}

/// A reload must not forget what chains have proved: no client may come before the next one.
fn inherit(old: &Known, now: &Revocations, inputs: &Inputs<'_>) {
    let Some(signer) = old.signer.get().filter(|_| is_vouched(old, inputs)) else { return };
    let key = signer.key.as_slice().into();
    for new in now.by_issuer.get(&old.list.issuer).into_iter().flatten() {
        if new.signer.get().is_none() && new.list.signed_by(&key, &inputs.algorithms) {
            let _first = new.signer.set(signer.clone());
        }
    }
}

/// Whether the anchor that vouched for the signer is trusted.
fn is_vouched(old: &Known, inputs: &Inputs<'_>) -> bool {
    let roots = &inputs.anchors.roots.roots;
    old.signer
        .get()
        .is_some_and(|signer| roots.iter().any(|anchor| has_key(anchor, &signer.anchor)))
}

fn has_key(anchor: &TrustAnchor<'_>, key: &[u8]) -> bool {
    webpki::spki_for_anchor(anchor).as_ref() == key
}
