//! Whether an anchor signed a leaf directly, for leaves that path validation will not look at.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;
use x509_parser::asn1_rs::{Any, BitString, FromDer};
use x509_parser::prelude::X509Certificate;

use crate::tls::anchors::Anchors;

/// The key of the anchor that did. Only anchors count, never an intermediate that the peer sent, and none with name constraints,
/// which nobody would hold against the leaf.
pub(super) fn signed_by_anchor(
    leaf: &CertificateDer<'_>,
    anchors: &Anchors,
    algorithms: &WebPkiSupportedAlgorithms,
    now: i64,
) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let parts = Parts::of(leaf)?;
    anchors
        .roots
        .roots
        .iter()
        .filter(|anchor| anchor.name_constraints.is_none())
        .filter(|anchor| anchor.subject.as_ref() == parts.issuer)
        .filter(|anchor| anchors.in_force(anchor, now))
        .take(MAX_CHECKS)
        // Anchors hold it without its outermost tag.
        .map(webpki::spki_for_anchor)
        .find(|spki| parts.signed_by(spki, algorithms))
}

struct Parts<'a> {
    /// The DN without its outermost tag, as anchors hold theirs.
    issuer: &'a [u8],
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn of(der: &'a CertificateDer<'_>) -> Option<Self> {
        let der: &'a [u8] = der.as_ref();
        let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
        let tbs = &certificate.tbs_certificate;
        if tbs.signature != certificate.signature_algorithm {
            return None;
        }
        let (_rest, outer) = Any::from_der(der).ok()?;
        let (after_signed, _tbs) = Any::from_der(outer.data).ok()?;
        let signed = outer.data.get(..outer.data.len().checked_sub(after_signed.len())?)?;
        let (after_algorithm, algorithm) = Any::from_der(after_signed).ok()?;
        let (_rest, signature) = BitString::from_der(after_algorithm).ok()?;
        let (_rest, issuer) = Any::from_der(issuer_of(signed)?).ok()?;
        Some(Self {
            issuer: issuer.data,
            signed,
            algorithm: algorithm.data,
            signature: signature.data.to_vec(),
        })
    }

    fn signed_by(
        &self,
        spki: &SubjectPublicKeyInfoDer<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(spki) else { return false };
        algorithms
            .all
            .iter()
            .filter(|one| one.signature_alg_id().as_ref() == self.algorithm)
            .any(|one| key.verify_signature(*one, self.signed, &self.signature).is_ok())
    }
}

/// version (v2 and v3 only), serial, signature, then issuer.
fn issuer_of(tbs: &[u8]) -> Option<&[u8]> {
    let (_rest, tbs) = Any::from_der(tbs).ok()?;
    let (mut rest, first) = Any::from_der(tbs.data).ok()?;
    if first.class() == x509_parser::asn1_rs::Class::ContextSpecific {
        rest = Any::from_der(rest).ok()?.0;
    }
    Some(Any::from_der(rest).ok()?.0)
}

/// A bundle may hold many anchors of one name; each costs a signature check.
const MAX_CHECKS: usize = 100;
