//! Words for an upstream with another name than the one that was wanted.

use rustls_pki_types::ServerName;

use crate::tls::inspect::{CertificateFacts, shown};
use crate::tls::verifier::explain::names;
use crate::tls::verifier::judge::{Fault, alert};

/// For an upstream whose chain is fine and whose name is not.
pub(super) fn name_mismatch(
    wanted: &ServerName<'_>,
    leaf: Option<CertificateFacts>,
    error: &webpki::Error,
) -> Fault {
    let wanted_text = wanted.to_str();
    let (has, help) = match &leaf {
        Some(facts) if !has_names(facts) => (
            format!(
                "the certificate has no subjectAltName (its CN {} does not count)",
                facts
                    .identity
                    .common_name
                    .as_deref()
                    .map_or_else(|| "is absent and".to_owned(), shown)
            ),
            format!("re-issue it with `-addext subjectAltName=DNS:{wanted_text}`"),
        ),
        Some(facts) => {
            let mut has = format!("the certificate is for {}", names(facts));
            if matches!(wanted, ServerName::IpAddress(_)) && facts.identity.ips.is_empty() {
                has.push_str("; it has no IP address (DNS:1.2.3.4 does not count as one)");
            }
            if facts.identity.dns.iter().any(|name| is_too_wide(name)) {
                has.push_str("; a wildcard counts only before a name of two parts or more");
            }
            let help = match facts.identity.dns.iter().find(|name| !name.contains('*')) {
                Some(name) => format!(
                    "set `tls.server_name_override: {}` if that is the upstream you mean, or \
                     re-issue its certificate",
                    shown(name)
                ),
                None => "connect to one of these names, or re-issue its certificate".to_owned(),
            };
            (has, help)
        }
        None => ("the certificate cannot be read".to_owned(), "re-issue it".to_owned()),
    };
    Fault {
        reason: "upstream_name_mismatch",
        why: format!("wanted {wanted_text}, but {has}"),
        help,
        leaf: leaf.map(Box::new),
        alert: alert(error),
    }
}

/// `*.local` and `*`, which Go would match.
fn is_too_wide(name: &str) -> bool {
    name == "*" || name.strip_prefix("*.").is_some_and(|rest| !rest.contains('.'))
}

fn has_names(facts: &CertificateFacts) -> bool {
    !names(facts).is_empty()
}
