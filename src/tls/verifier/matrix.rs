//! Chains, keys, CAs and names as people make them with `openssl`, on both sides: what Go accepts
//! and refuses, and where path validation alone would differ.

use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::judge::{Fault, Judge};
use super::*;
use crate::tls::anchors;
use crate::tls::inspect::Purpose;
use crate::tls::pem;
use crate::tls::testing::{TestPki, pem_file};
use crate::tls::verifier::judge::Side;

pub(super) fn judge(pki: &TestPki, ca: &str, side: Side) -> Judge {
    let ca = pem_file("tls.ca_file", pki.path(ca));
    let purpose = if side == Side::Sender { Purpose::ClientAuth } else { Purpose::ServerAuth };
    let anchors = anchors::load(&ca, false, &purpose, &mut Vec::new()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    Judge {
        side,
        anchors,
        algorithms,
        strict: false,
        revocations: None,
        domains: TrustDomains::default(),
    }
}

/// The certificates of several files, in their order.
pub(super) fn chain(pki: &TestPki, files: &[&str]) -> Vec<CertificateDer<'static>> {
    let mut chain = Vec::new();
    for file in files {
        #[expect(clippy::disallowed_methods, reason = "a file of this test")]
        let text = std::fs::read(pki.path(file)).unwrap();
        let blocks = pem::parse(&text).unwrap();
        chain.extend(blocks.into_iter().map(|block| CertificateDer::from(block.der)));
    }
    chain
}

pub(super) fn reason(judge: &Judge, pki: &TestPki, files: &[&str]) -> Result<(), &'static str> {
    fault(judge, pki, files).map_or_else(|fault| Err(fault.reason), |()| Ok(()))
}

pub(super) fn fault(judge: &Judge, pki: &TestPki, files: &[&str]) -> Result<(), Fault> {
    let chain = chain(pki, files);
    judge.judge(&chain[0], &chain[1..], UnixTime::now()).map(|_leniency| ())
}

/// A root with extensions that `openssl req` adds.
pub(super) fn root(pki: &TestPki, name: &str, more: &str) {
    pki.openssl(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out \
         {name}.crt -subj /CN={name} -days 30 {more}"
    ));
}

/// `NAME.crt`, signed by `CA`, with extensions.
pub(super) fn issued(pki: &TestPki, name: &str, ca: &str, extensions: &str) {
    pki.openssl_request(name);
    pki.openssl_sign(name, ca, extensions, "");
}

pub(super) const CLIENT: &str = "extendedKeyUsage=clientAuth";
pub(super) const SUB_CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign";

#[test]
fn keys_of_every_kind_that_can_be_verified_are_accepted_and_short_ones_are_not() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    for side in [Side::Sender, Side::Upstream] {
        let judge = judge(&pki, "my-ca.crt", side);
        for (kind, expected) in [
            ("rsa:2048", Ok(())),
            ("ed25519", Ok(())),
            ("ec -pkeyopt ec_paramgen_curve:P-384", Ok(())),
            ("ec -pkeyopt ec_paramgen_curve:P-521", Ok(())),
            ("rsa:1024", Err("weak_rsa_key")),
            ("rsa:1536", Err("weak_rsa_key")),
        ] {
            let words = format!("req -newkey {kind} -nodes -keyout k.key -out k.csr -subj /CN=k");
            pki.openssl(&words);
            pki.openssl_sign("k", "my-ca", "extendedKeyUsage=clientAuth,serverAuth", "");
            assert_eq!(reason(&judge, &pki, &["k.crt"]), expected, "{kind} {side:?}");
        }
    }
}

#[test]
fn intermediates_may_come_in_any_order_with_or_without_the_root_but_must_come() {
    let pki = TestPki::new();
    root(&pki, "top", "");
    issued(&pki, "mid", "top", SUB_CA);
    issued(&pki, "low", "mid", SUB_CA);
    issued(&pki, "leaf", "low", CLIENT);
    let judge = judge(&pki, "top.crt", Side::Sender);
    for (files, expected) in [
        (&["leaf.crt", "low.crt", "mid.crt"][..], Ok(())),
        (&["leaf.crt", "mid.crt", "low.crt"], Ok(())),
        (&["leaf.crt", "low.crt", "mid.crt", "top.crt"], Ok(())),
        (&["leaf.crt", "low.crt"], Err("client_cert_unknown_issuer")),
        (&["leaf.crt"], Err("client_cert_unknown_issuer")),
    ] {
        assert_eq!(reason(&judge, &pki, files), expected, "{files:?}");
    }
    let fault = fault(&judge, &pki, &["leaf.crt", "low.crt"]).unwrap_err();
    assert!(fault.why.starts_with("its issuer CN=mid is not in"), "{}", fault.why);
}

#[test]
fn an_anchor_may_be_an_intermediate_and_a_cross_signed_one_ends_in_either_root() {
    let pki = TestPki::new();
    root(&pki, "old-root", "");
    root(&pki, "new-root", "");
    issued(&pki, "mid", "old-root", SUB_CA);
    issued(&pki, "leaf", "mid", CLIENT);
    let old = std::fs::rename(pki.path("mid.crt"), pki.path("mid-by-old.crt"));
    old.unwrap();
    pki.openssl_sign("mid", "new-root", SUB_CA, "");
    for ca in ["old-root.crt", "new-root.crt", "mid.crt", "mid-by-old.crt"] {
        let judge = judge(&pki, ca, Side::Sender);
        let sent = ["leaf.crt", "mid-by-old.crt", "mid.crt"];
        assert_eq!(reason(&judge, &pki, &sent), Ok(()), "{ca}");
    }
}

#[test]
fn a_chain_longer_than_its_ca_allows_is_refused() {
    let pki = TestPki::new();
    root(&pki, "short", "-addext basicConstraints=critical,CA:TRUE,pathlen:0");
    issued(&pki, "mid", "short", SUB_CA);
    issued(&pki, "leaf", "mid", CLIENT);
    issued(&pki, "direct", "short", CLIENT);
    let judge = judge(&pki, "mid.crt", Side::Sender);
    assert_eq!(reason(&judge, &pki, &["leaf.crt"]), Ok(()));
    issued(&pki, "sub", "mid", "basicConstraints=critical,CA:TRUE,pathlen:0");
    issued(&pki, "subsub", "sub", SUB_CA);
    issued(&pki, "deep", "subsub", CLIENT);
    let sent = ["deep.crt", "subsub.crt", "sub.crt"];
    assert_eq!(reason(&judge, &pki, &sent), Err("client_cert_chain"));
}

#[test]
fn roots_of_version_1_are_roots_as_everywhere() {
    let pki = TestPki::new();
    pki.openssl_request("ancient");
    pki.openssl("x509 -req -in ancient.csr -signkey ancient.key -days 30 -out ancient.crt");
    issued(&pki, "leaf", "ancient", CLIENT);
    let judge = judge(&pki, "ancient.crt", Side::Sender);
    assert_eq!(reason(&judge, &pki, &["leaf.crt"]), Ok(()));
}

#[test]
fn name_constraints_of_a_ca_hold() {
    let pki = TestPki::new();
    root(&pki, "narrow", "-addext nameConstraints=critical,permitted;DNS:example.com");
    let judge = judge(&pki, "narrow.crt", Side::Sender);
    for (name, san, expected) in [
        ("inside", "\nsubjectAltName=DNS:a.example.com", Ok(())),
        ("nameless", "", Ok(())),
        ("spiffe", "\nsubjectAltName=URI:spiffe://example.com/a", Ok(())),
        ("outside", "\nsubjectAltName=DNS:a.other.com", Err("client_cert_name_constraint")),
    ] {
        issued(&pki, name, "narrow", &format!("{CLIENT}{san}"));
        assert_eq!(reason(&judge, &pki, &[&format!("{name}.crt")]), expected, "{name}");
    }
}

/// The kinds of names, and the name that is asked for.
const NAMES: [(&str, &str, bool); 11] = [
    ("DNS:otel.example.com", "otel.example.com", true),
    ("DNS:otel.example.com", "OTEL.example.com", true),
    ("DNS:otel.example.com", "other.example.com", false),
    ("DNS:*.example.com", "otel.example.com", true),
    ("DNS:*.example.com", "a.otel.example.com", false),
    ("DNS:*.example.com", "example.com", false),
    ("DNS:otel*.example.com", "otel1.example.com", false),
    ("IP:10.1.2.3", "10.1.2.3", true),
    ("DNS:10.1.2.3", "10.1.2.3", false),
    ("IP:10.1.2.3", "10.1.2.4", false),
    ("", "leaf", false),
];

#[test]
fn an_upstream_is_held_to_its_names() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    for (san, wanted, expected) in NAMES {
        let judge = judge(&pki, "my-ca.crt", Side::Upstream);
        let verifier = ServerVerifier::new(judge.anchors, judge.algorithms, None);
        let mut extensions = "extendedKeyUsage=serverAuth".to_owned();
        if !san.is_empty() {
            extensions.push_str(&format!("\nsubjectAltName={san}"));
        }
        issued(&pki, "leaf", "my-ca", &extensions);
        let leaf = chain(&pki, &["leaf.crt"]);
        let name = ServerName::try_from(wanted).unwrap();
        let got = verifier.verify_server_cert(&leaf[0], &[], &name, &[], UnixTime::now());
        assert_eq!(got.is_ok(), expected, "{san} asked for {wanted}: {got:?}");
    }
}

/// Go accepts policies that are marked critical; path validation here refuses what it cannot judge.
#[test]
fn critical_policies_are_refused_by_name() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    issued(&pki, "policies", "my-ca", "certificatePolicies=critical,1.2.3.4");
    let judge = judge(&pki, "my-ca.crt", Side::Sender);
    let fault = fault(&judge, &pki, &["policies.crt"]).unwrap_err();
    assert_eq!(fault.reason, "client_cert_extension");
    assert!(fault.why.ends_with("(perhaps certificatePolicies)"), "{}", fault.why);
}
