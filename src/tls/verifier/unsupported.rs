//! Words for keys and signatures of kinds that nobody here verifies.
//!
//! Guarantees that whoever holds such a key is told which kind it is: without that, the proof of
//! possession would fail later, in the words for somebody who shows a certificate of others.

use rustls::CertificateError;

use crate::tls::inspect::{CertificateFacts, named};
use crate::tls::verifier::explain::{Words, pick};
use crate::tls::verifier::judge::{Fault, Side};

/// For a leaf whose chain is fine.
pub(super) fn unprovable(side: Side, leaf: CertificateFacts) -> Fault {
    let (reason, why, help) = key(side, &leaf, true);
    let alert = CertificateError::InvalidPurpose;
    Fault { reason, why, help, leaf: Some(Box::new(leaf)), alert }
}

/// Of a leaf, or of an issuer that came with one.
pub(super) fn key(side: Side, whose: &CertificateFacts, is_leaf: bool) -> Words {
    let who = if is_leaf {
        "it".to_owned()
    } else {
        format!("its issuer {}", named(&whose.identity.subject))
    };
    (
        pick(side, "client_cert_key_unsupported", "upstream_cert_key_unsupported"),
        format!("{who} has a key of kind {}, which cannot be verified", whose.key),
        "make a new key, RSA from 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521 (by name), or \
         Ed25519: `openssl ecparam -name prime256v1 -genkey -noout`"
            .to_owned(),
    )
}

/// Whether it is one of the errors for a signature that there is no way to verify.
pub(super) fn is_algorithm(error: &webpki::Error) -> bool {
    use webpki::Error as E;

    matches!(
        error,
        E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | E::SignatureAlgorithmMismatch
    )
}

/// For those errors: it is the signature's own algorithm, or the key of whoever made it.
pub(super) fn algorithm(side: Side, leaf: &CertificateFacts, chain: &[CertificateFacts]) -> Words {
    if let Some(issuer) = chain.iter().find(|issuer| !issuer.key.is_supported()) {
        return key(side, issuer, false);
    }
    let all = || std::iter::once(leaf).chain(chain);
    let badly = all().find(|one| !VERIFIED.contains(&one.signature_algorithm.as_str()));
    let with_odd_salt = || all().find(|one| one.signature_algorithm == PSS);
    let one = badly.or_else(with_odd_salt).unwrap_or(leaf);
    let who = if std::ptr::eq(one, leaf) {
        "it is".to_owned()
    } else {
        format!("its issuer {} is", named(&one.identity.subject))
    };
    let help = if one.signature_algorithm == PSS {
        "only a salt as long as the digest is accepted: re-issue it with `-sigopt \
         rsa_pss_saltlen:digest`, or without PSS"
    } else {
        "re-issue it with SHA-256"
    };
    (
        "cert_signature_algorithm",
        format!(
            "{who} signed with an algorithm that is not accepted ({}, by {})",
            one.signature_algorithm,
            named(&one.identity.issuer)
        ),
        help.to_owned(),
    )
}

const PSS: &str = "RSASSA-PSS";

/// By the names that facts have; of PSS it depends on the parameters.
const VERIFIED: [&str; 8] = [
    "sha256WithRSAEncryption",
    "sha384WithRSAEncryption",
    "sha512WithRSAEncryption",
    PSS,
    "ecdsa-with-SHA256",
    "ecdsa-with-SHA384",
    "ecdsa-with-SHA512",
    "Ed25519",
];
