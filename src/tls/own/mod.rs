//! Our own certificate chain and key.
//!
//! Guarantees that the key belongs to the first certificate of the chain and that this one is in
//! force and made for this use. What only some peers will mind is a warning.

mod key;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Problem;
use crate::config::types::Pem;
use crate::metrics::End;
use crate::tls::error::problem;
use crate::tls::expiry;
use crate::tls::inspect::{self, CertificateFacts, Purpose};
use crate::tls::material;
use crate::tls::pem::Label;
use crate::tls::time;

pub(crate) use key::{KeyMaterial, describe_key};

/// A pair that belongs together.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) leaf: CertificateFacts,
    /// What is sent with it.
    pub(super) issuers: Vec<CertificateFacts>,
    /// Where the certificate came from, for messages.
    pub(super) place: String,
}

impl Own {
    /// When each certificate of the chain ends; the leaf first.
    pub(super) fn ends(&self) -> impl Iterator<Item = End> {
        let all = std::iter::once(&self.leaf).chain(&self.issuers);
        all.map(|facts| expiry::certificate("own", facts))
    }
}

/// Loads the pair; `purpose` is what peers will hold it to.
pub(super) fn load(
    cert: &Pem,
    key: &Pem,
    purpose: &Purpose,
    provider: &CryptoProvider,
    warnings: &mut Vec<Problem>,
) -> Result<Own, Vec<Problem>> {
    load_while(cert, key, purpose, provider, warnings, None)
}

/// The same while a certificate serves, given as its summary. That it has ended since is no reason
/// to refuse what stands beside it: whom to trust must change also then.
pub(super) fn load_while(
    cert: &Pem,
    key: &Pem,
    purpose: &Purpose,
    provider: &CryptoProvider,
    warnings: &mut Vec<Problem>,
    serving: Option<&str>,
) -> Result<Own, Vec<Problem>> {
    let chain = chain(cert);
    let signer = key::load(key, provider, warnings);
    let (chain, signer) = match (chain, signer) {
        (Ok(chain), Ok(signer)) => (chain, signer),
        (chain, signer) => {
            return Err([chain.err(), signer.err()].into_iter().flatten().collect());
        }
    };
    let public = signer.public_key();
    let public = public.as_ref().and_then(|spki| public_bits_of_spki(spki));
    let chain = leaf_first(cert, key, chain, public.as_deref(), warnings).map_err(|e| vec![e])?;
    let Some((leaf, _der)) = chain.first() else { return Err(Vec::new()) };
    let leaf = leaf.clone();
    if !leaf.key.is_supported() {
        // A key may load whose certificate describes it in a way that peers do not read.
        let message =
            format!("has a key of kind {}, which nobody will verify: {}", leaf.key, leaf.summary());
        return Err(vec![problem(cert, 0, "own_cert_key_unsupported", message, KEYS)]);
    }
    let serves = serving.is_some_and(|serving| serving == leaf.summary());
    match judge_leaf(cert, &leaf, purpose, warnings) {
        Err(ended) if serves && ended.reason == EXPIRED => warnings.push(ended),
        judged => judged.map_err(|problem| vec![problem])?,
    }
    judge_issuers(cert, &chain, warnings);
    let (facts, ders): (Vec<_>, Vec<_>) = chain.into_iter().unzip();
    Ok(Own {
        certified: Arc::new(CertifiedKey::new(ders, signer)),
        leaf,
        issuers: facts.into_iter().skip(1).collect(),
        place: material::place(cert),
    })
}

/// Reason of a pair that has ended; as a warning, of one that serves even so.
pub(super) const EXPIRED: &str = "own_cert_expired";

type Chain = Vec<(CertificateFacts, CertificateDer<'static>)>;

fn chain(cert: &Pem) -> Result<Chain, Problem> {
    let material = material::load(cert, "own_cert_no_pem")?;
    let mut chain = Chain::new();
    for block in &material.blocks {
        match &block.label {
            Label::Certificate => {
                let facts = inspect::describe(&block.der).ok_or_else(|| {
                    problem(
                        cert,
                        block.line,
                        "own_cert_damaged",
                        "has a CERTIFICATE block that is not a certificate",
                        "copy the file again",
                    )
                })?;
                chain.push((facts, CertificateDer::from(block.der.clone())));
            }
            // A combined file holds the key too.
            label if label.is_private_key() || *label == Label::Parameters => {}
            label => {
                let message = format!("has a {label} block where certificates belong");
                return Err(problem(cert, block.line, "own_cert_other", message, label.mend()));
            }
        }
    }
    if chain.is_empty() {
        let message = format!("has 0 CERTIFICATE blocks (found: {})", material.found());
        let help = "are cert_file and key_file swapped? The certificate belongs here";
        return Err(problem(cert, 0, "own_cert_is_key", message, help));
    }
    if chain.len() > MAX_CHAIN {
        let message = format!("has {} certificates; a chain has at most {MAX_CHAIN}", chain.len());
        let help = "it is sent whole in every handshake: leaf and intermediates only";
        return Err(problem(cert, 0, "own_cert_chain_long", message, help));
    }
    Ok(chain)
}

/// Puts the key's certificate in front, as peers demand.
fn leaf_first(
    cert: &Pem,
    key: &Pem,
    mut chain: Chain,
    public: Option<&[u8]>,
    warnings: &mut Vec<Problem>,
) -> Result<Chain, Problem> {
    let place = chain.iter().position(|(_facts, der)| public_bits(der).as_deref() == public);
    match place {
        Some(0) => {}
        Some(index) => {
            let leaf = chain.remove(index);
            let message = format!(
                "has the key's certificate {} in place {} of {}; it was put first",
                leaf.0.summary(),
                index + 1,
                chain.len() + 1
            );
            let help = "write the leaf first, then the CA that signed it, and so on";
            warnings.push(problem(cert, 0, "own_cert_chain_order", message, help));
            chain = chain_order(leaf, chain);
        }
        None => {
            let leaf = chain.first().map(|(facts, _der)| facts.summary()).unwrap_or_default();
            let message = format!(
                "is not the key of the certificate in {}, which is {leaf}",
                material::place(cert)
            );
            let help = "both files come from one request: was one of them renewed without the \
                        other? `openssl x509 -in CERT -noout -pubkey` and `openssl pkey -in KEY \
                        -pubout` must print the same";
            return Err(problem(key, 0, "own_key_mismatch", message, help));
        }
    }
    Ok(chain)
}

/// The rest of a chain in the order of issuers; what fits nowhere keeps its place at the end.
fn chain_order(leaf: (CertificateFacts, CertificateDer<'static>), mut rest: Chain) -> Chain {
    let mut sorted = vec![leaf];
    while let Some(index) = sorted.last().and_then(|(last, _)| {
        rest.iter().position(|(facts, _)| facts.identity.subject == last.identity.issuer)
    }) {
        sorted.push(rest.remove(index));
    }
    sorted.append(&mut rest);
    sorted
}

fn judge_leaf(
    cert: &Pem,
    leaf: &CertificateFacts,
    purpose: &Purpose,
    warnings: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let now = time::now();
    if leaf.not_after < now {
        let message = format!(
            "expired on {} ({}): {}",
            inspect::date(leaf.not_after),
            time::ago(leaf.not_after, now),
            leaf.summary()
        );
        let help = format!(
            "renew it; the clock here says {}; if that is wrong, mend it",
            inspect::date(now)
        );
        return Err(problem(cert, 0, EXPIRED, message, help));
    }
    if leaf.not_before > now {
        let message = format!(
            "is not valid before {} ({}): {}",
            inspect::date(leaf.not_before),
            time::ago(leaf.not_before, now),
            leaf.summary()
        );
        let help = format!("wait, or mend the clock, which says {}", inspect::date(now));
        return Err(problem(cert, 0, "own_cert_not_yet_valid", message, help));
    }
    for (reason, message, help) in complaints(leaf, purpose) {
        let said = problem(cert, 0, reason, format!("{message}: {}", leaf.summary()), help);
        // Whoever verifies us at all refuses it: an older certificate serves better than this one.
        if reason == "own_cert_eku" {
            return Err(said);
        }
        warnings.push(said);
    }
    Ok(())
}

/// What some peers will refuse about our own leaf: reason, message and help each.
pub(crate) fn complaints(
    leaf: &CertificateFacts,
    purpose: &Purpose,
) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut found = Vec::new();
    let server = *purpose == Purpose::ServerAuth;
    if !leaf.permits(purpose) {
        let (message, help) = if server {
            (
                "its extendedKeyUsage does not allow serverAuth: peers will refuse it as a server's",
                "re-issue it with extendedKeyUsage serverAuth, or without any",
            )
        } else {
            (
                "its extendedKeyUsage does not allow clientAuth: upstreams will refuse it as a \
                 client's",
                "re-issue it with extendedKeyUsage clientAuth, or without any",
            )
        };
        found.push(("own_cert_eku", message, help));
    }
    if leaf.version < 3 {
        let message = "it is in X.509 v1 form, which peers built on Rust refuse";
        found.push(("own_cert_x509_v1", message, if server { V1_SERVER_MEND } else { V1_MEND }));
    }
    if leaf.ca == Some(true) {
        let message = "it is marked CA:TRUE, which peers built on Rust refuse for a leaf";
        let help = "issue a leaf, or add `-addext basicConstraints=critical,CA:FALSE`";
        found.push(("own_cert_is_ca", message, help));
    }
    let identity = &leaf.identity;
    if server && identity.dns.is_empty() && identity.ips.is_empty() {
        let message = "it has no DNS name and no IP address (subjectAltName): every client that \
                       verifies names will refuse it";
        let help = "re-issue it with `-extfile <(printf \
                    'subjectAltName=DNS:otel.example.com\\nextendedKeyUsage=serverAuth\\n')`, or \
                    `openssl req -x509` with `-addext subjectAltName=DNS:...`; the CN does not count";
        found.push(("own_cert_no_names", message, help));
    }
    if REFUSED_HASHES.contains(&leaf.signature_algorithm.as_str()) {
        let message = "it is signed with MD5, SHA-1 or SHA-224, which peers refuse";
        found.push(("own_cert_signature", message, "re-issue it with SHA-256"));
    }
    found
}

fn judge_issuers(cert: &Pem, chain: &Chain, warnings: &mut Vec<Problem>) {
    let now = time::now();
    for (facts, _der) in chain.iter().skip(1).filter(|(facts, _)| !facts.holds_at(now)) {
        let message = format!(
            "its chain holds {}, valid from {} to {} only",
            facts.summary(),
            inspect::date(facts.not_before),
            inspect::date(facts.not_after)
        );
        warnings.push(problem(
            cert,
            0,
            "own_chain_expired",
            message,
            "ask the CA for its new chain",
        ));
    }
}

fn public_bits(der: &[u8]) -> Option<Vec<u8>> {
    let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate.subject_pki.subject_public_key.data.to_vec())
}

fn public_bits_of_spki(spki: &[u8]) -> Option<Vec<u8>> {
    let (_rest, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(spki).ok()?;
    Some(spki.subject_public_key.data.to_vec())
}

/// Said wherever a v1 certificate of a client turns up.
pub(crate) const V1_MEND: &str = "`openssl x509 -req` before OpenSSL 3.2 writes v1 unless it is \
     given extensions: re-issue it with `-extfile <(printf \
     'basicConstraints=CA:FALSE\\nextendedKeyUsage=clientAuth\\n')`";

/// The same for a server's, which is of no use without names.
pub(crate) const V1_SERVER_MEND: &str = "`openssl x509 -req` before OpenSSL 3.2 writes v1 unless \
     it is given extensions: re-issue it with `-extfile <(printf \
     'subjectAltName=DNS:otel.example.com\\nextendedKeyUsage=serverAuth\\n')`";

/// The same where the side is not known: a v1 certificate does not say.
pub(crate) const V1_ANY_MEND: &str = "`openssl x509 -req` before OpenSSL 3.2 writes v1 unless it \
     is given `-extfile`: re-issue it with one that holds extendedKeyUsage=clientAuth for a \
     sender, or extendedKeyUsage=serverAuth and subjectAltName=DNS:otel.example.com for a listener";

/// What can be made instead of a key that cannot be used.
pub(super) const KEYS: &str = "supported: RSA from 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521 \
     (by name), Ed25519; make a new key: `openssl ecparam -name prime256v1 -genkey -noout`, and \
     have a certificate issued for it";

const REFUSED_HASHES: [&str; 5] = [
    "ecdsa-with-SHA1",
    "ecdsa-with-SHA224",
    "md5WithRSAEncryption",
    "sha1WithRSAEncryption",
    "sha224WithRSAEncryption",
];

/// rustls reads at most ten certificates of a peer's chain; ours should never be refused for it.
const MAX_CHAIN: usize = 10;

#[cfg(test)]
mod tests;
