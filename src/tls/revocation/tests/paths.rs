//! Chains that can be followed in more than one way.

use super::{Published, fault, load, revoking, verdict};
use crate::tls::testing::{Ca, TestPki, ca_params, client_params};

/// Scenario: an intermediate is signed by two CAs. One of them revoked its certificate, and of the
/// other there is no list, or an old one. The client sends both, in either order.
/// Guarantees: it is refused for one of these two, in words; the failure of one way is not told in
/// the words for the other, or in none.
#[test]
fn two_ways_that_fail_for_different_doubts_are_told_as_one_of_them() {
    let pki = TestPki::new();
    let crossed = Ca::new("crossed");
    let signed =
        |ca: &Ca| ca_params("crossed").signed_by(crossed.issuer.key(), &ca.issuer).unwrap();
    let (one, other) = (signed(&pki.ca), signed(&pki.other_ca));
    let client = crossed.issue(client_params("client"));
    let of_one =
        crate::tls::testing::Leaf { certificate: one, key: rcgen::KeyPair::generate().unwrap() };
    pki.write("both.crt", pki.ca.pem() + &pki.other_ca.pem());
    let list = |name: &str, published: Published<'_>, ca: &Ca| {
        pki.write(name, published.by(ca).pem().unwrap());
    };
    list("crossed.crl", Published::default(), &crossed);
    list("one.crl", Published { revoked: &[&of_one], ..Published::default() }, &pki.ca);
    list("other.crl", Published { until: -7, ..Published::default() }, &pki.other_ca);
    for (files, reasons) in [
        (
            &["crossed.crl", "one.crl"][..],
            ["client_cert_revoked", "client_cert_revocation_unknown"],
        ),
        (&["crossed.crl", "one.crl", "other.crl"], ["client_cert_revoked", "client_crl_expired"]),
    ] {
        let mut tls = revoking(&pki, files);
        tls.client_ca =
            Some(crate::tls::testing::pem_file("tls.client_ca_file", pki.path("both.crt")));
        let snapshot = load(&tls);
        for sent in
            [[of_one.certificate.der(), other.der()], [other.der(), of_one.certificate.der()]]
        {
            let chain: [&[u8]; 3] = [client.certificate.der(), sent[0], sent[1]];
            let fault = fault(verdict(&snapshot, &chain));
            assert!(reasons.contains(&fault.reason), "{fault:?}");
            assert!(fault.why.starts_with("an issuer that it came with"), "{}", fault.why);
        }
    }
}
