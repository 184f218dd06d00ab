//! Which of the certificates that a peer sends beside its own are tried as issuers.
//!
//! Guarantees that finding a path takes no longer than a signature, whoever sends what: before any
//! signature is checked the library follows every chain of names, and through a hundred certificates
//! that anybody can make there are millions, of which it tries two hundred thousand. That takes
//! seconds, and the thread serves others, too.

use std::borrow::Cow;

use rustls_pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, Class, FromDer};

/// The first two of each name, for a CA may have changed its key, and not very many in all.
pub(super) fn candidates<'a>(sent: &'a [CertificateDer<'a>]) -> Cow<'a, [CertificateDer<'a>]> {
    if sent.len() <= FEW {
        return Cow::Borrowed(sent);
    }
    let mut names = Vec::new();
    let mut kept: Vec<CertificateDer<'a>> = Vec::new();
    for der in sent {
        let name = subject_of(der);
        let of_that_name = names.iter().filter(|known| **known == name).count();
        if of_that_name < OF_ONE_NAME && !kept.contains(der) {
            names.push(name);
            kept.push(CertificateDer::from(der.as_ref()));
        }
        if kept.len() == MOST {
            break;
        }
    }
    Cow::Owned(kept)
}

/// version (v2 and v3 only), serial, signature, issuer, validity, then subject.
fn subject_of(certificate: &[u8]) -> Option<&[u8]> {
    let (_rest, outer) = Any::from_der(certificate).ok()?;
    let (_rest, tbs) = Any::from_der(outer.data).ok()?;
    let (mut rest, first) = Any::from_der(tbs.data).ok()?;
    if first.class() == Class::ContextSpecific {
        rest = Any::from_der(rest).ok()?.0;
    }
    for _signature_issuer_validity in 0..3 {
        rest = Any::from_der(rest).ok()?.0;
    }
    let (_rest, subject) = Any::from_der(rest).ok()?;
    Some(subject.data)
}

/// However these are named, there are few paths.
const FEW: usize = 3;

const OF_ONE_NAME: usize = 2;

/// A path has at most six.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::UnixTime;
    use tokio::time::Instant;

    use super::*;
    use crate::tls::inspect::Purpose;
    use crate::tls::testing::{Ca, TestPki, ca_params, client_params, pem_file};
    use crate::tls::verifier::TrustDomains;
    use crate::tls::verifier::judge::{Judge, Side};

    fn judge(ca: &Ca) -> Judge {
        let pki = TestPki::new();
        pki.write("anchor.crt", ca.pem());
        let ca = pem_file("tls.client_ca_file", pki.path("anchor.crt"));
        let anchors =
            crate::tls::anchors::load(&ca, false, &Purpose::ClientAuth, &mut Vec::new()).unwrap();
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

    /// Scenario: somebody without any certificate of ours makes sixteen CAs for each step of a path
    /// that leads nowhere, and shows a leaf with all of them, in 20 kB.
    /// Guarantees: it is refused at once, and does not keep a thread for seconds.
    #[test]
    fn paths_by_the_million_that_lead_nowhere_are_refused_at_once() {
        let judge = judge(&Ca::self_signed(ca_params("Anchor")));
        let step = |number: usize| format!("Step {number}");
        let made: Vec<_> = (0..7).map(|n| Ca::self_signed(ca_params(&step(n)))).collect();
        let sent: Vec<_> = (0..6 * 16)
            .map(|n| made[n / 16 + 1].intermediate(&step(n / 16)).certificate.der().clone())
            .collect();
        let leaf = made[0].issue(client_params("nobody"));
        let start = Instant::now();
        let refused = judge.judge(leaf.certificate.der(), &sent, UnixTime::now()).unwrap_err();
        assert_eq!(refused.reason, "client_cert_unknown_issuer");
        // Milliseconds; the rest is for a busy machine.
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }

    /// Scenario: the right issuer is the second of its name, and among many others.
    #[test]
    fn an_issuer_is_found_among_others_and_after_another_key_of_its_name() {
        let anchor = Ca::self_signed(ca_params("Anchor"));
        let judge = judge(&anchor);
        let (old, new) = (anchor.intermediate("Issuer"), anchor.intermediate("Issuer"));
        let others = (0..12).map(|n| anchor.intermediate(&format!("Other {n}")));
        let sent: Vec<_> = others.chain([old, anchor.intermediate("Last")]).collect();
        let mut sent: Vec<_> = sent.iter().map(|ca| ca.certificate.der().clone()).collect();
        sent.push(new.certificate.der().clone());
        let leaf = new.issue(client_params("somebody"));
        let judged = judge.judge(leaf.certificate.der(), &sent, UnixTime::now());
        assert!(judged.is_ok(), "{judged:?}");
        assert_eq!(candidates(&sent).len(), sent.len());
    }
}
