//! Every way of loading a text as TLS material, for fuzzing.

#![allow(clippy::expect_used, reason = "a panic is how a fuzz target reports")]

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier as _;
use rustls::server::danger::ClientCertVerifier as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::sections::{ClientTls, ServerTls, TlsCommon};
use crate::config::types::{Pem, PemSource, Redacted};
use crate::tls::inspect::{Purpose, describe};
use crate::tls::pem::{Label, parse};
use crate::tls::verifier::{ClientVerifier, ServerVerifier};
use crate::tls::{anchors, client, own, profile, revocation, server};

/// Loads a text as certificate, key and CA bundle of either side, and judges each certificate in
/// it by a bundle, as a sender's and as an upstream's.
pub(crate) fn load(text: &[u8], bundle: &str) {
    let common = TlsCommon {
        ca: Some(pem("ca_pem", text)),
        cert: Some(pem("cert_pem", text)),
        key: Some(pem("key_pem", text)),
        ..TlsCommon::default()
    };
    let listener = ServerTls {
        common: common.clone(),
        client_ca: Some(pem("client_ca_pem", bundle.as_bytes())),
        ..ServerTls::default()
    };
    let as_listener = server::load(&listener);
    let as_exporter = client::load(&ClientTls { common, ..ClientTls::default() }, &[b"h2"]);
    for result in [as_listener.err(), as_exporter.err()].into_iter().flatten() {
        assert!(!result.problems.is_empty(), "refused without a reason");
        let shown = result.to_string();
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "control characters: {shown:?}"
        );
    }
    let Ok(blocks) = parse(text) else { return };
    for block in &blocks {
        if block.label == Label::Certificate {
            judge(bundle, &CertificateDer::from(block.der.as_slice()));
        } else if block.label.is_private_key() {
            let _ = own::describe_key(block);
            let _ = own::KeyMaterial::spki_sha256(block);
        }
    }
}

/// Reads bytes as a file of revocation lists: how many of them can be used, and how many of those
/// the holder of a key signed.
pub(crate) fn lists(bytes: &[u8], spki: &[u8]) -> (usize, usize) {
    revocation::fuzzed::read(&pem("client_crl_file", b""), bytes, spki)
}

fn judge(bundle: &str, leaf: &CertificateDer<'_>) {
    let facts = describe(leaf);
    let algorithms = profile::provider(&TlsCommon::default()).signature_verification_algorithms;
    let now = UnixTime::now();
    let anchors = |purpose| {
        anchors::load(&pem("ca_pem", bundle.as_bytes()), false, &purpose, &mut Vec::new())
    };
    if let Ok(anchors) = anchors(Purpose::ClientAuth) {
        let verifier = ClientVerifier::new(anchors, algorithms, false, None);
        if verifier.verify_client_cert(leaf, &[], now).is_ok() {
            assert!(facts.is_some(), "accepted, but nobody can be named");
        }
    }
    if let Ok(anchors) = anchors(Purpose::ServerAuth) {
        let name = ServerName::try_from("localhost").expect("a name");
        let verdict = ServerVerifier::new(anchors, algorithms, None).verify_server_cert(
            leaf,
            &[],
            &name,
            &[],
            now,
        );
        if verdict.is_ok() {
            assert!(facts.is_some(), "accepted, but nobody can be named");
        }
    }
}

fn pem(key: &str, text: &[u8]) -> Pem {
    // An inline text is UTF-8 by its nature; a file need not be, and `parse` is given the bytes.
    let text = String::from_utf8_lossy(text).into_owned();
    Pem { source: PemSource::Inline(Redacted::new(text)), key_path: Arc::from(key) }
}

/// Reads a seed.
#[cfg(test)]
pub(crate) fn read(path: &std::path::Path) -> Vec<u8> {
    crate::tls::file::read(path).expect("a seed is readable")
}
