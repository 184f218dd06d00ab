//! Keys and signatures of every kind that `openssl` makes, in each place where a certificate may
//! stand: as a sender's or an upstream's leaf, as an issuer that came with it, as a trusted CA, and
//! as our own. What nobody verifies is refused everywhere, and named.

use super::judge::{Fault, Judge, Side};
use super::matrix::{CLIENT, SUB_CA, fault, issued, judge, reason, root};
use crate::config::Problem;
use crate::tls::inspect::Purpose;
use crate::tls::testing::{TestPki, pem_file};
use crate::tls::{anchors, own, profile};

/// How `openssl genpkey` makes a key, and its name.
const NEVER: [(&str, &str); 8] = [
    ("EC -pkeyopt ec_paramgen_curve:P-224", "EC P-224"),
    ("EC -pkeyopt ec_paramgen_curve:secp256k1", "EC secp256k1"),
    ("EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", "EC brainpoolP256r1"),
    ("EC -pkeyopt ec_paramgen_curve:brainpoolP384r1", "EC brainpoolP384r1"),
    (
        "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
        "EC with explicit parameters",
    ),
    (
        "EC -pkeyopt ec_paramgen_curve:secp256k1 -pkeyopt ec_param_enc:explicit",
        "EC with explicit parameters",
    ),
    ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "RSA-PSS"),
    ("ED448", "Ed448"),
];

const BOTH: &str = "extendedKeyUsage=clientAuth,serverAuth";

/// `NAME.key` and `NAME.csr`.
fn request(pki: &TestPki, name: &str, kind: &str) {
    pki.openssl(&format!("genpkey -algorithm {kind} -out {name}.key"));
    pki.openssl(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={name}"));
}

fn refused(judge: &Judge, pki: &TestPki, files: &[&str]) -> Fault {
    fault(judge, pki, files).unwrap_err()
}

/// Guarantees: the leaf of such a key is refused before its proof would fail without a word of why.
#[test]
fn a_leaf_whose_key_nobody_verifies_is_refused_on_both_sides_and_named() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    for (kind, name) in NEVER {
        request(&pki, "odd", kind);
        pki.openssl_sign("odd", "my-ca", BOTH, "");
        for (side, expected) in [
            (Side::Sender, "client_cert_key_unsupported"),
            (Side::Upstream, "upstream_cert_key_unsupported"),
        ] {
            let fault = refused(&judge(&pki, "my-ca.crt", side), &pki, &["odd.crt"]);
            assert_eq!(fault.reason, expected, "{kind}: {}", fault.why);
            let why = format!("it has a key of kind {name}, which cannot be verified");
            assert_eq!(fault.why, why, "{kind}");
            assert!(fault.help.contains("openssl ecparam -name prime256v1"), "{}", fault.help);
        }
        // The forms that are let in for the Collector's sake do not let the key in.
        for form in ["", "basicConstraints=CA:TRUE", BOTH] {
            pki.openssl_sign("odd", "my-ca", form, "");
            let (pinned, _warnings) = beside_a_good_one(&pki, "odd.crt");
            let signed = judge(&pki, "my-ca.crt", Side::Sender);
            for judge in [&signed, &pinned] {
                let fault = refused(judge, &pki, &["odd.crt"]);
                let fits =
                    matches!(fault.reason, "client_cert_key_unsupported" | "ca_key_unsupported");
                assert!(fits, "{form:?}, {kind}: {} {}", fault.reason, fault.why);
            }
        }
    }
}

/// Guarantees: an issuer that came with a chain is named, not the leaf.
#[test]
fn an_issuer_whose_key_nobody_verifies_is_named_as_that() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("leaf");
    for (kind, name) in NEVER {
        request(&pki, "mid", kind);
        pki.openssl_sign("mid", "my-ca", SUB_CA, "");
        pki.openssl_sign("leaf", "mid", BOTH, "");
        for (side, expected) in [
            (Side::Sender, "client_cert_key_unsupported"),
            (Side::Upstream, "upstream_cert_key_unsupported"),
        ] {
            let fault = refused(&judge(&pki, "my-ca.crt", side), &pki, &["leaf.crt", "mid.crt"]);
            assert_eq!(fault.reason, expected, "{kind}: {}", fault.why);
            let why = format!("its issuer CN=mid has a key of kind {name}, which cannot");
            assert!(fault.why.starts_with(&why), "{kind}: {}", fault.why);
        }
    }
    // Go takes it.
    pki.openssl("req -newkey rsa:1024 -nodes -keyout mid.key -out mid.csr -subj /CN=mid");
    pki.openssl_sign("mid", "my-ca", SUB_CA, "");
    pki.openssl_sign("leaf", "mid", BOTH, "");
    let fault = refused(&judge(&pki, "my-ca.crt", Side::Sender), &pki, &["leaf.crt", "mid.crt"]);
    assert_eq!(fault.reason, "weak_rsa_key", "{}", fault.why);
    assert!(fault.why.starts_with("CN=mid (issuer CN=my-ca, "), "{}", fault.why);
    assert!(fault.why.ends_with("has an RSA key of 1024 bits; the least is 2048"), "{}", fault.why);
}

/// Guarantees: alone in a bundle it refuses the bundle; beside a good one it is left out with a
/// warning, and whoever comes with a certificate of it is told so.
#[test]
fn a_ca_whose_key_nobody_verifies_is_left_out_and_said_to_whom_it_signed() {
    let pki = TestPki::new();
    pki.openssl_request("leaf");
    for (kind, name) in NEVER {
        pki.openssl(&format!("genpkey -algorithm {kind} -out odd.key"));
        pki.openssl("req -x509 -key odd.key -out odd.crt -subj /CN=odd -days 9");
        pki.openssl_sign("leaf", "odd", BOTH, "");
        let alone = pem_file("tls.client_ca_file", pki.path("odd.crt"));
        let problems =
            anchors::load(&alone, false, &Purpose::ClientAuth, &mut Vec::new()).unwrap_err();
        assert_eq!(problems[0].reason, "ca_key_unsupported", "{kind}");
        let what = format!("has a key of kind {name}, which cannot be verified");
        assert!(problems[0].message.contains(&what), "{kind}: {}", problems[0]);

        let (judge, warnings) = beside_a_good_one(&pki, "odd.crt");
        assert_eq!(warnings[0].reason, "ca_key_unsupported", "{kind}");
        let fault = refused(&judge, &pki, &["leaf.crt"]);
        assert_eq!(fault.reason, "ca_key_unsupported", "{kind}: {}", fault.why);
        assert!(fault.why.starts_with("its CA CN=odd is in "), "{kind}: {}", fault.why);
        assert!(fault.why.ends_with(&format!("is left out: it {what}")), "{}", fault.why);
    }
}

fn beside_a_good_one(pki: &TestPki, ca: &str) -> (Judge, Vec<Problem>) {
    #[expect(clippy::disallowed_methods, reason = "a file of this test")]
    let odd = std::fs::read_to_string(pki.path(ca)).unwrap();
    let both = pem_file("tls.client_ca_file", pki.write("both.crt", pki.ca.pem() + &odd));
    let mut warnings = Vec::new();
    let anchors = anchors::load(&both, false, &Purpose::ClientAuth, &mut warnings).unwrap();
    (Judge { anchors, ..judge(pki, "ca.crt", Side::Sender) }, warnings)
}

/// As our own certificate, on either side: reasons, and the text.
fn own_faults(pki: &TestPki, name: &str) -> Vec<(&'static str, String)> {
    let provider = profile::provider(&crate::config::sections::TlsCommon::default());
    let cert = pem_file("tls.cert_file", pki.path(&format!("{name}.crt")));
    let key = pem_file("tls.key_file", pki.path(&format!("{name}.key")));
    let mut warnings = Vec::new();
    match own::load(&cert, &key, &Purpose::ServerAuth, &provider, &mut warnings) {
        Ok(_own) => warnings.iter().map(|one| (one.reason, one.to_string())).collect(),
        Err(problems) => problems.iter().map(|one| (one.reason, one.to_string())).collect(),
    }
}

#[test]
fn a_key_that_nobody_verifies_is_no_key_of_ours() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let names = format!("{BOTH}\nsubjectAltName=DNS:a");
    for (kind, name) in NEVER.into_iter().chain([("RSA -pkeyopt rsa_keygen_bits:2047", "RSA 2047")])
    {
        request(&pki, "odd", kind);
        pki.openssl_sign("odd", "my-ca", &names, "");
        let said = own_faults(&pki, "odd");
        let (reason, text) = said.first().unwrap();
        assert!(
            matches!(*reason, "key_unsupported" | "own_cert_key_unsupported"),
            "{kind}: {text}"
        );
        assert!(text.contains(name) && text.contains("supported: RSA from 2048"), "{kind}: {text}");
    }
}

/// Hashes, their names where an RSA key signs, and whether anybody verifies that.
const HASHES: [(&str, &str, bool); 6] = [
    ("-md5", "md5WithRSAEncryption", false),
    ("-sha1", "sha1WithRSAEncryption", false),
    ("-sha224", "sha224WithRSAEncryption", false),
    ("-sha256", "sha256WithRSAEncryption", true),
    ("-sha384", "sha384WithRSAEncryption", true),
    ("-sha512", "sha512WithRSAEncryption", true),
];

/// Guarantees: whichever certificate of the chain is signed so is the one that is named.
#[test]
fn a_broken_hash_is_refused_wherever_a_signature_is_verified() {
    let pki = TestPki::new();
    for (hash, name, good) in HASHES {
        // Nobody verifies the signature of a root.
        let new_key = if pki.path("r.key").exists() { "-key r.key" } else { "-newkey rsa:2048" };
        let out = if new_key.starts_with("-newkey") { "-keyout r.key" } else { "" };
        pki.openssl(&format!(
            "req -x509 {new_key} -nodes {out} -out r.crt -subj /CN=r -days 9 {hash}"
        ));
        let judge = judge(&pki, "r.crt", Side::Sender);
        pki.openssl_request("leaf");
        pki.openssl_sign("leaf", "r", &format!("{BOTH}\nsubjectAltName=DNS:a"), hash);
        pki.openssl_request("mid");
        pki.openssl_sign("mid", "r", SUB_CA, hash);
        issued(&pki, "below", "mid", CLIENT);
        let weak =
            own_faults(&pki, "leaf").iter().any(|(reason, _)| *reason == "own_cert_signature");
        assert_eq!(weak, !good, "as our own: {hash}");
        for (files, who) in [
            (&["leaf.crt"][..], "it is signed".to_owned()),
            (&["below.crt", "mid.crt"], "its issuer CN=mid is signed".to_owned()),
        ] {
            let got = fault(&judge, &pki, files);
            if good {
                assert!(got.is_ok(), "{hash} {files:?}: {got:?}");
                continue;
            }
            let fault = got.unwrap_err();
            assert_eq!(fault.reason, "cert_signature_algorithm", "{hash}: {}", fault.why);
            let why = format!("{who} with an algorithm that is not accepted ({name}, by CN=r)");
            assert_eq!(fault.why, why, "{hash}");
            assert_eq!(fault.help, "re-issue it with SHA-256");
        }
    }
}

#[test]
fn a_salt_of_another_length_is_told_from_a_broken_hash() {
    let pki = TestPki::new();
    pki.openssl("req -x509 -newkey rsa:2048 -nodes -keyout r.key -out r.crt -subj /CN=r -days 9");
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen";
    pki.openssl_request("leaf");
    pki.openssl_sign("leaf", "r", CLIENT, &format!("{pss}:max"));
    let fault = refused(&judge(&pki, "r.crt", Side::Sender), &pki, &["leaf.crt"]);
    assert_eq!(fault.reason, "cert_signature_algorithm");
    assert!(fault.why.contains("(RSASSA-PSS, by CN=r)"), "{}", fault.why);
    assert!(fault.help.contains("rsa_pss_saltlen:digest"), "{}", fault.help);
    pki.openssl_sign("leaf", "r", CLIENT, &format!("{pss}:digest"));
    assert_eq!(reason(&judge(&pki, "r.crt", Side::Sender), &pki, &["leaf.crt"]), Ok(()));
}

/// Guarantees: every curve with every hash, as Go has it.
#[test]
fn cas_of_every_curve_sign_with_every_hash() {
    let pki = TestPki::new();
    pki.openssl_request("leaf");
    for curve in ["P-256", "P-384", "P-521"] {
        pki.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:{curve} -nodes -keyout c.key -out \
             c.crt -subj /CN=c -days 9"
        ));
        for hash in ["-sha256", "-sha384", "-sha512"] {
            pki.openssl_sign("leaf", "c", BOTH, hash);
            for side in [Side::Sender, Side::Upstream] {
                let judge = judge(&pki, "c.crt", side);
                assert_eq!(reason(&judge, &pki, &["leaf.crt"]), Ok(()), "{curve} {hash} {side:?}");
            }
        }
    }
}

/// What makes a certificate that is no anchor, and why. Go refuses to chain to all of them.
const ROOTS: [(&str, &str); 4] = [
    ("-addext 1.2.3.4=critical,ASN1:UTF8String:x", "ca_unknown_extension"),
    ("-set_serial -5", "ca_negative_serial"),
    ("-addext keyUsage=critical,cRLSign", "ca_not_signing"),
    ("-addext extendedKeyUsage=serverAuth", "ca_eku"),
];

#[test]
fn roots_that_may_not_vouch_are_left_out_and_named_to_whom_they_signed() {
    let pki = TestPki::new();
    for (words, expected) in ROOTS {
        root(&pki, "odd", words);
        issued(&pki, "leaf", "odd", CLIENT);
        let (judge, warnings) = beside_a_good_one(&pki, "odd.crt");
        assert_eq!(warnings.first().map(|one| one.reason), Some(expected), "{words}");
        let fault = refused(&judge, &pki, &["leaf.crt"]);
        assert_eq!(fault.reason, expected, "{words}: {}", fault.why);
        assert!(fault.why.contains("is left out: it "), "{words}: {}", fault.why);
    }
}
