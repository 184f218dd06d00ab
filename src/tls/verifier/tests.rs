//! The certificates that users bring, made with `openssl` as users make them.

use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::judge::{Judge, Leniency};
use super::*;
use crate::tls::anchors;
use crate::tls::inspect::Purpose;
use crate::tls::pem;
use crate::tls::testing::{TestPki, pem_file};
use crate::tls::verifier::judge::Side;

fn judge(pki: &TestPki, ca: &str, strict: bool) -> Judge {
    let ca = pem_file("tls.client_ca_file", pki.path(ca));
    let anchors = anchors::load(&ca, false, &Purpose::ClientAuth, &mut Vec::new()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    Judge {
        side: Side::Sender,
        anchors,
        algorithms,
        strict,
        revocations: None,
        domains: TrustDomains::default(),
    }
}

fn chain(pki: &TestPki, file: &str) -> Vec<CertificateDer<'static>> {
    #[expect(clippy::disallowed_methods, reason = "a file of this test")]
    let text = std::fs::read(pki.path(file)).unwrap();
    pem::parse(&text).unwrap().into_iter().map(|block| CertificateDer::from(block.der)).collect()
}

fn verdict(judge: &Judge, pki: &TestPki, file: &str) -> Result<Option<Leniency>, Fault> {
    let chain = chain(pki, file);
    judge.judge(&chain[0], &chain[1..], UnixTime::now())
}

/// Accepted, and with which leniency, or refused for which reason.
type Expected = Result<Option<Leniency>, &'static str>;

/// Name, extensions of the leaf, more words for `openssl x509`, and what becomes of it. Go accepts
/// all but those that are refused with a reason here.
const LEAVES: [(&str, &str, &str, Expected); 17] = [
    ("recipe-without-extfile", "", "", Ok(Some(Leniency::V1))),
    ("cn-only", "basicConstraints=CA:FALSE", "", Ok(None)),
    ("key-id-only", "subjectKeyIdentifier=hash", "", Ok(None)),
    ("ca-true", "basicConstraints=critical,CA:TRUE", "", Ok(Some(Leniency::Ca))),
    ("eku-client", "extendedKeyUsage=clientAuth", "", Ok(None)),
    ("eku-both", "extendedKeyUsage=serverAuth,clientAuth", "", Ok(None)),
    ("eku-any", "extendedKeyUsage=anyExtendedKeyUsage", "", Ok(None)),
    ("eku-critical", "extendedKeyUsage=critical,clientAuth", "", Ok(None)),
    ("eku-server", "extendedKeyUsage=serverAuth", "", Err("client_cert_eku")),
    ("eku-email", "extendedKeyUsage=emailProtection", "", Err("client_cert_eku")),
    ("key-usage", "keyUsage=keyEncipherment", "", Ok(None)),
    ("san-kinds", "subjectAltName=URI:spiffe://a/b,IP:10.0.0.1,email:a@b,DNS:x_y", "", Ok(None)),
    ("unknown-critical", "1.2.3.4=critical,ASN1:UTF8String:x", "", Err("client_cert_extension")),
    ("sha512", "basicConstraints=CA:FALSE", "-sha512", Ok(None)),
    ("sha1", "basicConstraints=CA:FALSE", "-sha1", Err("cert_signature_algorithm")),
    ("netscape", "nsCertType=client", "", Ok(None)),
    ("must-staple", "tlsfeature=status_request", "", Ok(None)),
];

#[test]
fn leaves_of_a_trusted_ca_are_judged_as_the_collector_does() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let judge = judge(&pki, "my-ca.crt", false);
    for (name, extensions, more, expected) in LEAVES {
        pki.openssl_request(name);
        pki.openssl_sign(name, "my-ca", extensions, more);
        let got = verdict(&judge, &pki, &format!("{name}.crt")).map_err(|fault| fault.reason);
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn strict_x509_refuses_what_only_the_collector_accepts_and_says_how_to_mend_it() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("v1");
    pki.openssl_sign("v1", "my-ca", "", "");
    pki.openssl_request("is-ca");
    pki.openssl_sign("is-ca", "my-ca", "basicConstraints=CA:TRUE", "");
    let strict = judge(&pki, "my-ca.crt", true);

    let fault = verdict(&strict, &pki, "v1.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_x509_v1");
    assert_eq!(fault.why, "it is in X.509 v1 form");
    assert!(fault.help.contains("-extfile <(printf 'basicConstraints=CA:FALSE"), "{}", fault.help);
    assert!(fault.help.ends_with("or set `strict_x509: false`"), "{}", fault.help);

    let fault = verdict(&strict, &pki, "is-ca.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_is_ca");

    let strict = judge(&pki, "client.crt", true);
    let fault = verdict(&strict, &pki, "client.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_pinned");
}

/// Threat: a v1 or CA:TRUE leaf of somebody else's CA under the same name.
#[test]
fn leniency_needs_the_signature_of_an_anchor() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let judge = judge(&pki, "my-ca.crt", false);
    // The same name, another key.
    pki.openssl_ca("my-ca");
    for (name, extensions) in [("v1", ""), ("is-ca", "basicConstraints=CA:TRUE")] {
        pki.openssl_request(name);
        pki.openssl_sign(name, "my-ca", extensions, "");
        assert!(verdict(&judge, &pki, &format!("{name}.crt")).is_err(), "{name}");
    }
}

/// Threat 5: what a leniently accepted certificate signs.
#[test]
fn t05_a_lenient_leaf_never_vouches_for_another() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    for (leaf, extensions) in [("v1", ""), ("pinned", "basicConstraints=CA:FALSE")] {
        pki.openssl_request(leaf);
        pki.openssl_sign(leaf, "my-ca", extensions, "");
        let minted = format!("minted-by-{leaf}");
        pki.openssl_request(&minted);
        pki.openssl_sign(&minted, leaf, "basicConstraints=CA:FALSE", "");
        for ca in ["my-ca.crt".to_owned(), format!("{leaf}.crt")] {
            let judge = judge(&pki, &ca, false);
            assert!(verdict(&judge, &pki, &format!("{leaf}.crt")).is_ok(), "{leaf} by {ca}");
            let mut sent = chain(&pki, &format!("{minted}.crt"));
            assert!(judge.judge(&sent[0], &[], UnixTime::now()).is_err(), "{minted} by {ca}");
            sent.extend(chain(&pki, &format!("{leaf}.crt")));
            assert!(
                judge.judge(&sent[0], &sent[1..], UnixTime::now()).is_err(),
                "{minted} by {ca}"
            );
        }
    }
}

#[test]
fn self_signed_and_pinned_certificates_are_trusted_as_themselves() {
    let pki = TestPki::new();
    pki.openssl_ca("selfie");
    let got = verdict(&judge(&pki, "selfie.crt", false), &pki, "selfie.crt");
    assert_eq!(got.unwrap(), Some(Leniency::Ca));
    let got = verdict(&judge(&pki, "client.crt", false), &pki, "client.crt");
    assert_eq!(got.unwrap(), Some(Leniency::Pinned));
    pki.openssl_request("v1");
    pki.openssl("x509 -req -in v1.csr -signkey v1.key -days 30 -out v1.crt");
    let got = verdict(&judge(&pki, "v1.crt", false), &pki, "v1.crt");
    assert_eq!(got.unwrap(), Some(Leniency::V1));
}

#[test]
fn an_unknown_issuer_names_what_is_trusted() {
    let pki = TestPki::new();
    let judge = judge(&pki, "ca.crt", false);
    let fault = verdict(&judge, &pki, "other-client.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_unknown_issuer");
    let place = pki.path("ca.crt").display().to_string();
    assert_eq!(fault.why, format!("its issuer CN=Other CA is not in {place} (1 CA: CN=Test CA)"));
    assert!(fault.help.contains("must send leaf and intermediate"), "{}", fault.help);
}

#[test]
fn a_missing_intermediate_is_named_and_a_sent_one_is_enough() {
    let pki = TestPki::new();
    let below = pki.ca.intermediate("Below");
    let leaf = below.issue(crate::tls::testing::client_params("deep"));
    pki.write("leaf.crt", leaf.cert_pem());
    pki.write("chain.crt", leaf.cert_pem() + &below.pem());
    let judge = judge(&pki, "ca.crt", false);
    assert_eq!(verdict(&judge, &pki, "chain.crt").unwrap(), None);
    let fault = verdict(&judge, &pki, "leaf.crt").unwrap_err();
    assert!(fault.why.starts_with("its issuer CN=Below is not in"), "{}", fault.why);
}

#[test]
fn dates_are_told_as_dates() {
    let pki = TestPki::new();
    let judge = judge(&pki, "ca.crt", false);
    let mut params = crate::tls::testing::client_params("old");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    pki.write("old.crt", pki.ca.issue(params).cert_pem());
    let fault = verdict(&judge, &pki, "old.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_expired");
    assert!(fault.why.starts_with("it expired on 2021-01-01 00:00:00 UTC ("), "{}", fault.why);
    assert!(fault.why.ends_with(" days ago)"), "{}", fault.why);
    assert!(fault.help.contains("the client has not reloaded it"), "{}", fault.help);

    let mut params = crate::tls::testing::client_params("new");
    params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    pki.write("new.crt", pki.ca.issue(params).cert_pem());
    let fault = verdict(&judge, &pki, "new.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_not_yet_valid");
}

#[test]
fn bad_signatures_are_told_apart() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    let trusted = judge(&pki, "my-ca.crt", false);
    pki.openssl_ca("my-ca");
    pki.openssl_request("leaf");
    pki.openssl_sign("leaf", "my-ca", "basicConstraints=CA:FALSE", "");
    let fault = verdict(&trusted, &pki, "leaf.crt").unwrap_err();
    assert_eq!(fault.reason, "ca_key_changed");
    assert!(fault.why.contains("trusts a CA of the name CN=my-ca but with another key"));

    pki.openssl("req -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj /CN=weak");
    pki.openssl_sign("weak", "my-ca", "basicConstraints=CA:FALSE", "");
    let current = judge(&pki, "my-ca.crt", false);
    // webpki looks at a leaf's key when it signs the handshake, not before.
    let fault = verdict(&trusted, &pki, "weak.crt").unwrap_err();
    assert_eq!(fault.reason, "weak_rsa_key");
    let _ = current;
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let pki = TestPki::new();
    let judge = judge(&pki, "ca.crt", false);
    let good = chain(&pki, "client.crt").remove(0);
    for index in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[index] ^= 0x55;
        let changed = CertificateDer::from(bytes);
        assert!(judge.judge(&changed, &[], UnixTime::now()).is_err(), "byte {index}");
        let cut = CertificateDer::from(good[..index].to_vec());
        assert!(judge.judge(&cut, &[], UnixTime::now()).is_err(), "cut at {index}");
    }
}

#[test]
fn no_ca_names_are_hinted() {
    let pki = TestPki::new();
    let judge = judge(&pki, "ca.crt", false);
    let verifier = ClientVerifier::new(judge.anchors, judge.algorithms, false, None);
    assert!(verifier.root_hint_subjects().is_empty());
    assert!(verifier.client_auth_mandatory());
}

/// Threat 3: one second before its dates, at both ends of them, and one second after.
#[test]
fn t03_a_certificate_counts_from_its_first_to_its_last_second() {
    let pki = TestPki::new();
    let mut params = crate::tls::testing::client_params("short");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    pki.write("short.crt", pki.ca.issue(params).cert_pem());
    let judge = judge(&pki, "ca.crt", false);
    let chain = chain(&pki, "short.crt");
    let at = |seconds: u64| {
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        judge.judge(&chain[0], &[], now).is_ok()
    };
    let (first, last) = (1_767_225_600, 2_082_758_400);
    assert_eq!([at(first - 1), at(first), at(last), at(last + 1)], [false, true, true, false]);
}

/// Threat 4: a server's certificate, stolen or given away, is no client's.
#[test]
fn t04_a_certificate_for_servers_alone_is_no_clients() {
    let pki = TestPki::new();
    let fault = verdict(&judge(&pki, "ca.crt", false), &pki, "server.crt").unwrap_err();
    assert_eq!(fault.reason, "client_cert_eku");
    assert_eq!(fault.why, "it allows serverAuth and not clientAuth");
}

/// Threat 6: a root that is past its end, which path validation itself would not mind.
#[test]
fn t06_an_expired_root_vouches_for_nobody_and_is_named() {
    let pki = TestPki::new();
    let mut params = crate::tls::testing::ca_params("Past");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let past = crate::tls::testing::Ca::self_signed(params);
    pki.write("leaf.crt", past.issue(crate::tls::testing::client_params("late")).cert_pem());
    pki.write("both.crt", pki.ca.pem() + &past.pem());
    let judge = judge(&pki, "both.crt", false);
    let fault = verdict(&judge, &pki, "leaf.crt").unwrap_err();
    assert_eq!(fault.reason, "ca_expired");
    assert!(fault.why.contains("is left out: it expired on 2021-01-01"), "{}", fault.why);
    assert_eq!(verdict(&judge, &pki, "client.crt").unwrap(), None);
}

/// Threat 6, for a root that ends while it is in use: its certificate outlives it.
#[test]
fn t06_a_root_that_ends_while_it_is_in_use_vouches_for_nobody() {
    let pki = TestPki::new();
    let ca = |until| {
        let mut params = crate::tls::testing::ca_params("Ending");
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let short = ca(2040).self_signed(&key).unwrap().pem();
    let renewed = ca(2060).self_signed(&key).unwrap().pem();
    let of_ca = ca(2040);
    let issuer = rcgen::Issuer::from_params(&of_ca, &key);
    let mut params = crate::tls::testing::client_params("late");
    params.not_after = rcgen::date_time_ymd(2050, 1, 1);
    let leaf = params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap();
    pki.write("leaf.crt", leaf.pem());
    pki.write("short.crt", &short);
    pki.write("both.crt", short + &renewed);
    let at = |year| {
        let start = rcgen::date_time_ymd(year, 1, 2).unix_timestamp();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(start.try_into().unwrap()))
    };
    let chain = chain(&pki, "leaf.crt");
    let judge = |bundle| judge(&pki, bundle, false);

    assert_eq!(judge("short.crt").judge(&chain[0], &[], at(2039)).unwrap(), None);
    let fault = judge("short.crt").judge(&chain[0], &[], at(2041)).unwrap_err();
    assert_eq!(fault.reason, "ca_expired");
    assert!(fault.why.contains("its CA CN=Ending in "), "{}", fault.why);
    assert!(fault.why.contains("expired on 2040-01-01"), "{}", fault.why);
    assert_eq!(judge("both.crt").judge(&chain[0], &[], at(2041)).unwrap(), None);
    assert_eq!(
        judge("both.crt").judge(&chain[0], &[], at(2051)).unwrap_err().reason,
        "client_cert_expired"
    );
}

/// The same, for a leaf that path validation will not look at.
#[test]
fn t06_a_root_that_ended_vouches_for_no_lenient_leaf_either() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("v1");
    pki.openssl_sign("v1", "my-ca", "", "-days 36500");
    let judge = judge(&pki, "my-ca.crt", false);
    let chain = chain(&pki, "v1.crt");
    assert_eq!(judge.judge(&chain[0], &[], UnixTime::now()).unwrap(), Some(Leniency::V1));
    let later = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        UnixTime::now().as_secs() + 30 * 365 * 86400,
    ));
    let fault = judge.judge(&chain[0], &[], later).unwrap_err();
    assert_eq!(fault.reason, "ca_expired", "{}", fault.why);
}
