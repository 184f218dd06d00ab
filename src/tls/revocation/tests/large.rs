//! What a large list costs.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{is_trusted, load, revoking, serial};
use crate::tls::testing::{TestPki, client_params, server_tls};

/// Reports what a list of 100,000 entries costs; `cargo test --release -- --nocapture` tells more
/// than a debug build.
#[test]
fn a_hundred_thousand_entries_are_looked_up() {
    let pki = TestPki::new();
    let now = OffsetDateTime::now_utc();
    let entry = |serial: SerialNumber| RevokedCertParams {
        serial_number: serial,
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    };
    // Spread over 16 bytes, as a CA's random serials are.
    let spread = |n: u128| n.wrapping_mul(0x2545_f491_4f6c_dd1d_8a5c_d789_635d_2dff) >> 1;
    let serials = (1..100_000).map(|n| SerialNumber::from_slice(&spread(n).to_be_bytes()));
    let mut revoked_certs: Vec<_> = serials.map(entry).collect();
    revoked_certs.push(entry(serial(pki.client.certificate.der())));
    let list = CertificateRevocationListParams {
        this_update: now,
        next_update: now + time::Duration::days(7),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    }
    .signed_by(&pki.ca.issuer)
    .unwrap();
    pki.write("ca.crl", list.pem().unwrap());
    pki.write("ca.der", list.der());
    let neighbour = pki.ca.issue(client_params("neighbour"));
    for file in ["ca.der", "ca.crl"] {
        let began = Instant::now();
        let snapshot = load(&revoking(&pki, &[file]));
        let loaded = began.elapsed();
        assert_eq!(snapshot.revocations().unwrap().lists()[0].entries, 100_000);
        assert!(!is_trusted(&snapshot, &pki.client));
        let began = Instant::now();
        for _ in 0..100 {
            assert!(is_trusted(&snapshot, &neighbour));
        }
        let with = began.elapsed() / 100;
        let without = load(&server_tls(&pki));
        let began = Instant::now();
        for _ in 0..100 {
            assert!(is_trusted(&without, &neighbour));
        }
        let plain = began.elapsed() / 100;
        println!("{file}: loaded in {loaded:?}; a chain in {with:?}, without a list {plain:?}");
    }
}
