//! Loading of certificates, keys and CA bundles.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::{damaged, mode};
use crate::tls::fuzzed;
use crate::tls::pem::{Block, Label, parse};

/// Loads the rest of the input as every kind of file that a `tls` block can name. With a bit of
/// the first byte set, the rest says how to damage files that are good: on the level of text, or of
/// the certificate under the base64.
pub fn pem(data: &[u8]) {
    let (mode, rest) = mode(data);
    let text = match mode & 3 {
        0 | 1 => rest.to_vec(),
        2 => damaged(GOOD.text.clone().into_bytes(), rest),
        _ => {
            let mut text = armoured("CERTIFICATE", &damaged(GOOD.leaf.clone(), rest));
            text.push_str(&armoured("CERTIFICATE", &GOOD.ca));
            text.push_str(&GOOD.key);
            text.into_bytes()
        }
    };
    let mut bundle = String::new();
    if let Ok(blocks) = parse(&text) {
        assert!(!blocks.is_empty(), "a file without blocks passed");
        let again: String =
            blocks.iter().map(|block| armoured(&block.label.to_string(), &block.der)).collect();
        let again = parse(again.as_bytes()).expect("our own form is read");
        let ders = |blocks: &[Block]| -> Vec<Vec<u8>> {
            blocks.iter().map(|block| block.der.clone()).collect()
        };
        assert_eq!(ders(&again), ders(&blocks));
        let certificates = blocks.iter().filter(|block| block.label == Label::Certificate);
        bundle.extend(certificates.map(|block| armoured("CERTIFICATE", &block.der)));
    }
    fuzzed::load(&text, &bundle);
}

/// Files that are good; the same in each run, so that an input always means the same.
struct Good {
    text: String,
    key: String,
    leaf: Vec<u8>,
    ca: Vec<u8>,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let (ca_key, leaf_key) = (ed25519(1), ed25519(2));
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
    params.serial_number = Some(1.into());
    let ca = params.self_signed(&ca_key).expect("signs itself");
    let issuer = Issuer::new(params, ca_key);
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("one name");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
    params.serial_number = Some(2.into());
    let leaf = params.signed_by(&leaf_key, &issuer).expect("is signed");
    let key = armoured("PRIVATE KEY", leaf_key.serialized_der());
    let text = format!(
        "{}{}{key}",
        armoured("CERTIFICATE", leaf.der()),
        armoured("CERTIFICATE", ca.der())
    );
    Good { text, key, leaf: leaf.der().to_vec(), ca: ca.der().to_vec() }
});

/// The key whose secret is 32 times this byte, in PKCS #8: its signatures are always the same.
pub(super) fn ed25519(byte: u8) -> KeyPair {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[byte; 32]);
    KeyPair::try_from(der).expect("a key")
}

pub(super) fn armoured(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}
