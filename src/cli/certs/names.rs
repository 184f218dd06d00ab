//! Subject alternative names as people write them on a command line.

use std::net::IpAddr;

use rcgen::SanType;
use rcgen::string::Ia5String;

/// Why a name cannot stand in a certificate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NamesError {
    /// Neither an address, nor a URI, nor a host name.
    #[error(
        "{text:?} is neither a host name, an IP address nor a URI; write otel.example.com, \
         *.example.com, 10.0.0.1 or spiffe://example.com/x"
    )]
    Unknown {
        /// What was written.
        text: String,
    },
    /// Not what SPIFFE allows.
    #[error(
        "{text:?} is not a SPIFFE id: it must be spiffe://<trust domain>/<path>, without port, \
         query or fragment, the trust domain in lower case"
    )]
    Spiffe {
        /// What was written.
        text: String,
    },
}

/// Tells an address from a URI from a host name; `DNS:`, `IP:` and `URI:` in front decide.
pub(super) fn parse(text: &str) -> Result<SanType, NamesError> {
    let unknown = || NamesError::Unknown { text: text.to_owned() };
    let text = text.trim();
    let rest = without_prefix(text);
    let kind = text.strip_suffix(rest).unwrap_or_default();
    if kind.is_empty() || kind.eq_ignore_ascii_case("ip:") {
        // People write [::1] as in a URL.
        let bare = rest.strip_prefix('[').and_then(|r| r.strip_suffix(']')).unwrap_or(rest);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(SanType::IpAddress(address));
        }
    }
    if rest.starts_with("spiffe://") && !kind.eq_ignore_ascii_case("dns:") {
        return spiffe(rest);
    }
    if (kind.is_empty() || kind.eq_ignore_ascii_case("uri:")) && is_uri(rest) {
        return Ia5String::try_from(rest).map(SanType::URI).map_err(|_not_ascii| unknown());
    }
    if (kind.is_empty() || kind.eq_ignore_ascii_case("dns:")) && is_host_name(rest, true) {
        return Ia5String::try_from(rest).map(SanType::DnsName).map_err(|_not_ascii| unknown());
    }
    Err(unknown())
}

/// The text behind `DNS:`, `IP:` or `URI:`.
pub(super) fn without_prefix(text: &str) -> &str {
    ["dns:", "ip:", "uri:"]
        .into_iter()
        .find_map(|prefix| {
            let (head, tail) = text.split_at_checked(prefix.len())?;
            head.eq_ignore_ascii_case(prefix).then_some(tail)
        })
        .unwrap_or(text)
}

/// A SPIFFE id as a name; refuses what SPIFFE-ID 2.1 and 2.2 do not allow.
pub(super) fn spiffe(text: &str) -> Result<SanType, NamesError> {
    let refuse = || NamesError::Spiffe { text: text.to_owned() };
    let (domain, path) = match text.strip_prefix("spiffe://").ok_or_else(refuse)?.split_once('/') {
        Some((domain, path)) => (domain, Some(path)),
        None => (text.strip_prefix("spiffe://").unwrap_or_default(), None),
    };
    let domain_is_fine = !domain.is_empty()
        && domain.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'));
    let path_is_fine = path.is_none_or(|path| {
        path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        })
    });
    if !domain_is_fine || !path_is_fine || text.len() > 2048 {
        return Err(refuse());
    }
    Ia5String::try_from(text).map(SanType::URI).map_err(|_not_ascii| refuse())
}

/// The DNS name that a common name can also be.
pub(super) fn if_host_name(text: &str) -> Option<SanType> {
    is_host_name(text, false).then(|| Ia5String::try_from(text).ok().map(SanType::DnsName))?
}

fn is_uri(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

fn is_host_name(text: &str, wildcard: bool) -> bool {
    let labels = match text.strip_prefix("*.") {
        Some(rest) if wildcard => rest,
        _ => text,
    };
    labels.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_their_text() {
        assert_eq!(parse("10.0.0.1"), Ok(SanType::IpAddress([10, 0, 0, 1].into())));
        assert!(matches!(parse("[::1]"), Ok(SanType::IpAddress(IpAddr::V6(_)))));
        assert!(matches!(parse("otel.example.com"), Ok(SanType::DnsName(_))));
        assert!(matches!(parse("*.example.com"), Ok(SanType::DnsName(_))));
        assert!(matches!(parse("DNS:localhost"), Ok(SanType::DnsName(_))));
        assert!(matches!(parse("spiffe://a/b"), Ok(SanType::URI(_))));
        assert!(matches!(parse("https://a/b"), Ok(SanType::URI(_))));
        for wrong in ["", "a b", "-a", "a..b", "IP:host", "http://", "caf\u{e9}", "a*.b", "DNS:"] {
            assert_eq!(parse(wrong), Err(NamesError::Unknown { text: wrong.to_owned() }));
        }
    }

    #[test]
    fn spiffe_ids_follow_the_standard() {
        assert!(spiffe("spiffe://example.org/ns/prod/sa/shop-1").is_ok());
        assert!(spiffe("spiffe://example.org").is_ok());
        for wrong in [
            "example.org/a",
            "spiffe://",
            "spiffe://Example.org/a",
            "spiffe://example.org:80/a",
            "spiffe://example.org/a/",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a?b",
        ] {
            assert!(spiffe(wrong).is_err(), "{wrong}");
        }
    }
}
