//! Reading of revocation lists.

use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, IsCa, Issuer, KeyIdMethod, PublicKeyData as _, RevocationReason,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::pem::{armoured, ed25519};
use super::{damaged, mode};
use crate::tls::fuzzed;

/// Reads the rest of the input as a file of lists. With a bit of the first byte set, the rest says
/// how to damage one that is good, in DER or under the base64 of PEM: nothing that is damaged in
/// its signed part passes for signed.
pub fn crl(data: &[u8]) {
    let (mode, rest) = mode(data);
    let (list, spki) = &*GOOD;
    match mode & 3 {
        0 | 1 => {
            fuzzed::lists(rest, spki);
        }
        form => {
            let der = damaged(list.clone(), rest);
            let bytes = if form == 2 { der.clone() } else { armoured("X509 CRL", &der).into() };
            let found = fuzzed::lists(&bytes, spki);
            if der == *list {
                assert_eq!(found, (1, 1), "a good list is taken");
            } else {
                assert_eq!(found.1, 0, "a damaged list is taken for signed");
            }
        }
    }
}

/// A list that is good, and the key that signed it; the same in each run, so that an input always
/// means the same.
static GOOD: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let key = ed25519(3);
    let spki = key.subject_public_key_info();
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(params, key);
    let entry = |serial: &[u8], reason_code| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 2),
        next_update: date_time_ymd(2099, 1, 1),
        crl_number: SerialNumber::from(7),
        issuing_distribution_point: Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec!["http://crl.test/a".to_owned()] },
            scope: None,
        }),
        revoked_certs: vec![
            entry(&[0x7f], None),
            entry(&[0xff; 20], Some(RevocationReason::KeyCompromise)),
            entry(&[0x11; 24], Some(RevocationReason::Superseded)),
        ],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).expect("is signed").der().to_vec();
    (list, spki)
});
