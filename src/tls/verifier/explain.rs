//! Why a certificate was refused, in words, and what its owner can do.

use rustls::CertificateError;
use rustls_pki_types::CertificateDer;

use crate::tls::anchors;
use crate::tls::inspect::{self, CertificateFacts, named, shown};
use crate::tls::own::{V1_MEND, V1_SERVER_MEND};
use crate::tls::revocation::{Doubt, DoubtKind};
use crate::tls::time;
use crate::tls::verifier::judge::{Fault, Judge, Leniency, Side, alert};
use crate::tls::verifier::{forged, rare, unsupported};

/// Reason, clause, help.
pub(super) type Words = (&'static str, String, String);

/// For what is not a certificate at all.
pub(super) fn unreadable(side: Side, error: &webpki::Error) -> Fault {
    let reason = pick(side, "client_cert_bad_encoding", "upstream_cert_bad_encoding");
    Fault {
        reason,
        why: format!("what it presented is not a certificate that can be read ({error:?})"),
        help: "re-issue it with a common tool".to_owned(),
        leaf: None,
        alert: CertificateError::BadEncoding,
    }
}

/// For a good certificate in the hands of somebody who does not have its key.
pub(super) fn unproven(side: Side, leaf: &CertificateDer<'_>) -> Fault {
    Fault {
        reason: pick(side, "client_cert_not_proven", "upstream_cert_not_proven"),
        why: "it did not prove that it holds the certificate's private key".to_owned(),
        help: "check that its certificate and its key belong together; if they do, somebody else \
               shows a copy of that certificate"
            .to_owned(),
        leaf: inspect::describe(leaf).map(Box::new),
        alert: CertificateError::BadSignature,
    }
}

/// For a leaf that is accepted unless `strict_x509` is set, and it is.
pub(super) fn strict(
    side: Side,
    leniency: Leniency,
    leaf: CertificateFacts,
    error: &webpki::Error,
) -> Fault {
    let (reason, why, help) = self::leniency(side, leniency);
    let help = format!("{help}, or set `strict_x509: false`");
    Fault { reason, why: why.to_owned(), help, leaf: Some(Box::new(leaf)), alert: alert(error) }
}

/// For a certificate that its CA took back, or of which that is not known.
pub(super) fn doubted(side: Side, doubt: Doubt, leaf: CertificateFacts) -> Fault {
    let reason = match doubt.kind {
        DoubtKind::Revoked => pick(side, "client_cert_revoked", "upstream_cert_revoked"),
        DoubtKind::Unknown => {
            pick(side, "client_cert_revocation_unknown", "upstream_cert_revocation_unknown")
        }
        DoubtKind::Expired => pick(side, "client_crl_expired", "upstream_crl_expired"),
    };
    let why = if doubt.about_issuer {
        format!("an issuer that it came with cannot be relied on: {}", doubt.why)
    } else {
        doubt.why
    };
    Fault { reason, why, help: doubt.help, leaf: Some(Box::new(leaf)), alert: doubt.kind.alert() }
}

/// For nothing at all where a certificate is demanded.
pub(super) fn absent() -> Fault {
    Fault {
        reason: "client_cert_missing",
        why: "none was sent".to_owned(),
        help: "give the client a certificate and its key".to_owned(),
        leaf: None,
        alert: CertificateError::UnknownIssuer,
    }
}

/// What is unusual about a leaf that is accepted all the same.
pub(super) fn leniency(
    side: Side,
    leniency: Leniency,
) -> (&'static str, &'static str, &'static str) {
    match leniency {
        Leniency::V1 => (
            pick(side, "client_cert_x509_v1", "upstream_cert_x509_v1"),
            "it is in X.509 v1 form",
            pick(side, V1_MEND, V1_SERVER_MEND),
        ),
        Leniency::Ca => (
            pick(side, "client_cert_is_ca", "upstream_cert_is_ca"),
            "it is marked CA:TRUE, which is what `openssl req -x509` makes",
            "issue a leaf, or add `-addext basicConstraints=critical,CA:FALSE`",
        ),
        Leniency::Pinned => (
            pick(side, "client_cert_pinned", "upstream_cert_pinned"),
            "the CA bundle names it itself instead of its CA, so it alone is trusted",
            "put the CA's certificate into the bundle",
        ),
    }
}

/// For everything else that path validation refuses.
pub(super) fn refused(
    judge: &Judge,
    leaf: CertificateFacts,
    intermediates: &[CertificateDer<'_>],
    error: &webpki::Error,
    now: i64,
) -> Fault {
    let chain: Vec<_> =
        intermediates.iter().take(SHOWN).filter_map(|der| inspect::describe(der)).collect();
    let (reason, why, help) = words(judge, &leaf, &chain, error, now);
    Fault { reason, why, help, leaf: Some(Box::new(leaf)), alert: alert(error) }
}

fn words(
    judge: &Judge,
    leaf: &CertificateFacts,
    chain: &[CertificateFacts],
    error: &webpki::Error,
    now: i64,
) -> Words {
    use webpki::Error as E;

    let side = judge.side;
    // The date comes first: a leaf that is out of date is refused whatever else it is.
    if !leaf.holds_at(now) {
        return dates(side, leaf, "it", now);
    }
    let unvouched =
        matches!(error, E::UnknownIssuer | E::UnsupportedCertVersion | E::CaUsedAsEndEntity);
    if let Some(words) = unvouched.then(|| ended_issuer(judge, leaf, chain, now)).flatten() {
        return words;
    }
    // Who would be lenient with its form is not with its key.
    let odd = matches!(error, E::UnsupportedCertVersion | E::CaUsedAsEndEntity)
        || matches!(error, E::UnknownIssuer) && judge.anchors.pins_exactly(leaf);
    if odd && leaf.key.is_weak_rsa() {
        return forged::weak_key(&leaf.key, &leaf.summary());
    }
    if odd && !leaf.key.is_supported() {
        return unsupported::key(side, leaf, true);
    }
    match error {
        E::CertExpired { .. } | E::CertNotValidYet { .. } | E::InvalidCertValidity => {
            match chain.iter().find(|facts| !facts.holds_at(now)) {
                Some(issuer) => dates(side, issuer, "an issuer that it came with", now),
                None => dates(side, leaf, "it", now),
            }
        }
        E::UnknownIssuer => unknown_issuer(judge, leaf, chain),
        E::InvalidSignatureForPublicKey => forged::bad_signature(judge, leaf, chain),
        E::EmptyEkuExtension => usage(side, leaf, chain),
        E::UnsupportedCertVersion if leaf.version < 3 => {
            let (reason, why, help) = leniency(side, Leniency::V1);
            let why = format!("{why}, and no CA of {} signed it", judge.anchors.place);
            (reason, why, help.to_owned())
        }
        E::CaUsedAsEndEntity => {
            let (reason, why, help) = leniency(side, Leniency::Ca);
            let place = &judge.anchors.place;
            let why = format!("{why}, and no CA of {place} signed it itself");
            let help = if leaf.identity.subject == leaf.identity.issuer {
                format!("add it to {place} to trust it alone, or issue a leaf under a CA of it")
            } else {
                help.to_owned()
            };
            (reason, why, help)
        }
        E::UnsupportedCertVersion => issuer_of_v1(side, chain),
        _ => rare::words(judge, leaf, chain, error),
    }
}

/// The leaf is not.
fn issuer_of_v1(side: Side, chain: &[CertificateFacts]) -> Words {
    let issuer = chain.iter().find(|issuer| issuer.version < 3);
    let who = issuer.map_or_else(String::new, |ca| format!(" {}", named(&ca.identity.subject)));
    (
        pick(side, "client_cert_issuer_x509_v1", "upstream_cert_issuer_x509_v1"),
        format!("its issuer{who} is in X.509 v1 form, which only a root may be"),
        "re-issue that intermediate with `-extfile <(printf \
         'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n')`"
            .to_owned(),
    )
}

fn dates(side: Side, facts: &CertificateFacts, what: &str, now: i64) -> Words {
    let clock = inspect::date(now);
    let who = if what == "it" { what.to_owned() } else { format!("{what}, {},", facts.summary()) };
    if facts.not_before > now {
        return (
            pick(side, "client_cert_not_yet_valid", "upstream_not_yet_valid"),
            format!(
                "{who} is not valid before {} ({})",
                inspect::date(facts.not_before),
                time::ago(facts.not_before, now)
            ),
            format!("compare the clocks: here it is {clock}"),
        );
    }
    let owner = pick(side, "the client", "the upstream");
    (
        pick(side, "client_cert_expired", "upstream_expired"),
        format!(
            "{who} expired on {} ({})",
            inspect::date(facts.not_after),
            time::ago(facts.not_after, now)
        ),
        format!(
            "renew it; if it was just renewed, {owner} has not reloaded it (here it is {clock})"
        ),
    )
}

/// A root that ended while it was in use.
fn ended_issuer(
    judge: &Judge,
    leaf: &CertificateFacts,
    chain: &[CertificateFacts],
    now: i64,
) -> Option<Words> {
    let ca = judge.anchors.ended(last_issuer(leaf, chain), now)?;
    let (reason, why, help) = anchors::unfit(ca, &judge.side.purpose(), now)?;
    let why = format!("its CA {} in {} {why}", named(&ca.identity.subject), judge.anchors.place);
    Some((reason, why, help.to_owned()))
}

fn unknown_issuer(judge: &Judge, leaf: &CertificateFacts, chain: &[CertificateFacts]) -> Words {
    let anchors = &judge.anchors;
    let issuer = last_issuer(leaf, chain);
    if let Some(left) = anchors.left_out.iter().find(|left| left.facts.identity.subject == *issuer)
    {
        return (
            left.reason,
            format!(
                "its CA {} is in {} but is left out: it {}",
                named(issuer),
                anchors.place,
                left.why
            ),
            "mend the CA bundle".to_owned(),
        );
    }
    let self_signed = leaf.identity.subject == leaf.identity.issuer;
    let why = if self_signed {
        format!("it is self-signed and not in {} ({})", anchors.place, anchors.names())
    } else {
        format!("its issuer {} is not in {} ({})", named(issuer), anchors.place, anchors.names())
    };
    let owner = pick(judge.side, "the client", "the upstream");
    let help = if self_signed {
        format!("add it there to trust it, or give {owner} a certificate of one of these CAs")
    } else if chain.is_empty() {
        format!(
            "add that issuer there; if it is an intermediate under one of these CAs, {owner} must \
             send leaf and intermediate"
        )
    } else {
        format!("add that issuer there, or give {owner} a certificate of one of these CAs")
    };
    (pick(judge.side, "client_cert_unknown_issuer", "upstream_unknown_issuer"), why, help)
}

/// The issuer that nobody vouches for: the end of the chain as far as it was sent.
pub(super) fn last_issuer<'a>(
    leaf: &'a CertificateFacts,
    chain: &'a [CertificateFacts],
) -> &'a str {
    let mut last = leaf;
    for _ in chain {
        match chain.iter().find(|one| one.identity.subject == last.identity.issuer) {
            Some(next) if next.identity.subject != next.identity.issuer => last = next,
            _ => break,
        }
    }
    &last.identity.issuer
}

fn usage(side: Side, leaf: &CertificateFacts, chain: &[CertificateFacts]) -> Words {
    let wanted = side.purpose();
    let who = std::iter::once(leaf).chain(chain).find(|one| !one.permits(&wanted)).unwrap_or(leaf);
    let list: Vec<_> = who.purposes.iter().flatten().map(|purpose| shown(purpose.name())).collect();
    let what = if std::ptr::eq(who, leaf) {
        "it".to_owned()
    } else {
        format!("its issuer {}", named(&who.identity.subject))
    };
    let why = format!("{what} allows {} and not {}", list.join(", "), wanted.name());
    match side {
        Side::Sender => (
            "client_cert_eku",
            why,
            "re-issue it with extendedKeyUsage clientAuth; public CAs no longer issue those, so use \
             a private one"
                .to_owned(),
        ),
        Side::Upstream => {
            ("upstream_cert_eku", why, "re-issue it with extendedKeyUsage serverAuth".to_owned())
        }
    }
}

pub(super) fn names(facts: &CertificateFacts) -> String {
    facts.identity.names(SHOWN)
}

pub(super) fn pick(side: Side, sender: &'static str, upstream: &'static str) -> &'static str {
    match side {
        Side::Sender => sender,
        Side::Upstream => upstream,
    }
}

const SHOWN: usize = 16;
