//! Lists as CAs make them, with `rcgen` and with the `openssl` command line.

mod large;
mod openssl;
mod paths;
mod rekeyed;
mod vetted;
mod withdrawn;

use std::time::Duration;

use rcgen::{
    CertificateRevocationList, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, KeyIdMethod, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use super::list::List;
use crate::config::Problem;
use crate::config::sections::{OnDoubt, RevocationScope, ServerTls};
use crate::tls::server::{self, ServerSnapshot};
use crate::tls::testing::{Ca, Leaf, TestPki, client_params, pem_file, server_tls};
use crate::tls::verifier::{Fault, Verdict};

/// What a CA published.
struct Published<'a> {
    number: u64,
    revoked: &'a [&'a Leaf],
    /// Days from now.
    until: i64,
    reason: Option<RevocationReason>,
    scope: Option<CrlIssuingDistributionPoint>,
}

impl Default for Published<'_> {
    fn default() -> Self {
        Self { number: 1, revoked: &[], until: 7, reason: None, scope: None }
    }
}

impl Published<'_> {
    fn by(self, ca: &Ca) -> CertificateRevocationList {
        let now = OffsetDateTime::now_utc();
        let revoked = self.revoked.iter().map(|leaf| RevokedCertParams {
            serial_number: serial(leaf.certificate.der()),
            revocation_time: now,
            reason_code: self.reason,
            invalidity_date: None,
        });
        CertificateRevocationListParams {
            this_update: now - Duration::from_secs(30 * 86400),
            next_update: now + time::Duration::days(self.until),
            crl_number: SerialNumber::from(self.number),
            issuing_distribution_point: self.scope,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&ca.issuer)
        .unwrap()
    }
}

fn serial(der: &[u8]) -> SerialNumber {
    let (_issuer, serial) = super::check::issuer_and_serial(der).unwrap();
    SerialNumber::from_slice(serial)
}

fn revoking(pki: &TestPki, files: &[&str]) -> ServerTls {
    let key = "receivers.otlp.protocols.grpc.tls.client_crl_file";
    let client_crl = files.iter().map(|file| pem_file(key, pki.path(file))).collect();
    ServerTls { client_crl, ..server_tls(pki) }
}

fn load(tls: &ServerTls) -> ServerSnapshot {
    server::load(tls).unwrap().snapshot
}

fn warnings(tls: &ServerTls) -> Vec<&'static str> {
    let found = server::load(tls).unwrap().warnings.into_iter();
    let about_lists = found.filter(|warning| warning.key_path.ends_with("client_crl_file"));
    about_lists.map(|warning| warning.reason).collect()
}

fn refused(tls: &ServerTls) -> Problem {
    let mut problems = server::load(tls).unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn verdict(snapshot: &ServerSnapshot, chain: &[&[u8]]) -> Verdict {
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
    snapshot.verdict(&chain, UnixTime::now())
}

fn fault(verdict: Verdict) -> Fault {
    match verdict {
        Verdict::Trusted => panic!("trusted"),
        Verdict::Revoked(fault) | Verdict::Expired(fault) | Verdict::Untrusted(fault) => fault,
    }
}

fn is_trusted(snapshot: &ServerSnapshot, leaf: &Leaf) -> bool {
    matches!(verdict(snapshot, &[leaf.certificate.der()]), Verdict::Trusted)
}

#[test]
fn a_revoked_client_is_refused_and_its_neighbour_is_not() {
    let pki = TestPki::new();
    let neighbour = pki.ca.issue(client_params("neighbour"));
    let list = Published {
        number: 0x1f,
        revoked: &[&pki.client],
        reason: Some(RevocationReason::KeyCompromise),
        ..Published::default()
    }
    .by(&pki.ca);
    // In PEM, with text before it as `openssl crl -text` writes, and in DER.
    pki.write("ca.crl", format!("Certificate Revocation List (CRL):\n{}", list.pem().unwrap()));
    pki.write("ca.der", list.der());
    for file in ["ca.crl", "ca.der"] {
        let snapshot = load(&revoking(&pki, &[file]));
        assert!(is_trusted(&snapshot, &neighbour), "{file}");
        let verdict = verdict(&snapshot, &[pki.client.certificate.der()]);
        let Verdict::Revoked(fault) = verdict else { panic!("{file}: {verdict:?}") };
        assert_eq!(fault.reason, "client_cert_revoked");
        let beginning = "its CA CN=Test CA revoked it (key compromise; list number 0x1f of 20";
        assert!(fault.why.starts_with(beginning), "{}", fault.why);
        assert!(fault.why.ends_with(&format!("in {})", pki.path(file).display())));
    }
    assert!(is_trusted(&load(&server_tls(&pki)), &pki.client), "without a list");
}

/// Guarantees: an entry counts whatever it says, as a complete list has none that does not.
#[test]
fn whoever_is_on_hold_or_marked_for_removal_is_refused() {
    let pki = TestPki::new();
    for reason in [RevocationReason::CertificateHold, RevocationReason::RemoveFromCrl] {
        let published =
            Published { revoked: &[&pki.client], reason: Some(reason), ..Published::default() };
        pki.write("ca.crl", published.by(&pki.ca).pem().unwrap());
        let snapshot = load(&revoking(&pki, &["ca.crl"]));
        assert!(!is_trusted(&snapshot, &pki.client), "{reason:?}");
    }
}

/// Threat 13: a list that is out of date, first in a file, hides the newer one.
#[test]
fn t13_the_newest_of_several_lists_wins_wherever_it_stands() {
    let pki = TestPki::new();
    // As a number it is the lower one, and not as text or byte by byte.
    let old = Published { number: 0xff, ..Published::default() }.by(&pki.ca).pem().unwrap();
    let published = Published { number: 0x100, revoked: &[&pki.client], ..Published::default() };
    let new = published.by(&pki.ca).pem().unwrap();
    let other = Published { revoked: &[], ..Published::default() }.by(&pki.other_ca).pem().unwrap();
    pki.write("both.crt", pki.ca.pem() + &pki.other_ca.pem());
    for files in [[old.clone() + &new, other.clone()], [new + &other, old]] {
        pki.write("1.crl", &files[0]);
        pki.write("2.crl", &files[1]);
        let tls = ServerTls {
            client_ca: Some(pem_file("tls.client_ca_file", pki.path("both.crt"))),
            ..revoking(&pki, &["1.crl", "2.crl"])
        };
        let snapshot = load(&tls);
        assert!(!is_trusted(&snapshot, &pki.client));
        assert!(is_trusted(&snapshot, &pki.other_client));
        assert_eq!(warnings(&tls), ["crl_superseded"]);
        assert_eq!(snapshot.revocations().unwrap().lists().len(), 2);
    }
}

/// Threat 14: an older list is mounted again.
#[test]
fn t14_an_older_list_never_replaces_the_one_in_force() {
    let pki = TestPki::new();
    let write = |number, revoked: &[&Leaf]| {
        let list = Published { number, revoked, ..Published::default() }.by(&pki.ca);
        pki.write("ca.crl", list.pem().unwrap());
    };
    let tls = revoking(&pki, &["ca.crl"]);
    write(9, &[&pki.client]);
    let in_force = load(&tls);
    write(8, &[]);
    let problems = server::reload(&tls, &in_force).unwrap_err().problems;
    assert_eq!(problems[0].reason, "crl_rolled_back");
    assert!(problems[0].message.contains("is number 0x8 of "), "{}", problems[0].message);
    assert!(problems[0].message.contains("in force, number 0x9 of "), "{}", problems[0].message);
    write(10, &[]);
    assert!(is_trusted(&server::reload(&tls, &in_force).unwrap().snapshot, &pki.client));
    pki.write("ca.crl", Published::default().by(&pki.other_ca).pem().unwrap());
    let problems = server::reload(&tls, &in_force).unwrap_err().problems;
    let reasons: Vec<_> = problems.iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, ["crl_unknown_issuer", "crl_withdrawn"]);
}

#[test]
fn a_list_that_its_issuer_did_not_sign_is_refused() {
    let pki = TestPki::new();
    let impostor = Ca::new("Test CA");
    pki.write("ca.crl", Published::default().by(&impostor).pem().unwrap());
    let problem = refused(&revoking(&pki, &["ca.crl"]));
    assert_eq!(problem.reason, "crl_wrong_signer");
    assert!(problem.message.contains("is not signed by the CA of that name in "));
    assert_eq!(problem.span.line, 1);
    let mut der = Published::default().by(&pki.ca).der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    pki.write("ca.crl", &der);
    assert_eq!(refused(&revoking(&pki, &["ca.crl"])).reason, "crl_wrong_signer");
}

#[test]
fn lists_of_other_cas_alone_are_a_mistake_and_beside_the_right_one_a_warning() {
    let pki = TestPki::new();
    let right = Published::default().by(&pki.ca).pem().unwrap();
    let other = Published::default().by(&pki.other_ca).pem().unwrap();
    pki.write("right.crl", right);
    pki.write("other.crl", other);
    let problem = refused(&revoking(&pki, &["other.crl"]));
    assert_eq!(problem.reason, "crl_unknown_issuer");
    assert!(problem.message.contains("has lists of CN=Other CA only"), "{}", problem.message);
    assert_eq!(warnings(&revoking(&pki, &["other.crl", "right.crl"])), ["crl_unknown_issuer"]);
}

#[test]
fn a_list_out_of_date_refuses_everyone_unless_the_policy_lets_them_in() {
    let pki = TestPki::new();
    let neighbour = pki.ca.issue(client_params("neighbour"));
    let published = Published { revoked: &[&pki.client], until: -1, ..Published::default() };
    pki.write("ca.crl", published.by(&pki.ca).pem().unwrap());
    let mut tls = revoking(&pki, &["ca.crl"]);
    assert_eq!(warnings(&tls), ["crl_expired"]);
    let strict = fault(verdict(&load(&tls), &[neighbour.certificate.der()]));
    assert_eq!(strict.reason, "client_crl_expired");
    assert!(strict.why.contains("is out of date since 20"), "{}", strict.why);
    // Whoever is on it stays refused for that.
    let revoked = fault(verdict(&load(&tls), &[pki.client.certificate.der()]));
    assert_eq!(revoked.reason, "client_cert_revoked");
    for lenient in [true, false] {
        tls.revocation.expired = if lenient { OnDoubt::Allow } else { OnDoubt::Deny };
        tls.revocation.grace = Duration::from_secs(if lenient { 0 } else { 2 * 86400 });
        let snapshot = load(&tls);
        assert!(is_trusted(&snapshot, &neighbour), "{lenient}");
        assert!(!is_trusted(&snapshot, &pki.client), "{lenient}");
    }
}

/// Scenario: a bundle of two CAs, one of which publishes no list.
#[test]
fn a_client_of_a_ca_without_a_list_is_refused_unless_the_policy_lets_it_in() {
    let pki = TestPki::new();
    pki.write("both.crt", pki.ca.pem() + &pki.other_ca.pem());
    pki.write("ca.crl", Published::default().by(&pki.ca).pem().unwrap());
    let mut tls = ServerTls {
        client_ca: Some(pem_file("tls.client_ca_file", pki.path("both.crt"))),
        ..revoking(&pki, &["ca.crl"])
    };
    assert_eq!(warnings(&tls), ["crl_missing"]);
    let found = server::load(&tls).unwrap().warnings.into_iter();
    let missing = found.filter(|one| one.reason == "crl_missing").map(|one| one.message);
    let missing = missing.collect::<String>();
    assert!(missing.starts_with("has no list of CN=Other CA in "), "{missing}");
    let snapshot = load(&tls);
    assert!(is_trusted(&snapshot, &pki.client));
    let unknown = fault(verdict(&snapshot, &[pki.other_client.certificate.der()]));
    assert_eq!(unknown.reason, "client_cert_revocation_unknown");
    assert!(unknown.why.starts_with("no revocation list of its CA CN=Other CA is in "));
    assert!(unknown.why.ends_with("(there: CN=Test CA)"), "{}", unknown.why);
    tls.revocation.unknown = OnDoubt::Allow;
    assert_eq!(warnings(&tls), [""; 0]);
    assert!(is_trusted(&load(&tls), &pki.other_client));
}

#[test]
fn a_revoked_intermediate_takes_its_clients_with_it() {
    let pki = TestPki::new();
    let middle = pki.ca.intermediate("Middle CA");
    let client = middle.issue(client_params("below"));
    let chain: [&[u8]; 2] = [client.certificate.der(), middle.certificate.der()];
    let as_leaf =
        Leaf { certificate: middle.certificate.clone(), key: rcgen::KeyPair::generate().unwrap() };
    let write = |name: &str, ca: &Ca, revoked: &[&Leaf]| {
        let list = Published { revoked, ..Published::default() }.by(ca);
        pki.write(name, list.pem().unwrap());
    };
    write("root.crl", &pki.ca, &[]);
    write("middle.crl", &middle, &[]);
    let both = revoking(&pki, &["root.crl", "middle.crl"]);
    assert!(matches!(verdict(&load(&both), &chain), Verdict::Trusted));
    assert_eq!(warnings(&both), ["crl_unknown_issuer"]);
    // Every issuer of the chain must say something about what it issued.
    let root_only = load(&revoking(&pki, &["root.crl"]));
    assert_eq!(fault(verdict(&root_only, &chain)).reason, "client_cert_revocation_unknown");

    write("middle.crl", &middle, &[&client]);
    assert!(matches!(verdict(&load(&both), &chain), Verdict::Revoked(_)));
    // A list of an intermediate of that name, which the real one did not sign, counts for nothing.
    write("middle.crl", &Ca::new("Middle CA"), &[]);
    assert_eq!(fault(verdict(&load(&both), &chain)).reason, "client_cert_revocation_unknown");

    write("middle.crl", &middle, &[]);
    write("root.crl", &pki.ca, &[&as_leaf]);
    let Verdict::Revoked(revoked) = verdict(&load(&both), &chain) else { panic!() };
    assert!(revoked.why.starts_with("an issuer that it came with cannot be relied on: its CA"));
    let mut leaf_only = both;
    leaf_only.revocation.scope = RevocationScope::Leaf;
    assert!(matches!(verdict(&load(&leaf_only), &chain), Verdict::Trusted));
}

#[test]
fn a_list_about_some_certificates_counts_for_those_alone() {
    let pki = TestPki::new();
    let point = |uri: &str, scope| CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
        scope,
    };
    let mut params = client_params("points");
    params.crl_distribution_points =
        vec![CrlDistributionPoint { uris: vec!["http://ca.example/1.crl".to_owned()] }];
    let client = pki.ca.issue(params);
    for (uri, scope, covered) in [
        ("http://ca.example/1.crl", None, true),
        ("http://ca.example/1.crl", Some(CrlScope::UserCertsOnly), true),
        ("http://ca.example/1.crl", Some(CrlScope::CaCertsOnly), false),
        ("http://ca.example/2.crl", None, false),
    ] {
        let published = Published { scope: Some(point(uri, scope)), ..Published::default() };
        pki.write("ca.crl", published.by(&pki.ca).pem().unwrap());
        let snapshot = load(&revoking(&pki, &["ca.crl"]));
        assert_eq!(is_trusted(&snapshot, &client), covered, "{uri}");
        assert!(!is_trusted(&snapshot, &pki.client), "it names no distribution point");
    }
}

#[test]
fn what_is_no_list_is_named_with_its_line() {
    let pki = TestPki::new();
    let list = Published::default().by(&pki.ca);
    let mixed = list.pem().unwrap() + &pki.client.cert_pem();
    let key = list.pem().unwrap() + &pki.client.key_pem();
    let der = pki.client.certificate.der().to_vec();
    let cut = list.der().get(..100).unwrap().to_vec();
    for (content, reason, message) in [
        (Vec::new(), "crl_no_pem", ""),
        (b"no list".to_vec(), "crl_no_pem", ""),
        (mixed.into_bytes(), "crl_foreign", "holds a certificate among the revocation lists"),
        (key.into_bytes(), "crl_has_private_key", "holds a private key"),
        (der, "crl_foreign", "is a certificate"),
        (cut, "crl_damaged", "has something else than revocation lists in DER"),
        (vec![0x30, 0], "crl_damaged", "is not a revocation list that can be read"),
    ] {
        pki.write("ca.crl", &content);
        let problem = refused(&revoking(&pki, &["ca.crl"]));
        assert_eq!(problem.reason, reason, "{problem}");
        assert!(problem.message.starts_with(message), "{problem}");
        assert!(problem.key_path.ends_with("client_crl_file"));
    }
    assert_eq!(refused(&revoking(&pki, &["none.crl"])).reason, "file_missing");
}

/// Guarantees: no prefix and no flipped byte of a list makes its reading panic.
#[test]
fn damaged_lists_are_refused_and_never_panic() {
    let pki = TestPki::new();
    let published = Published { revoked: &[&pki.client], ..Published::default() };
    let list = published.by(&pki.ca).der().to_vec();
    for end in 0..list.len() {
        assert!(List::parse(list[..end].to_vec()).is_err());
    }
    for at in 0..list.len() {
        for bit in 0..8 {
            let mut damaged = list.clone();
            damaged[at] ^= 1 << bit;
            let _either = List::parse(damaged);
        }
    }
}
