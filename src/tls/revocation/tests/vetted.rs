//! Lists that are not what they seem, and leaves that are trusted as themselves.

use super::*;

fn dated(ca: &Ca, this_update: OffsetDateTime) -> String {
    let list = CertificateRevocationListParams {
        this_update,
        next_update: this_update + Duration::from_secs(86400),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&ca.issuer).unwrap().pem().unwrap()
}

/// Guarantees: a list from the future is refused; some minutes are the CA's clock.
#[test]
fn a_list_that_does_not_count_yet_is_refused() {
    let pki = TestPki::new();
    let tls = revoking(&pki, &["ca.crl"]);
    let now = OffsetDateTime::now_utc();
    pki.write("ca.crl", dated(&pki.ca, now + Duration::from_secs(240)));
    load(&tls);
    pki.write("ca.crl", dated(&pki.ca, now + Duration::from_secs(600)));
    assert_eq!(refused(&tls).reason, "crl_not_yet_valid");
}

/// Scenario: the bundle names a leaf instead of its CA, and another CA; the leaf's own CA has revoked
/// it, or another one.
#[test]
fn a_leaf_that_is_trusted_as_itself_can_be_revoked() {
    let pki = TestPki::new();
    let other = Published::default().by(&pki.other_ca).pem().unwrap();
    pki.write("other.crl", other);
    pki.write("bundle.crt", pki.client.cert_pem() + &pki.other_ca.pem());
    let neighbour = pki.ca.issue(client_params("neighbour"));
    for (listed, trusted) in [(&neighbour, true), (&pki.client, false)] {
        let published = Published { revoked: &[listed], ..Published::default() };
        pki.write("ca.crl", published.by(&pki.ca).pem().unwrap());
        let tls = ServerTls {
            client_ca: Some(pem_file("tls.client_ca_file", pki.path("bundle.crt"))),
            ..revoking(&pki, &["ca.crl", "other.crl"])
        };
        assert_eq!(is_trusted(&load(&tls), &pki.client), trusted);
    }
}
