//! What a leaf is held to that is accepted leniently: everything but its form.

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use super::TrustDomains;
use super::judge::{Judge, Leniency, Side, Verdict};
use crate::tls::anchors;
use crate::tls::inspect::Purpose;
use crate::tls::testing::{TestPki, client_params, pem_file};

fn judge(pki: &TestPki, ca: &str) -> Judge {
    let ca = pem_file("tls.client_ca_file", pki.path(ca));
    let anchors = anchors::load(&ca, false, &Purpose::ClientAuth, &mut Vec::new()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Judge {
        side: Side::Sender,
        anchors,
        algorithms: provider.signature_verification_algorithms,
        strict: false,
        revocations: None,
        domains: TrustDomains::default(),
    }
}

fn marked_ca() -> CertificateParams {
    let mut params = client_params("marked");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Scenario: leaves marked CA:TRUE, directly under the CA, that have a second flaw.
/// Guarantees: each is refused for it.
#[test]
fn a_lenient_leaf_is_held_to_everything_else() {
    let pki = TestPki::new();
    let judge = judge(&pki, "ca.crt");
    let reason = |params: CertificateParams| {
        let leaf = pki.ca.issue(params);
        judge.judge(leaf.certificate.der(), &[], UnixTime::now()).map_err(|fault| fault.reason)
    };
    assert_eq!(reason(marked_ca()), Ok(Some(Leniency::Ca)));
    let mut for_servers = marked_ca();
    for_servers.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let mut critical = marked_ca();
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x0c, 1, b'x']);
    extension.set_criticality(true);
    critical.custom_extensions.push(extension);
    for params in [for_servers, critical] {
        assert!(reason(params).is_err());
    }
}

/// Guarantees: it counts to its last second and no longer, as any other does.
#[test]
fn t03_a_lenient_leaf_counts_from_its_first_to_its_last_second() {
    let pki = TestPki::new();
    let judge = judge(&pki, "ca.crt");
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let mut params = marked_ca();
    params.not_before = now;
    params.not_after = now + std::time::Duration::from_secs(60);
    let leaf = pki.ca.issue(params);
    let start = u64::try_from(now.unix_timestamp()).unwrap();
    for (second, counts) in [(-1, false), (0, true), (60, true), (61, false)] {
        let at = start.saturating_add_signed(second);
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
        let judged = judge.judge(leaf.certificate.der(), &[], at);
        assert_eq!(judged.is_ok(), counts, "{second} s: {judged:?}");
    }
}

/// Guarantees: a leaf of X.509 v1, in which the TLS library reads no dates, ends with its last second,
/// and a connection that it opened ends as an expired one.
#[test]
fn t03_a_leaf_of_version_1_ends_as_any_other() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("v1");
    pki.openssl_sign("v1", "my-ca", "", "-days 1");
    let (judge, leaf) = (judge(&pki, "my-ca.crt"), der(&pki, "v1.crt"));
    let chain = [leaf];
    let now = UnixTime::now();
    assert_eq!(judge.judge(&chain[0], &[], now).unwrap(), Some(Leniency::V1));
    let later = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs() + 2 * DAY));
    let fault = judge.judge(&chain[0], &[], later).unwrap_err();
    assert_eq!(fault.reason, "client_cert_expired");
    assert!(matches!(judge.verdict(&chain, later), Verdict::Expired(_)));
}

const DAY: u64 = 86400;

fn der(pki: &TestPki, file: &str) -> CertificateDer<'static> {
    #[expect(clippy::disallowed_methods, reason = "a file of this test")]
    let text = std::fs::read(pki.path(file)).unwrap();
    CertificateDer::from(crate::tls::pem::parse(&text).unwrap().remove(0).der)
}

/// Guarantees: a serial number that Go does not read is refused in a leaf of version 1 as in any other;
/// the same leaf with its sign changed is let in.
#[test]
fn a_leaf_of_version_1_with_a_negative_serial_number_is_refused() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("v1");
    let judge = judge(&pki, "my-ca.crt");
    for (serial, counts) in [("5", true), ("-5", false)] {
        pki.openssl_sign("v1", "my-ca", "", &format!("-set_serial {serial}"));
        let judged = judge.judge(&der(&pki, "v1.crt"), &[], UnixTime::now());
        let expected = if counts { Ok(Some(Leniency::V1)) } else { Err("client_cert_x509_v1") };
        assert_eq!(judged.map_err(|fault| fault.reason), expected, "{serial}");
    }
}

/// Scenario: an X.509 v1 leaf under a CA that constrains names, which nobody would hold against it.
#[test]
fn a_ca_with_name_constraints_vouches_for_no_lenient_leaf() {
    let pki = TestPki::new();
    pki.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout narrow.key -out \
         narrow.crt -subj /CN=narrow -days 30 -addext nameConstraints=permitted;DNS:a.example",
    );
    pki.openssl_request("v1");
    pki.openssl_sign("v1", "narrow", "", "");
    let judged = judge(&pki, "narrow.crt").judge(&der(&pki, "v1.crt"), &[], UnixTime::now());
    assert_eq!(judged.map_err(|fault| fault.reason), Err("client_cert_x509_v1"));
}
