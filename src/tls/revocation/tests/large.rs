//! What a large list costs.

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{List, is_trusted, load, revoking, serial};
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

/// Guarantees: serial numbers are told apart by every byte and by their length, up to the twenty
/// bytes that they may have and beyond; each keeps its own reason.
#[test]
fn serial_numbers_of_every_length_are_told_apart() {
    let pki = TestPki::new();
    let serials: Vec<Vec<u8>> = (1..=24)
        .flat_map(|length| [0x11, 0x12].map(|last| [vec![0x11; length - 1], vec![last]].concat()))
        .collect();
    let now = OffsetDateTime::now_utc();
    let entry = |(at, serial): (usize, &Vec<u8>)| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: now,
        reason_code: (at % 2 == 0).then_some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: now,
        next_update: now + time::Duration::days(7),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().enumerate().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let der = list.signed_by(&pki.ca.issuer).unwrap().der().to_vec();
    let list = List::parse(der).unwrap();
    assert_eq!(list.len(), serials.len());
    for (at, serial) in serials.iter().enumerate() {
        let reason = if at % 2 == 0 { "key compromise" } else { "no reason given" };
        assert_eq!(list.find(serial), Some(reason), "{serial:x?}");
        let mut other = serial.clone();
        *other.last_mut().unwrap() = 0x13;
        assert_eq!(list.find(&other), None, "{other:x?}");
    }
    assert_eq!(list.find(&[0x11; 25]), None);
}
