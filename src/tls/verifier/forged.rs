//! Words for a chain with a signature that does not fit. The TLS library knows one error for it, and
//! there are three causes: a key that is too short to be believed, a CA that was made anew under its
//! old name, and a certificate that was changed after it was signed.

use crate::tls::inspect::{self, CertificateFacts, KeyFacts, named};
use crate::tls::verifier::explain::{Words, last_issuer};
use crate::tls::verifier::judge::Judge;

pub(super) fn bad_signature(
    judge: &Judge,
    leaf: &CertificateFacts,
    chain: &[CertificateFacts],
) -> Words {
    let all = || std::iter::once(leaf).chain(chain);
    if let Some(weak) = all().find(|one| one.key.is_weak_rsa()) {
        return weak_key(&weak.key, &weak.summary());
    }
    let anchors = &judge.anchors.members;
    let trusted = |issuer: &str| anchors.iter().find(|ca| ca.identity.subject == *issuer);
    // A certificate may say which key signed it.
    let mut named_right = None;
    for one in all().filter(|one| one.issuer_key_id.is_some()) {
        let issuer = &one.identity.issuer;
        let mut issuers = chain.iter().chain(anchors).filter(|ca| ca.identity.subject == *issuer);
        if issuers.any(|ca| ca.key_id == one.issuer_key_id) {
            named_right = named_right.or(Some(one));
        } else if let Some(known) = trusted(issuer) {
            return made_anew(judge, issuer, known, "");
        }
    }
    if let Some(one) = named_right {
        return changed(one, std::ptr::eq(one, leaf));
    }
    let issuer = last_issuer(leaf, chain);
    match trusted(issuer) {
        Some(known) => {
            let or =
                ". If it was not, the certificate was changed after it was signed: re-issue it";
            made_anew(judge, issuer, known, or)
        }
        None => changed(leaf, true),
    }
}

fn made_anew(judge: &Judge, issuer: &str, known: &CertificateFacts, or: &str) -> Words {
    (
        "ca_key_changed",
        format!(
            "{} trusts a CA of the name {} but with another key than the one that signed it: \
             sha256 {}, in force from {}",
            judge.anchors.place,
            named(issuer),
            known.identity.sha256,
            inspect::date(known.not_before)
        ),
        format!(
            "the CA was made anew under its old name: put the new one into the bundle beside the \
             old{or}"
        ),
    )
}

fn changed(one: &CertificateFacts, is_leaf: bool) -> Words {
    let who = if is_leaf {
        "its signature".to_owned()
    } else {
        format!("the signature of {}, which it came with,", named(&one.identity.subject))
    };
    (
        "bad_signature",
        format!("{who} is not the one that {} made", named(&one.identity.issuer)),
        "it was changed after it was signed: copy it again, or re-issue it".to_owned(),
    )
}

pub(super) fn weak_key(key: &KeyFacts, who: &str) -> Words {
    (
        "weak_rsa_key",
        format!("{who} has an RSA key of {} bits; the least is 2048", key.bits),
        "make a new key: `openssl ecparam -name prime256v1 -genkey -noout`".to_owned(),
    )
}
