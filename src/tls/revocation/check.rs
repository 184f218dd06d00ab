//! A chain against the lists.

use rustls::CertificateError;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use webpki::VerifiedPath;

use crate::config::sections::{OnDoubt, RevocationScope};
use crate::tls::inspect;
use crate::tls::revocation::der::{self, Reader, SEQUENCE};
use crate::tls::revocation::{Known, Revocations, Signer, list};
use crate::tls::time;

/// Why a chain is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tls) struct Doubt {
    pub(in crate::tls) kind: DoubtKind,
    /// The certificate it is about is an issuer in the chain, not the leaf.
    pub(in crate::tls) about_issuer: bool,
    /// One clause without a subject.
    pub(in crate::tls) why: String,
    pub(in crate::tls) help: String,
}

/// What the lists say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tls) enum DoubtKind {
    /// It is listed.
    Revoked,
    /// There is no list of its issuer.
    Unknown,
    /// The list of its issuer is out of date.
    Expired,
}

impl DoubtKind {
    /// What the peer is told.
    pub(in crate::tls) fn alert(self) -> CertificateError {
        match self {
            Self::Revoked => CertificateError::Revoked,
            Self::Unknown => CertificateError::UnknownRevocationStatus,
            Self::Expired => CertificateError::ExpiredRevocationList,
        }
    }

    /// The same for path validation.
    pub(in crate::tls) fn error(self) -> webpki::Error {
        match self {
            Self::Revoked => webpki::Error::CertRevoked,
            Self::Unknown => webpki::Error::UnknownRevocationStatus,
            Self::Expired => webpki::Error::CrlExpired { time: NEVER, next_update: NEVER },
        }
    }
}

const NEVER: rustls_pki_types::UnixTime =
    rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::ZERO);

/// A certificate as lists see it.
struct Subject<'a> {
    der: &'a [u8],
    issuer: &'a [u8],
    serial: &'a [u8],
    is_leaf: bool,
}

impl Revocations {
    /// Looks up a chain whose signatures were verified.
    pub(in crate::tls) fn check_path(
        &self,
        path: &VerifiedPath<'_>,
        now: i64,
    ) -> Result<(), Doubt> {
        let leaf = path.end_entity();
        let issuers: Vec<_> = path.intermediate_certificates().collect();
        let mut keys: Vec<_> =
            issuers.iter().map(|issuer| issuer.subject_public_key_info()).collect();
        let anchor = webpki::spki_for_anchor(path.anchor());
        keys.push(anchor.clone());
        let certificates = std::iter::once(&**leaf).chain(issuers);
        for (index, (certificate, key)) in certificates.zip(&keys).enumerate() {
            if index > 0 && self.policy.scope == RevocationScope::Leaf {
                break;
            }
            let der = certificate.der();
            let subject = Subject {
                der: &der,
                issuer: certificate.issuer(),
                serial: certificate.serial(),
                is_leaf: index == 0,
            };
            self.check(&subject, key, &anchor, now)?;
        }
        Ok(())
    }

    /// Looks up a leaf that an anchor signed directly.
    pub(in crate::tls) fn check_leaf(
        &self,
        leaf: &[u8],
        key: &SubjectPublicKeyInfoDer<'_>,
        now: i64,
    ) -> Result<(), Doubt> {
        let Some((issuer, serial)) = issuer_and_serial(leaf) else {
            return Err(self.unknown("a name that cannot be read", true));
        };
        self.check(&Subject { der: leaf, issuer, serial, is_leaf: true }, key, key, now)
    }

    /// Looks up a leaf that the bundle itself names. Nobody vouches for it but the operator, so no
    /// list is demanded; but whoever is on one, is.
    pub(in crate::tls) fn check_pinned(&self, leaf: &[u8]) -> Result<(), Doubt> {
        let Some((issuer, serial)) = issuer_and_serial(leaf) else { return Ok(()) };
        let listed = self
            .by_issuer
            .get(issuer)
            .into_iter()
            .flatten()
            .find_map(|known| known.list.find(serial).map(|reason| (known, reason)));
        listed.map_or(Ok(()), |(known, reason)| Err(self.revoked(known, reason, true)))
    }

    fn check(
        &self,
        subject: &Subject<'_>,
        key: &SubjectPublicKeyInfoDer<'_>,
        anchor: &SubjectPublicKeyInfoDer<'_>,
        now: i64,
    ) -> Result<(), Doubt> {
        let grace = i64::try_from(self.policy.grace.as_secs()).unwrap_or(i64::MAX);
        let mut stale: Option<&Known> = None;
        let mut fresh = false;
        for known in self.by_issuer.get(subject.issuer).into_iter().flatten() {
            let list = &known.list;
            if !list.scope.covers(subject.der, subject.is_leaf)
                || !self.is_signer(known, key, anchor)
            {
                continue;
            }
            // A list out of date still holds against those who are on it.
            if let Some(reason) = list.find(subject.serial) {
                return Err(self.revoked(known, reason, subject.is_leaf));
            }
            if list.next_update.is_some_and(|at| at.saturating_add(grace) < now) {
                stale = Some(known);
            } else {
                fresh = true;
            }
        }
        match stale {
            _ if fresh => Ok(()),
            Some(known) if self.policy.expired == OnDoubt::Deny => {
                Err(self.expired(known, subject.is_leaf, now))
            }
            None if self.policy.unknown == OnDoubt::Deny => {
                Err(self.unknown(&list::name_of(subject.issuer), subject.is_leaf))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A list of an intermediate cannot be checked before a chain shows the intermediate's key.
    fn is_signer(
        &self,
        known: &Known,
        key: &SubjectPublicKeyInfoDer<'_>,
        anchor: &SubjectPublicKeyInfoDer<'_>,
    ) -> bool {
        if let Some(signer) = known.signer.get() {
            return signer.key == key.as_ref();
        }
        let is_signer = known.list.signed_by(key, &self.algorithms);
        if is_signer {
            let signer = Signer { key: key.as_ref().to_vec(), anchor: anchor.as_ref().to_vec() };
            let _same = known.signer.set(signer);
        }
        is_signer
    }

    fn revoked(&self, known: &Known, reason: &str, is_leaf: bool) -> Doubt {
        let why = format!(
            "its CA {} revoked it ({reason}; list {}, in {})",
            known.list.issuer_name,
            known.list.edition(),
            self.place
        );
        let help = "issue a new certificate for a new key, if its owner is still to be trusted";
        Doubt { kind: DoubtKind::Revoked, about_issuer: !is_leaf, why, help: help.to_owned() }
    }

    fn expired(&self, known: &Known, is_leaf: bool, now: i64) -> Doubt {
        let at = known.list.next_update.unwrap_or(now);
        let why = format!(
            "the revocation list of its CA {} in {} is out of date since {} ({}), so it may have \
             been revoked meanwhile",
            known.list.issuer_name,
            self.place,
            inspect::date(at),
            time::ago(at, now)
        );
        let help = "fetch the CA's current list, or mend this machine's clock; `revocation.grace` gives it more time, and \
                    `revocation.expired: allow` accepts whoever is not on the old one";
        Doubt { kind: DoubtKind::Expired, about_issuer: !is_leaf, why, help: help.to_owned() }
    }

    fn unknown(&self, issuer: &str, is_leaf: bool) -> Doubt {
        let mut names: Vec<_> = self.lists().into_iter().map(|facts| facts.issuer).collect();
        names.dedup();
        names.truncate(8);
        let why = format!(
            "no revocation list of its CA {issuer} is in {} (there: {})",
            self.place,
            names.join(", ")
        );
        let help = "add that CA's list; `revocation.scope: leaf` asks for those of leaves alone, \
                    and `revocation.unknown: allow` accepts whoever no list is about";
        Doubt { kind: DoubtKind::Unknown, about_issuer: !is_leaf, why, help: help.to_owned() }
    }
}

/// The issuer without its outermost tag, and the serial number.
pub(super) fn issuer_and_serial(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let outer = Reader::new(certificate).expect(SEQUENCE)?;
    let tbs = Reader::new(outer.value).expect(SEQUENCE)?;
    let mut tbs = Reader::new(tbs.value);
    tbs.optional(der::tagged(0))?;
    let serial = tbs.expect(der::INTEGER)?;
    tbs.expect(SEQUENCE)?;
    Some((tbs.expect(SEQUENCE)?.value, serial.value))
}
