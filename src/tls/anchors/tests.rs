use base64::Engine as _;

use super::*;
use crate::tls::testing::{Ca, TestPki, pem_file};

fn bundle(pki: &TestPki, text: &str) -> Result<(Anchors, Vec<Problem>), Vec<Problem>> {
    let ca = pem_file("tls.client_ca_file", pki.write("bundle.crt", text));
    let mut warnings = Vec::new();
    load(&ca, false, &Purpose::ClientAuth, &mut warnings).map(|anchors| (anchors, warnings))
}

fn reasons(problems: &[Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.reason).collect()
}

fn ca_with(change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
    let mut params = crate::tls::testing::ca_params("Odd CA");
    change(&mut params);
    Ca::self_signed(params).pem()
}

fn pem_of(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn every_entry_of_a_good_bundle_is_an_anchor() {
    let pki = TestPki::new();
    let (anchors, warnings) = bundle(&pki, &(pki.ca.pem() + &pki.other_ca.pem())).unwrap();
    assert_eq!((anchors.roots.len(), warnings.len()), (2, 0));
    assert_eq!(anchors.names(), "2 CAs: CN=Test CA, CN=Other CA");
}

/// Threat: a leaf in the bundle becomes a CA.
#[test]
fn what_may_not_sign_is_no_anchor_and_is_named() {
    let pki = TestPki::new();
    let day = rcgen::date_time_ymd;
    let odd = [
        ("ca_expired", ca_with(|ca| ca.not_after = day(2021, 1, 1))),
        (
            "ca_not_yet_valid",
            ca_with(|ca| (ca.not_before, ca.not_after) = (day(2999, 1, 1), day(3000, 1, 1))),
        ),
        ("ca_is_leaf", ca_with(|ca| ca.is_ca = rcgen::IsCa::ExplicitNoCa)),
        ("ca_is_leaf", ca_with(|ca| ca.is_ca = rcgen::IsCa::NoCa)),
        ("ca_not_signing", ca_with(|ca| ca.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign])),
        (
            "ca_eku",
            ca_with(|ca| ca.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth]),
        ),
        ("ca_is_leaf", pki.client.cert_pem()),
    ];
    for (reason, text) in odd {
        let (anchors, warnings) = bundle(&pki, &(pki.ca.pem() + &text)).unwrap();
        assert_eq!((anchors.roots.len(), reasons(&warnings)), (1, vec![reason]));
        assert_eq!(warnings[0].key_path, "tls.client_ca_file");
        assert!(warnings[0].span.line > 1, "{reason}");
        let pinned = anchors.pins.len() == 2;
        assert_eq!(pinned, matches!(reason, "ca_is_leaf" | "ca_not_signing"), "{reason}");
    }
}

#[test]
fn a_bundle_without_a_usable_ca_is_refused_with_the_reason() {
    let pki = TestPki::new();
    let expired = ca_with(|ca| ca.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let problems = bundle(&pki, &expired).unwrap_err();
    assert_eq!(reasons(&problems), ["ca_expired"]);
    assert!(problems[0].message.contains("expired on 2021-01-01"), "{}", problems[0]);
    // Leaves alone: nobody else is let in, as with the Collector.
    let (anchors, _warnings) = bundle(&pki, &pki.client.cert_pem()).unwrap();
    assert_eq!((anchors.roots.len(), anchors.pins.len()), (0, 1));
    assert_eq!(anchors.names(), "no CA, and 1 certificate as itself alone");
}

#[test]
fn one_bad_block_refuses_the_whole_bundle() {
    let pki = TestPki::new();
    let garbage = "-----BEGIN CERTIFICATE-----\nAQIDBA==\n-----END CERTIFICATE-----\n";
    let problems = bundle(&pki, &(pki.ca.pem() + garbage)).unwrap_err();
    assert_eq!(reasons(&problems), ["ca_bad_entry"]);
    assert!(problems[0].message.contains("CERTIFICATE block 2"), "{}", problems[0]);
    let glued = pki.ca.pem().trim_end().to_owned() + &pki.other_ca.pem();
    assert_eq!(reasons(&bundle(&pki, &glued).unwrap_err()), ["pem_glued"]);
    let cut = pki.ca.pem() + &pki.other_ca.pem()[..200];
    assert_eq!(reasons(&bundle(&pki, &cut).unwrap_err()), ["pem_truncated"]);
    assert_eq!(reasons(&bundle(&pki, "").unwrap_err()), ["ca_no_pem"]);
}

#[test]
fn keys_and_crls_among_cas_are_refused() {
    let pki = TestPki::new();
    let problems = bundle(&pki, &(pki.ca.pem() + &pki.client.key_pem())).unwrap_err();
    assert_eq!(reasons(&problems), ["ca_has_private_key"]);
    assert!(problems[0].help.as_ref().unwrap().contains("take the key out"));
    assert!(!problems[0].to_string().contains("BEGIN"));
    let crl = "-----BEGIN X509 CRL-----\nAQIDBA==\n-----END X509 CRL-----\n";
    assert_eq!(reasons(&bundle(&pki, &(pki.ca.pem() + crl)).unwrap_err()), ["ca_has_crl"]);
}

/// Scenario: CAs and a pinned leaf stand in a bundle again, beside another fault.
/// Guarantees: each copy is named, with both lines and its subject, and so is the other fault.
#[test]
fn a_certificate_that_stands_twice_refuses_the_bundle_and_every_copy_is_named() {
    let pki = TestPki::new();
    let (ca, other, leaf) = (pki.ca.pem(), pki.other_ca.pem(), pki.client.cert_pem());
    let line = |text: &str| text.lines().count() + 1;
    let text = [&*ca, &other, &leaf, &leaf, &other, &pki.client.key_pem(), &ca].concat();
    let problems = bundle(&pki, &text).unwrap_err();
    let mut all = reasons(&problems);
    all.sort_unstable();
    assert_eq!(all, ["ca_duplicate", "ca_duplicate", "ca_duplicate", "ca_has_private_key"]);
    let copies = [
        (&[&*ca, &other, &leaf][..], &[&*ca, &other][..], "CN=test-client"),
        (&[&*ca, &other, &leaf, &leaf], &[&*ca], "CN=Other CA"),
        (&[&*ca, &other, &leaf, &leaf, &other, &pki.client.key_pem()], &[], "CN=Test CA"),
    ];
    let told = problems.iter().filter(|problem| problem.reason == "ca_duplicate");
    for ((before, before_first, subject), problem) in copies.into_iter().zip(told) {
        let (at, first) = (line(&before.concat()), line(&before_first.concat()));
        let wanted =
            format!("repeats on line {at} the certificate of line {first}, byte for byte: ");
        assert!(problem.message.starts_with(&wanted), "{wanted} / {problem}");
        assert!(problem.message.contains(subject), "{problem}");
        assert_eq!(problem.span.line as usize, at);
        assert!(problem.help.as_ref().unwrap().contains("leave one of them"), "{problem}");
    }
}

/// Threat: a bundle that repeats everything fills the log.
#[test]
fn many_copies_are_counted_and_a_few_are_named() {
    let pki = TestPki::new();
    let problems = bundle(&pki, &pki.ca.pem().repeat(101)).unwrap_err();
    assert_eq!(problems.len(), DUPLICATES_SHOWN + 1);
    let last = problems.last().unwrap();
    assert_eq!((last.reason, &*last.message), ("ca_duplicate", "repeats 92 more certificates"));
}

/// Guarantees: a CA of the bundle that is among the system's, too, is no duplicate.
#[test]
fn the_systems_roots_beside_the_bundle_repeat_nothing() {
    let pki = TestPki::new();
    // A machine without roots has nothing to repeat.
    let system = rustls_native_certs::load_native_certs().certs;
    let text: String = system.first().map_or_else(|| pki.ca.pem(), |root| pem_of(root));
    let ca = pem_file("exporters.otlp.tls.ca_file", pki.write("root.crt", text));
    assert!(load(&ca, true, &Purpose::ServerAuth, &mut Vec::new()).is_ok());
}

/// Scenario: a CA is renewed with its name and key, and both certificates are in the bundle.
#[test]
fn a_renewed_ca_beside_the_old_one_is_no_duplicate() {
    let pki = TestPki::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let issued = |serial: u64, until| {
        let mut params = crate::tls::testing::ca_params("Renewed");
        params.serial_number = Some(rcgen::SerialNumber::from(serial));
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params.self_signed(&key).unwrap().pem()
    };
    let (anchors, warnings) = bundle(&pki, &(issued(1, 2040) + &issued(2, 2050))).unwrap();
    assert_eq!((anchors.roots.len(), reasons(&warnings)), (2, vec![]));
}

#[test]
fn weak_and_unknown_keys_are_left_out() {
    let pki = TestPki::new();
    for (words, reason) in [
        ("rsa:1024", "ca_weak_rsa_key"),
        ("ec -pkeyopt ec_paramgen_curve:secp224r1", "ca_key_unsupported"),
        ("ed448", "ca_key_unsupported"),
    ] {
        pki.openssl(&format!(
            "req -x509 -newkey {words} -nodes -keyout odd.key -out odd.crt -subj /CN=odd -days 9"
        ));
        let ca = pem_file("tls.client_ca_file", pki.path("odd.crt"));
        let problems = load(&ca, false, &Purpose::ClientAuth, &mut Vec::new()).unwrap_err();
        assert_eq!(reasons(&problems), [reason]);
    }
    for words in ["ec -pkeyopt ec_paramgen_curve:P-521 -sha512", "rsa:2048", "ed25519"] {
        pki.openssl(&format!(
            "req -x509 -newkey {words} -nodes -keyout odd.key -out odd.crt -subj /CN=odd -days 9"
        ));
        let ca = pem_file("tls.client_ca_file", pki.path("odd.crt"));
        assert!(load(&ca, false, &Purpose::ClientAuth, &mut Vec::new()).is_ok(), "{words}");
    }
}

#[test]
fn more_certificates_than_the_cap_are_refused() {
    let pki = TestPki::new();
    // Equal names and keys, other serials: made fast.
    let key = rcgen::KeyPair::generate().unwrap();
    let many = |count: usize| -> String {
        (0..count)
            .map(|index| {
                let mut params = crate::tls::testing::ca_params("Many");
                params.serial_number = Some(rcgen::SerialNumber::from((index + 1) as u64));
                params.self_signed(&key).unwrap().pem()
            })
            .collect()
    };
    let problems = bundle(&pki, &many(MAX_CERTIFICATES + 1)).unwrap_err();
    assert_eq!(reasons(&problems), ["ca_too_many"]);
    assert_eq!(bundle(&pki, &many(MAX_CERTIFICATES)).unwrap().0.roots.len(), MAX_CERTIFICATES);
}

#[test]
fn system_roots_are_there_or_missed_by_name() {
    // Which of the two depends on the machine; both must be whole.
    match system("exporters.otlp.tls") {
        Ok(anchors) => assert!(anchors.names().contains("of the system")),
        Err(missing) => assert_eq!(missing.reason, "system_roots_missing"),
    }
}
