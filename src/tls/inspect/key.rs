//! What a certificate or key file says of a public key: kind and size, for decisions and messages.

use x509_parser::asn1_rs::Tag;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::tls::inspect::names;

/// A public key's kind and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFacts {
    /// Which algorithm.
    pub(crate) kind: KeyKind,
    /// Size in bits; 0 when unknown.
    pub(crate) bits: usize,
}

/// Public key algorithms, as far as messages tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// On P-256, P-384 or P-521, or another curve by name or object identifier.
    Ec(String),
    /// Ed25519.
    Ed25519,
    /// Anything else, by name or object identifier.
    Other(String),
    /// RSA.
    Rsa,
}

impl std::fmt::Display for KeyFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            KeyKind::Ec(curve) => write!(f, "EC {curve}"),
            KeyKind::Ed25519 => f.write_str("Ed25519"),
            KeyKind::Other(name) => f.write_str(name),
            KeyKind::Rsa => write!(f, "RSA {}", self.bits),
        }
    }
}

impl KeyFacts {
    /// From object identifiers: the algorithm's, and the curve's for an elliptic one. The size of
    /// an RSA key stays 0.
    pub(crate) fn of_algorithm(algorithm: &str, curve_oid: Option<&str>) -> Self {
        match algorithm {
            "1.2.840.113549.1.1.1" => Self { kind: KeyKind::Rsa, bits: 0 },
            "1.2.840.10045.2.1" => {
                let name = curve_oid.map_or_else(|| "with explicit parameters".to_owned(), curve);
                Self { kind: KeyKind::Ec(name), bits: 0 }
            }
            "1.3.101.112" => Self { kind: KeyKind::Ed25519, bits: 256 },
            "1.3.101.113" => Self { kind: KeyKind::Other("Ed448".to_owned()), bits: 448 },
            "1.2.840.113549.1.1.10" => Self { kind: KeyKind::Other("RSA-PSS".to_owned()), bits: 0 },
            "1.2.840.10040.4.1" => Self { kind: KeyKind::Other("DSA".to_owned()), bits: 0 },
            other => Self { kind: KeyKind::Other(names::shown(other)), bits: 0 },
        }
    }

    /// Whether TLS here can verify a signature of this key: RSA from 2048 to 8192 bits, the three
    /// NIST curves, Ed25519.
    pub(crate) fn is_supported(&self) -> bool {
        match &self.kind {
            KeyKind::Ec(curve) => matches!(curve.as_str(), "P-256" | "P-384" | "P-521"),
            KeyKind::Ed25519 => true,
            KeyKind::Other(_) => false,
            KeyKind::Rsa => (2048..=8192).contains(&self.bits),
        }
    }

    /// Whether it is an RSA key that is too short to be trusted.
    pub(crate) fn is_weak_rsa(&self) -> bool {
        self.kind == KeyKind::Rsa && self.bits < 2048
    }
}

/// Of a certificate's key.
pub(super) fn describe(spki: &SubjectPublicKeyInfo<'_>) -> KeyFacts {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    // The parser would take the bytes of explicit parameters for an identifier.
    let parameters = spki.algorithm.parameters.as_ref().filter(|any| any.tag() == Tag::Oid);
    let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
    let mut facts =
        KeyFacts::of_algorithm(&algorithm, curve.map(|oid| oid.to_id_string()).as_deref());
    if facts.kind == KeyKind::Rsa {
        facts.bits = match spki.parsed() {
            Ok(PublicKey::RSA(key)) => bit_length(key.modulus),
            _ => 0,
        };
    }
    facts
}

/// The length of a positive big-endian number.
pub(crate) fn bit_length(number: &[u8]) -> usize {
    let mut digits = number.iter().skip_while(|byte| **byte == 0);
    digits.next().map_or(0, |first| 8 - first.leading_zeros() as usize + 8 * digits.count())
}

fn curve(oid: &str) -> String {
    match oid {
        "1.2.840.10045.3.1.7" => "P-256",
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        _ => return names::shown(oid),
    }
    .to_owned()
}
