//! A private key: found in its file, named when it cannot be used, never shown.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_parser::asn1_rs::{Any, FromDer, Integer, Oid, Sequence};

use crate::config::Problem;
use crate::config::types::Pem;
use crate::tls::error::problem;
use crate::tls::inspect::{self, KeyFacts, KeyKind};
use crate::tls::material::{self, Material};
use crate::tls::own::KEYS;
use crate::tls::pem::{Block, KeyForm, Label};

/// Loads the one key of a file.
pub(super) fn load(
    key: &Pem,
    provider: &CryptoProvider,
    warnings: &mut Vec<Problem>,
) -> Result<Arc<dyn SigningKey>, Problem> {
    let material = material::load(key, "key_not_pem")?;
    let block = only_key(key, &material)?;
    let signer = KeyMaterial::of(block)
        .and_then(|material| provider.key_provider.load_private_key(material.0).ok())
        .ok_or_else(|| unsupported(key, block))?;
    if material.mode.is_some_and(|mode| mode & 0o004 != 0) {
        let message = format!(
            "every user of this machine can read the private key (mode {:04o})",
            material.mode.unwrap_or_default()
        );
        let help = format!("`chmod o-rwx {}`", material::place(key));
        warnings.push(problem(key, 0, "key_world_readable", message, help));
    }
    Ok(signer)
}

fn only_key<'a>(key: &Pem, material: &'a Material) -> Result<&'a Block, Problem> {
    let keys: Vec<_> =
        material.blocks.iter().filter(|block| block.label.is_private_key()).collect();
    let Some(first) = keys.first() else {
        let (reason, help) = match material.blocks.first().map(|block| &block.label) {
            Some(Label::Certificate) => (
                "key_is_certificate",
                "are cert_file and key_file swapped? The private key belongs here",
            ),
            Some(Label::PublicKey) => ("key_is_public", Label::PublicKey.mend()),
            Some(label) => ("key_not_pem", label.mend()),
            None => ("key_not_pem", ""),
        };
        let message = format!("has no private key (found: {})", material.found());
        return Err(problem(key, 0, reason, message, help));
    };
    if let Some(second) = keys.get(1) {
        let message = format!("has {} private keys; which one is meant?", keys.len());
        return Err(problem(key, second.line, "key_ambiguous", message, "leave one in the file"));
    }
    match &first.label {
        Label::EncryptedKey(_) => {
            let message = format!("is encrypted ({})", first.label);
            Err(problem(key, first.line, "key_encrypted", message, first.label.mend()))
        }
        Label::Other(words) => {
            let message = format!("is a {words}, which is not supported");
            Err(problem(key, first.line, "key_unsupported", message, first.label.mend()))
        }
        _ => Ok(first),
    }
}

fn unsupported(key: &Pem, block: &Block) -> Problem {
    let message = match describe_key(block) {
        Some(facts) if !facts.is_supported() => format!("is a key of kind {facts}"),
        Some(facts) => format!("is a damaged key of kind {facts}"),
        None => "is not a private key inside its markers".to_owned(),
    };
    problem(key, block.line, "key_unsupported", message, KEYS)
}

/// A key in the form that its label promises.
pub(crate) struct KeyMaterial(PrivateKeyDer<'static>);

impl KeyMaterial {
    fn of(block: &Block) -> Option<Self> {
        let der = block.der.clone();
        Some(Self(match block.label {
            Label::PrivateKey(KeyForm::Pkcs1) => PrivatePkcs1KeyDer::from(der).into(),
            Label::PrivateKey(KeyForm::Pkcs8) => PrivatePkcs8KeyDer::from(der).into(),
            Label::PrivateKey(KeyForm::Sec1) => PrivateSec1KeyDer::from(der).into(),
            _ => return None,
        }))
    }

    /// SHA-256 of the public half's SubjectPublicKeyInfo; `None` when the key cannot be used.
    pub(crate) fn spki_sha256(block: &Block) -> Option<String> {
        let material = Self::of(block)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let signer = provider.key_provider.load_private_key(material.0).ok()?;
        Some(inspect::sha256_hex(signer.public_key()?.as_ref()))
    }
}

/// Kind and size of a private key, as far as its outer form tells.
pub(crate) fn describe_key(block: &Block) -> Option<KeyFacts> {
    let (_rest, outer) = Sequence::from_der(&block.der).ok()?;
    match block.label {
        Label::PrivateKey(KeyForm::Pkcs1) => rsa(outer.content.as_ref()),
        Label::PrivateKey(KeyForm::Sec1) => {
            let (rest, _version) = Integer::from_der(outer.content.as_ref()).ok()?;
            let (rest, _secret) = Any::from_der(rest).ok()?;
            let (_rest, parameters) = Any::from_der(rest).ok()?;
            let curve = Oid::from_der(parameters.data).ok().map(|(_rest, oid)| oid.to_id_string());
            Some(KeyFacts::of_algorithm(EC, curve.as_deref()))
        }
        Label::PrivateKey(KeyForm::Pkcs8) => {
            let (rest, _version) = Integer::from_der(outer.content.as_ref()).ok()?;
            let (rest, algorithm) = Sequence::from_der(rest).ok()?;
            let (parameters, oid) = Oid::from_der(algorithm.content.as_ref()).ok()?;
            let curve = Oid::from_der(parameters).ok().map(|(_rest, oid)| oid.to_id_string());
            let facts = KeyFacts::of_algorithm(&oid.to_id_string(), curve.as_deref());
            if facts.kind != KeyKind::Rsa {
                return Some(facts);
            }
            let (_rest, inner) = Any::from_der(rest).ok()?;
            let (_rest, key) = Sequence::from_der(inner.data).ok()?;
            rsa(key.content.as_ref())
        }
        _ => None,
    }
}

fn rsa(key: &[u8]) -> Option<KeyFacts> {
    let (rest, _version) = Integer::from_der(key).ok()?;
    let (_rest, modulus) = Any::from_der(rest).ok()?;
    Some(KeyFacts { kind: KeyKind::Rsa, bits: inspect::bit_length(modulus.data) })
}

const EC: &str = "1.2.840.10045.2.1";
