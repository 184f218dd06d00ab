//! The decision about one presented chain.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{CertificateError, OtherError};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use crate::tls::anchors::Anchors;
use crate::tls::inspect::{self, CertificateFacts, Purpose};
use crate::tls::revocation::{Doubt, Revocations};
use crate::tls::verifier::candidates::candidates;
use crate::tls::verifier::{TrustDomains, direct, explain, unsupported};

/// Which way a certificate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// One that a sender shows to a listener of ours.
    Sender,
    /// One that an upstream shows to us.
    Upstream,
}

impl Side {
    pub(super) fn purpose(self) -> Purpose {
        match self {
            Self::Sender => Purpose::ClientAuth,
            Self::Upstream => Purpose::ServerAuth,
        }
    }
}

/// Why a certificate was refused.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Stable reason code.
    pub(crate) reason: &'static str,
    /// Why, one clause without a subject.
    pub(crate) why: String,
    /// One next step.
    pub(crate) help: String,
    /// The refused certificate; `None` when it could not be read.
    pub(crate) leaf: Option<Box<CertificateFacts>>,
    /// What the peer is told.
    pub(super) alert: CertificateError,
}

/// Why a leaf that webpki refuses was accepted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leniency {
    /// X.509 v1.
    V1,
    /// Marked CA:TRUE.
    Ca,
    /// Named by the bundle itself.
    Pinned,
}

/// What chains are judged with.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) side: Side,
    pub(super) anchors: Anchors,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Refuse what [`Leniency`] names.
    pub(super) strict: bool,
    /// Whom the CAs took back; `None` when no list is configured.
    pub(super) revocations: Option<Arc<Revocations>>,
    /// By which CAs SPIFFE ids are judged beside the anchors.
    pub(super) domains: TrustDomains,
}

/// What is thought of a chain now, for a connection that was let in before.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It would be let in again.
    Trusted,
    /// It was revoked: the connection ends at once.
    Revoked(Fault),
    /// Its own validity is over.
    Expired(Fault),
    /// Its CA is not trusted any more, or whether it was revoked is not known.
    Untrusted(Fault),
}

impl Judge {
    /// `None` when webpki itself accepts the chain.
    pub(super) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Leniency>, Fault> {
        let leniency = self.judge_chain(leaf, intermediates, now)?;
        self.judge_domain(leaf, intermediates, now)?;
        Ok(leniency)
    }

    fn judge_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Leniency>, Fault> {
        let facts = inspect::describe(leaf);
        let doubts = Doubts::default();
        let refused = match self.chain(&self.anchors, leaf, intermediates, now, &doubts) {
            Ok(()) => match &facts {
                // Its proof of possession would fail, in words that say nothing of its size.
                Some(facts) if facts.key.is_weak_rsa() => {
                    webpki::Error::InvalidSignatureForPublicKey
                }
                Some(facts) if !facts.key.is_supported() => {
                    return Err(unsupported::unprovable(self.side, facts.clone()));
                }
                // Go does not even read it.
                Some(facts) if facts.negative_serial => webpki::Error::InvalidSerialNumber,
                Some(_) => return Ok(None),
                // What our own parser cannot read has no identity to decide by.
                None => webpki::Error::BadDer,
            },
            Err(error) => error,
        };
        let Some(facts) = facts else {
            return Err(explain::unreadable(self.side, &refused));
        };
        if let Some(doubt) = doubts.behind(&refused) {
            return Err(explain::doubted(self.side, doubt, facts));
        }
        let Some((leniency, signer)) = self.lenient(leaf, &facts, &refused, now) else {
            return Err(explain::refused(self, facts, intermediates, &refused, seconds(now)));
        };
        if self.strict {
            return Err(explain::strict(self.side, leniency, facts, &refused));
        }
        let looked_up = match (&self.revocations, signer) {
            (None, _) => Ok(()),
            (Some(lists), Some(key)) => lists.check_leaf(leaf, &key, seconds(now)),
            (Some(lists), None) => lists.check_pinned(leaf),
        };
        match looked_up {
            Ok(()) => Ok(Some(leniency)),
            Err(doubt) => Err(explain::doubted(self.side, doubt, facts)),
        }
    }

    /// What is thought now of a chain that was accepted before.
    pub(super) fn verdict(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verdict {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Verdict::Untrusted(explain::absent());
        };
        match self.judge(leaf, intermediates, now) {
            Ok(_leniency) => Verdict::Trusted,
            Err(fault) => match &fault.alert {
                CertificateError::Revoked => Verdict::Revoked(fault),
                CertificateError::Expired => Verdict::Expired(fault),
                _ if fault.leaf.as_ref().is_some_and(|leaf| leaf.not_after < seconds(now)) => {
                    Verdict::Expired(fault)
                }
                _ => Verdict::Untrusted(fault),
            },
        }
    }

    pub(super) fn chain(
        &self,
        anchors: &Anchors,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        doubts: &Doubts,
    ) -> Result<(), webpki::Error> {
        let leaf = EndEntityCert::try_from(leaf)?;
        let intermediates = candidates(intermediates);
        let usage = Usage(self.side);
        let roots = &anchors.roots.roots;
        let all = self.algorithms.all;
        // The library's own lookup hashes the whole list again for each certificate.
        let look_up = |path: &VerifiedPath<'_>| {
            if !anchors.in_force(path.anchor(), seconds(now)) {
                return Err(webpki::Error::UnknownIssuer);
            }
            let Some(lists) = &self.revocations else { return Ok(()) };
            lists.check_path(path, seconds(now)).map_err(|found| {
                let error = found.kind.error();
                doubts.add(found);
                error
            })
        };
        leaf.verify_for_usage(all, roots, &intermediates, now, usage, None, Some(&look_up))?;
        Ok(())
    }

    /// With the key of the anchor that signed it, unless it is pinned.
    fn lenient(
        &self,
        der: &CertificateDer<'_>,
        facts: &CertificateFacts,
        refused: &webpki::Error,
        now: UnixTime,
    ) -> Option<(Leniency, Option<SubjectPublicKeyInfoDer<'static>>)> {
        use webpki::Error::{CaUsedAsEndEntity, UnknownIssuer, UnsupportedCertVersion};

        let kind = match refused {
            UnsupportedCertVersion if facts.version < 3 => Leniency::V1,
            CaUsedAsEndEntity => Leniency::Ca,
            UnknownIssuer => Leniency::Pinned,
            _ => return None,
        };
        let fine = facts.holds_at(seconds(now))
            && facts.permits(&self.side.purpose())
            && facts.unknown_critical.is_empty()
            && facts.damaged_extension.is_none()
            && !facts.negative_serial
            && facts.key.is_supported();
        if !fine {
            return None;
        }
        if self.anchors.pins.iter().any(|(pin, _facts)| pin == der) {
            let pinned = kind == Leniency::Pinned || facts.version >= 3 && facts.ca != Some(true);
            return Some((if pinned { Leniency::Pinned } else { kind }, None));
        }
        if kind == Leniency::Pinned {
            return None;
        }
        let signer = direct::signed_by_anchor(der, &self.anchors, &self.algorithms, seconds(now))?;
        Some((kind, Some(signer)))
    }
}

fn seconds(at: UnixTime) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
}

/// What was doubted on the paths that were tried, the first of each kind. Which path's failure is
/// the one to tell is known at the end only.
#[derive(Debug, Default)]
pub(super) struct Doubts(RefCell<Vec<Doubt>>);

impl Doubts {
    fn add(&self, doubt: Doubt) {
        let mut known = self.0.borrow_mut();
        if known.iter().all(|other| other.kind != doubt.kind) {
            known.push(doubt);
        }
    }

    /// The one that became this error.
    pub(super) fn behind(&self, error: &webpki::Error) -> Option<Doubt> {
        let is_it = |doubt: &Doubt| {
            std::mem::discriminant(&doubt.kind.error()) == std::mem::discriminant(error)
        };
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(is_it)?;
        Some(known.swap_remove(at))
    }
}

/// Says once for each certificate of this process that it was accepted leniently.
pub(super) fn warn_once(side: Side, leniency: Leniency, leaf: &CertificateDer<'_>) {
    let Some(facts) = inspect::describe(leaf) else { return };
    if !first_time(&WARNED, &facts.identity.sha256) {
        return;
    }
    let (reason, why, help) = explain::leniency(side, leniency);
    tracing::warn!(
        reason,
        certificate = %facts.summary(),
        why,
        help,
        "a certificate was accepted that stricter peers refuse"
    );
}

/// Bounded: after the last one it remembers no more and stays silent.
fn first_time(seen: &Mutex<BTreeSet<String>>, fingerprint: &str) -> bool {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.len() < WARNED_CERTIFICATES && seen.insert(fingerprint.to_owned())
}

/// Across reloads, which make new verifiers.
static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

const WARNED_CERTIFICATES: usize = 1024;

/// As Go: no extendedKeyUsage, the wanted one or any.
#[derive(Clone, Copy, Debug)]
struct Usage(Side);

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let wanted: &[usize] = match self.0 {
            Side::Sender => &[1, 3, 6, 1, 5, 5, 7, 3, 2],
            Side::Upstream => &[1, 3, 6, 1, 5, 5, 7, 3, 1],
        };
        let mut empty = true;
        let mut found = false;
        for usage in usages {
            let usage = usage?.to_decoded_oid();
            empty = false;
            found |= usage == wanted || usage == ANY_USAGE;
        }
        if empty || found { Ok(()) } else { Err(webpki::Error::EmptyEkuExtension) }
    }
}

const ANY_USAGE: [usize; 5] = [2, 5, 29, 37, 0];

/// The alert that belongs to a failure of path validation.
pub(super) fn alert(error: &webpki::Error) -> CertificateError {
    use webpki::Error as E;

    match error {
        E::BadDer | E::BadDerTime | E::TrailingData(_) | E::MalformedExtensions => {
            CertificateError::BadEncoding
        }
        E::CertExpired { .. } | E::InvalidCertValidity => CertificateError::Expired,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::CertNotValidForName(_) => CertificateError::NotValidForName,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::EmptyEkuExtension => CertificateError::InvalidPurpose,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::UnsupportedCriticalExtension => CertificateError::UnhandledCriticalExtension,
        other => CertificateError::Other(OtherError(Arc::new(other.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_about_once_and_the_memory_is_bounded() {
        let seen = Mutex::default();
        assert!(first_time(&seen, "a"));
        assert!(!first_time(&seen, "a"));
        for index in 0..2 * WARNED_CERTIFICATES {
            first_time(&seen, &index.to_string());
        }
        assert_eq!(seen.lock().unwrap().len(), WARNED_CERTIFICATES);
    }
}
