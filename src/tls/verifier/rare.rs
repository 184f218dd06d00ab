//! Faults of chains and leaves that few meet, in words.

use crate::tls::inspect::{CertificateFacts, named, shown};
use crate::tls::verifier::explain::{Words, names, pick};
use crate::tls::verifier::judge::Judge;
use crate::tls::verifier::unsupported;

/// For what path validation refuses and is neither date, issuer, usage nor signature.
pub(super) fn words(
    judge: &Judge,
    leaf: &CertificateFacts,
    chain: &[CertificateFacts],
    error: &webpki::Error,
) -> Words {
    use webpki::Error as E;

    let side = judge.side;
    match error {
        E::UnsupportedCriticalExtension => (
            pick(side, "client_cert_extension", "upstream_cert_extension"),
            format!(
                "it or an issuer has a critical extension that is not understood ({})",
                match leaf.unknown_critical.as_slice() {
                    [] => "perhaps certificatePolicies".to_owned(),
                    list => shown(&list.join(", ")),
                }
            ),
            "re-issue it without marking that extension critical".to_owned(),
        ),
        E::NameConstraintViolation
        | E::MalformedNameConstraint
        | E::InvalidNetworkMaskConstraint
        | E::MalformedDnsIdentifier => {
            let (why, help) = constrained(leaf, chain, error);
            let reason = pick(side, "client_cert_name_constraint", "upstream_cert_name_constraint");
            (reason, why, help.to_owned())
        }
        E::MaximumSignatureChecksExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumNameConstraintComparisonsExceeded
        | E::PathLenConstraintViolated
        | E::MaximumPathDepthExceeded
        | E::EndEntityUsedAsCa => {
            let (why, help) = path(judge, leaf, chain, error);
            (pick(side, "client_cert_chain", "upstream_cert_chain"), why, help)
        }
        E::BadDer
        | E::BadDerTime
        | E::MalformedExtensions
        | E::InvalidSerialNumber
        | E::ExtensionValueInvalid
        | E::TrailingData(_) => {
            let what = match error {
                E::InvalidSerialNumber => "its serial number is not a positive one".to_owned(),
                E::BadDerTime => "a date in it is not one that can be read".to_owned(),
                E::ExtensionValueInvalid => {
                    "it or an issuer that it came with has one extension twice".to_owned()
                }
                other => format!("it is not encoded as the standard says ({other:?})"),
            };
            (
                pick(side, "client_cert_bad_encoding", "upstream_cert_bad_encoding"),
                what,
                "re-issue it with a common tool and its defaults".to_owned(),
            )
        }
        _ if unsupported::is_algorithm(error) => unsupported::algorithm(side, leaf, chain),
        _ => (
            pick(side, "client_cert_rejected", "upstream_cert_rejected"),
            format!("path validation refuses it ({error:?})"),
            "`portcullis certs show FILE` says what is unusual about it".to_owned(),
        ),
    }
}

/// Why and help for names that a CA may not vouch for, or that cannot be compared with what it may.
fn constrained(
    leaf: &CertificateFacts,
    chain: &[CertificateFacts],
    error: &webpki::Error,
) -> (String, &'static str) {
    use webpki::Error as E;

    let who = chain.iter().find(|issuer| issuer.name_constraints).map_or_else(
        || "a CA of its chain".to_owned(),
        |issuer| format!("its issuer {}", named(&issuer.identity.subject)),
    );
    match error {
        E::NameConstraintViolation => {
            (outside(leaf), "issue it under a CA whose name constraints allow these names")
        }
        E::MalformedDnsIdentifier => (
            format!(
                "{who} has name constraints, and one of its names is no name to compare with them: {}",
                names(leaf)
            ),
            "re-issue it with names of hosts alone",
        ),
        _ => (
            format!("{who} has name constraints that cannot be read"),
            "re-issue that CA: a DNS constraint is a domain such as example.com, without `*`, and an \
             IP constraint an address with a mask of leading ones",
        ),
    }
}

fn outside(leaf: &CertificateFacts) -> String {
    let names = names(leaf);
    if names.contains("URI:") {
        format!(
            "its names are outside of what its CA may vouch for, or its CA constrains URIs, which \
             cannot be checked: {names}"
        )
    } else {
        format!("its names are outside of what its CA may vouch for: {names}")
    }
}

/// Why and help for a chain whose issuers do not fit together.
fn path(
    judge: &Judge,
    leaf: &CertificateFacts,
    chain: &[CertificateFacts],
    error: &webpki::Error,
) -> (String, String) {
    use webpki::Error as E;

    let place = &judge.anchors.place;
    let length = chain.len() + 1;
    match error {
        E::PathLenConstraintViolated => (
            format!(
                "its chain of {length} certificates is longer than one of its CAs allows (`pathlen` \
                 of basicConstraints)"
            ),
            "issue it under the CA that sets the limit, or re-issue that CA with a larger pathlen"
                .to_owned(),
        ),
        E::EndEntityUsedAsCa => {
            let sent_issuer = |of: &CertificateFacts| {
                chain.iter().find(|one| one.identity.subject == of.identity.issuer)
            };
            let no_ca = std::iter::successors(sent_issuer(leaf), |one| {
                sent_issuer(one).filter(|next| !std::ptr::eq(*next, *one))
            })
            .take(length)
            .find(|one| one.ca != Some(true));
            let who = no_ca.map_or_else(
                || "an issuer that it came with".to_owned(),
                |one| format!("its issuer {}", named(&one.identity.subject)),
            );
            (
                format!("{who} is no CA (it lacks basicConstraints CA:TRUE)"),
                "issue it under a CA; if that issuer is meant to be one, re-issue it with \
                 basicConstraints=critical,CA:TRUE"
                    .to_owned(),
            )
        }
        E::MaximumPathDepthExceeded => (
            format!(
                "its chain of {length} certificates is longer than is followed, which is six \
                 intermediates"
            ),
            format!("put one of its intermediates into {place}, or issue it nearer to its root"),
        ),
        E::MaximumNameConstraintComparisonsExceeded => (
            "it has more names than are compared with the name constraints of its CA".to_owned(),
            "issue it with fewer names".to_owned(),
        ),
        _ => (
            format!(
                "too many issuers would have to be tried: {place} has more than 100 CAs of one \
                 name, or too many intermediates came with it"
            ),
            "leave those keys of a CA in the bundle that are still in use".to_owned(),
        ),
    }
}
