//! Reading bytes as revocation lists, for fuzzing.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic is how a fuzz target reports")]

use std::collections::BTreeSet;

use rustls_pki_types::SubjectPublicKeyInfoDer;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::config::sections::TlsCommon;
use crate::config::types::Pem;
use crate::tls::profile;
use crate::tls::revocation::der;
use crate::tls::revocation::list::List;
use crate::tls::revocation::load::lists_in;

/// Reads bytes as a file of lists: how many of them can be used, and how many of those the holder
/// of a key signed.
pub(in crate::tls) fn read(source: &Pem, bytes: &[u8], spki: &[u8]) -> (usize, usize) {
    let lists = match lists_in(source, bytes) {
        Ok(lists) => lists,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems.iter().for_each(|problem| printable(&problem.to_string()));
            return (0, 0);
        }
    };
    let algorithms = profile::provider(&TlsCommon::default()).signature_verification_algorithms;
    let (mut usable, mut signed) = (0, 0);
    for (_line, der) in lists {
        match List::parse(der.clone()) {
            Ok(list) => {
                usable += 1;
                agrees(&der, &list);
                printable(&list.issuer_name);
                printable(&list.edition());
                if list.signed_by(&SubjectPublicKeyInfoDer::from(spki), &algorithms) {
                    signed += 1;
                }
            }
            Err((back, (reason, why, _help))) => {
                assert_eq!(back, der);
                assert!(!reason.is_empty());
                printable(&why);
            }
        }
    }
    (usable, signed)
}

/// What another parser finds in a list is found in ours, and nothing beside it.
fn agrees(der: &[u8], list: &List) {
    assert!(list.len() <= der.len() / 6, "more entries than bytes for them");
    let Ok((rest, other)) = CertificateRevocationList::from_der(der) else { return };
    assert!(rest.is_empty());
    let serials: BTreeSet<&[u8]> =
        other.iter_revoked_certificates().map(|entry| der::trimmed(entry.raw_serial())).collect();
    assert_eq!(list.len(), other.iter_revoked_certificates().count());
    for serial in &serials {
        assert!(list.find(serial).is_some(), "{serial:x?} is revoked");
        let mut neighbour = serial.to_vec();
        if let Some(last) = neighbour.last_mut() {
            *last ^= 1;
        }
        let listed = serials.contains(der::trimmed(&neighbour));
        assert_eq!(list.find(&neighbour).is_some(), listed, "{neighbour:x?}");
    }
}

fn printable(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters: {text:?}");
}
