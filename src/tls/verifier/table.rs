//! The rest of the table of certificates that people have, made with `openssl`: rare leaves, keys,
//! signatures, anchors and names. What Go accepts and is refused here says so.

use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::ServerName;

use super::judge::Leniency;
use super::matrix::{CLIENT, SUB_CA, chain, fault, issued, judge, reason, root};
use super::*;
use crate::tls::testing::{Ca, TestPki, client_params};
use crate::tls::verifier::judge::Side;

type Expected = Result<(), &'static str>;

/// Extensions, more words for `openssl x509`, and what becomes of it.
const LEAVES: [(&str, &str, &str, Expected); 17] = [
    ("other-names", "subjectAltName=otherName:1.2.3.4;UTF8:x,RID:1.2.3.4", "", Ok(())),
    ("no-host-name", "subjectAltName=DNS:not a name!", "", Ok(())),
    ("mail-too", "extendedKeyUsage=emailProtection,clientAuth", "", Ok(())),
    ("agreement", "keyUsage=keyAgreement", "", Ok(())),
    ("year-9999", "basicConstraints=CA:FALSE", "-days 2900000", Ok(())),
    // Up to 2049 dates are written with two digits for the year.
    ("year-2049", "basicConstraints=CA:FALSE", "-days 8400", Ok(())),
    ("year-2050", "basicConstraints=CA:FALSE", "-days 9000", Ok(())),
    ("serial-0", "basicConstraints=CA:FALSE", "-set_serial 0", Ok(())),
    (
        "serial-of-21",
        "basicConstraints=CA:FALSE",
        "-set_serial 0x7f0102030405060708090a0b0c0d0e0f1011121314",
        Ok(()),
    ),
    ("sha384", "basicConstraints=CA:FALSE", "-sha384", Ok(())),
    ("sha224", "basicConstraints=CA:FALSE", "-sha224", Err("cert_signature_algorithm")),
    ("staple", "tlsfeature=critical,status_request", "", Err("client_cert_extension")),
    // Go does not even parse it.
    (
        "serial-below-0",
        "basicConstraints=CA:FALSE",
        "-set_serial -5",
        Err("client_cert_bad_encoding"),
    ),
    ("key-id", "authorityKeyIdentifier=keyid", "", Ok(())),
    ("all-usages", "extendedKeyUsage=clientAuth,anyExtendedKeyUsage", "", Ok(())),
    ("code", "extendedKeyUsage=codeSigning", "", Err("client_cert_eku")),
    ("ca-false-critical", "basicConstraints=critical,CA:FALSE", "", Ok(())),
];

#[test]
fn rare_leaves_are_judged_as_the_collector_does() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let judge = judge(&pki, "my-ca.crt", Side::Sender);
    for (name, extensions, more, expected) in LEAVES {
        pki.openssl_request(name);
        pki.openssl_sign(name, "my-ca", extensions, more);
        assert_eq!(reason(&judge, &pki, &[&format!("{name}.crt")]), expected, "{name}");
    }
    let serial = format!("-set_serial 0x7f{}", "11".repeat(39));
    issued(&pki, "long", "my-ca", CLIENT);
    pki.openssl_sign("long", "my-ca", CLIENT, &serial);
    assert_eq!(reason(&judge, &pki, &["long.crt"]), Ok(()), "a serial number of 40 octets");
    pki.openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout e.key -out e.csr -subj /",
    );
    pki.openssl_sign("e", "my-ca", CLIENT, "");
    assert_eq!(reason(&judge, &pki, &["e.crt"]), Ok(()), "an empty subject");
}

/// Scenario: a request that asks for names, signed without `-copy_extensions`; and a leaf by
/// `openssl req -x509 -CA`, which the default configuration makes a CA.
/// Guarantees: let in with a warning, as the Collector lets them in; the first has lost its names.
#[test]
fn recipes_that_lose_names_or_make_cas_are_let_in_with_a_warning() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    pki.openssl(&format!(
        "req {new_key} -keyout lost.key -out lost.csr -subj /CN=lost -addext subjectAltName=DNS:a"
    ));
    pki.openssl_sign("lost", "my-ca", "", "");
    pki.openssl(&format!(
        "req -x509 {new_key} -keyout is-ca.key -out is-ca.crt -subj /CN=is-ca -days 9 -CA \
         my-ca.crt -CAkey my-ca.key"
    ));
    let judge = judge(&pki, "my-ca.crt", Side::Sender);
    for (file, leniency) in [("lost.crt", Leniency::V1), ("is-ca.crt", Leniency::Ca)] {
        let chain = chain(&pki, &[file]);
        let got = judge.judge(&chain[0], &[], rustls_pki_types::UnixTime::now()).unwrap();
        assert_eq!(got, Some(leniency), "{file}");
    }
    let facts = crate::tls::inspect::describe(&chain(&pki, &["lost.crt"])[0]).unwrap();
    assert!(facts.identity.dns.is_empty(), "{:?}", facts.identity.dns);
}

#[test]
fn keys_that_nobody_verifies_are_refused_and_named() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let judge = judge(&pki, "my-ca.crt", Side::Sender);
    for (kind, expected) in [
        ("rsa:3072", Ok(())),
        ("rsa:4096", Ok(())),
        // Go takes it.
        ("rsa:2047", Err("weak_rsa_key")),
    ] {
        pki.openssl(&format!("req -newkey {kind} -nodes -keyout k.key -out k.csr -subj /CN=k"));
        pki.openssl_sign("k", "my-ca", CLIENT, "");
        assert_eq!(reason(&judge, &pki, &["k.crt"]), expected, "{kind}");
    }
    // Their owners cannot prove that they hold them: no scheme for it is offered in the handshake.
    let schemes = judge.algorithms.supported_schemes();
    assert!(schemes.iter().all(|scheme| !format!("{scheme:?}").contains("ED448")), "{schemes:?}");
}

/// How a CA with an RSA key signs, and what becomes of its leaves.
#[test]
fn signatures_of_rsa_are_accepted_with_sha2_and_a_salt_as_long_as_the_digest() {
    let pki = TestPki::new();
    // Nobody verifies the signature of a root.
    pki.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout r.key -out r.crt -subj /CN=r -sha1 -days 9",
    );
    let judge = judge(&pki, "r.crt", Side::Sender);
    pki.openssl_request("leaf");
    for (words, expected) in [
        ("-sha384", Ok(())),
        ("-sha512", Ok(())),
        ("-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest", Ok(())),
        (
            "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
            Err("cert_signature_algorithm"),
        ),
        ("-sha1", Err("cert_signature_algorithm")),
    ] {
        pki.openssl_sign("leaf", "r", CLIENT, words);
        assert_eq!(reason(&judge, &pki, &["leaf.crt"]), expected, "{words}");
    }
}

#[test]
fn a_ca_that_was_made_anew_is_trusted_under_either_key() {
    let pki = TestPki::new();
    let mut bundle = String::new();
    for round in ["old", "new"] {
        pki.openssl_ca("twice");
        issued(&pki, round, "twice", CLIENT);
        bundle.extend(chain_text(&pki, "twice.crt"));
    }
    pki.write("both.crt", bundle);
    let judge = judge(&pki, "both.crt", Side::Sender);
    for leaf in ["old.crt", "new.crt"] {
        assert_eq!(reason(&judge, &pki, &[leaf]), Ok(()), "{leaf}");
    }
}

fn chain_text(pki: &TestPki, file: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a file of this test")]
    std::fs::read_to_string(pki.path(file)).ok()
}

#[test]
fn seven_hundred_anchors_are_all_tried_and_a_hundred_and_twenty_of_one_name_too() {
    let pki = TestPki::new();
    let mut bundle = String::new();
    for index in 0..700 {
        let name = if index < 120 { "Many CA".to_owned() } else { format!("CA {index}") };
        let ca = Ca::new(&name);
        if index == 119 || index == 699 {
            pki.write(&format!("of-{index}.crt"), ca.issue(client_params("leaf")).cert_pem());
        }
        bundle.push_str(&ca.pem());
    }
    pki.write("many.crt", bundle);
    let judge = judge(&pki, "many.crt", Side::Sender);
    assert_eq!(judge.anchors.roots.len(), 700);
    assert_eq!(reason(&judge, &pki, &["of-699.crt"]), Ok(()));
    // Go tries them all; the budget of signature checks here ends at a hundred.
    let fault = fault(&judge, &pki, &["of-119.crt"]).unwrap_err();
    assert_eq!(fault.reason, "client_cert_chain");
    assert!(fault.why.contains("100 CAs of one name"), "{}", fault.why);
}

#[test]
fn a_chain_of_eight_intermediates_is_longer_than_is_followed() {
    let pki = TestPki::new();
    let root = Ca::new("Root");
    pki.write("root.crt", root.pem());
    let mut cas = vec![root.intermediate("I0")];
    for index in 1..8 {
        let next = cas[index - 1].intermediate(&format!("I{index}"));
        cas.push(next);
    }
    let judge = judge(&pki, "root.crt", Side::Sender);
    for (count, expected) in [(6, Ok(())), (8, Err("client_cert_chain"))] {
        let leaf = cas[count - 1].issue(client_params("deep"));
        let sent: String = cas[..count].iter().rev().map(Ca::pem).collect();
        pki.write("deep.crt", leaf.cert_pem() + &sent);
        assert_eq!(reason(&judge, &pki, &["deep.crt"]), expected, "{count} intermediates");
    }
}

#[test]
fn intermediates_of_version_1_are_no_issuers() {
    let pki = TestPki::new();
    root(&pki, "top", "");
    issued(&pki, "mid", "top", "");
    issued(&pki, "leaf", "mid", CLIENT);
    let judge = judge(&pki, "top.crt", Side::Sender);
    let fault = fault(&judge, &pki, &["leaf.crt", "mid.crt"]).unwrap_err();
    assert_eq!(fault.reason, "client_cert_issuer_x509_v1");
    assert_eq!(fault.why, "its issuer CN=mid is in X.509 v1 form, which only a root may be");
    assert!(fault.help.contains("basicConstraints=critical,CA:TRUE"), "{}", fault.help);
}

/// The TLS library refuses every URI under a CA that constrains URIs; Go compares them.
#[test]
fn uris_under_a_ca_that_constrains_uris_are_refused_in_words() {
    let pki = TestPki::new();
    root(&pki, "spiffe", "-addext nameConstraints=critical,permitted;URI:example.com");
    issued(&pki, "id", "spiffe", &format!("{CLIENT}\nsubjectAltName=URI:spiffe://example.com/a"));
    let judge = judge(&pki, "spiffe.crt", Side::Sender);
    let fault = fault(&judge, &pki, &["id.crt"]).unwrap_err();
    assert_eq!(fault.reason, "client_cert_name_constraint");
    assert!(fault.why.contains("constrains URIs, which cannot be checked"), "{}", fault.why);
}

/// Go takes a date of 1950; the TLS library does not.
#[test]
fn a_date_of_1950_is_no_date() {
    let pki = TestPki::new();
    let mut params = client_params("old");
    params.not_before = rcgen::date_time_ymd(1949, 1, 1);
    pki.write("old.crt", pki.ca.issue(params).cert_pem());
    let got = reason(&judge(&pki, "ca.crt", Side::Sender), &pki, &["old.crt"]);
    assert_eq!(got, Err("client_cert_bad_encoding"));
}

/// A certificate that says which key signed it, and is then changed in one bit of its signature.
#[test]
fn a_changed_certificate_is_told_from_one_of_a_ca_that_was_made_anew() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let trusted = judge(&pki, "my-ca.crt", Side::Sender);
    let named = format!("{CLIENT}\nauthorityKeyIdentifier=keyid");
    issued(&pki, "leaf", "my-ca", &named);
    issued(
        &pki,
        "mid",
        "my-ca",
        &format!("{SUB_CA}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid"),
    );
    issued(&pki, "below", "mid", &named);
    for (files, changed) in [(&["leaf.crt"][..], 0), (&["below.crt", "mid.crt"], 0)] {
        let mut sent = chain(&pki, files);
        let mut der = sent[changed].to_vec();
        *der.last_mut().unwrap() ^= 1;
        sent[changed] = der.into();
        let fault =
            trusted.judge(&sent[0], &sent[1..], rustls_pki_types::UnixTime::now()).unwrap_err();
        assert_eq!(fault.reason, "bad_signature", "{files:?}: {}", fault.why);
        assert!(fault.help.contains("copy it again, or re-issue it"), "{}", fault.help);
    }
    pki.openssl_ca("my-ca");
    issued(&pki, "leaf", "my-ca", &named);
    let fault = fault(&trusted, &pki, &["leaf.crt"]).unwrap_err();
    assert_eq!(fault.reason, "ca_key_changed");
    assert!(fault.help.ends_with("beside the old"), "{}", fault.help);
}

/// The name in the certificate, its CN, and the name that is asked for.
const NAMES: [(&str, &str, &str, bool); 8] = [
    // Go takes these two.
    ("DNS:*.local", "x", "foo.local", false),
    ("DNS:otel.example.com.", "x", "otel.example.com.", false),
    ("DNS:otel.example.com", "x", "otel.example.com.", true),
    ("DNS:*", "x", "localhost", false),
    ("DNS:a.*.example.com", "x", "a.b.example.com", false),
    ("", "10.1.2.3", "10.1.2.3", false),
    ("IP:::1", "x", "::1", true),
    ("DNS:xn--bcher-kva.example", "x", "xn--bcher-kva.example", true),
];

#[test]
fn rare_names_of_upstreams_are_judged_as_the_collector_does() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    for (san, cn, wanted, expected) in NAMES {
        let judge = judge(&pki, "my-ca.crt", Side::Upstream);
        let verifier = ServerVerifier::new(judge.anchors, judge.algorithms, None);
        let mut extensions = "extendedKeyUsage=serverAuth".to_owned();
        if !san.is_empty() {
            extensions.push_str(&format!("\nsubjectAltName={san}"));
        }
        pki.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout n.key -out n.csr -subj /CN={cn}"
        ));
        pki.openssl_sign("n", "my-ca", &extensions, "");
        let leaf = chain(&pki, &["n.crt"]);
        let name = ServerName::try_from(wanted).unwrap();
        let now = rustls_pki_types::UnixTime::now();
        let got = verifier.verify_server_cert(&leaf[0], &[], &name, &[], now);
        assert_eq!(got.is_ok(), expected, "{san} asked for {wanted}: {got:?}");
    }
}

#[test]
fn a_wildcard_that_only_go_matches_is_explained() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    issued(&pki, "wide", "my-ca", "subjectAltName=DNS:*.local");
    let leaf = chain(&pki, &["wide.crt"]);
    let facts = crate::tls::inspect::describe(&leaf[0]);
    let name = ServerName::try_from("foo.local").unwrap();
    let fault = mismatch::name_mismatch(&name, facts, &webpki::Error::UnknownIssuer);
    let why = "wanted foo.local, but the certificate is for DNS:*.local; a wildcard counts only";
    assert!(fault.why.starts_with(why), "{}", fault.why);
}
