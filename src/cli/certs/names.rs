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
         *.example.com, 10.0.0.1 or spiffe://example.com/x{}",
        mend(text)
    )]
    Unknown {
        /// What was written.
        text: String,
    },
    /// Senders compare the host of a URL, never the URL.
    #[error(
        "{text:?} is a URL, and those who connect look for its host alone; write \
         otel.example.com, without scheme, port and path"
    )]
    Url {
        /// What was written.
        text: String,
    },
    /// A common name that others would refuse, or that nobody could read.
    #[error(
        "the name {text:?} cannot be a common name: it has 1 to 64 characters and no control \
         characters; longer names go into --san or --spiffe"
    )]
    Common {
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

/// A name for a listener: as [`parse`], but for the URLs that senders are configured with.
pub(super) fn of_listener(text: &str) -> Result<SanType, NamesError> {
    match parse(text)? {
        SanType::URI(uri) if !uri.as_str().starts_with("spiffe://") => {
            Err(NamesError::Url { text: text.to_owned() })
        }
        name => Ok(name),
    }
}

/// Checks what X.520 allows, and what a log can show.
pub(super) fn common(text: &str) -> Result<String, NamesError> {
    let fits = (1..=MAX_COMMON_NAME).contains(&text.chars().count());
    if !fits || text.chars().any(char::is_control) {
        return Err(NamesError::Common { text: text.to_owned() });
    }
    Ok(text.to_owned())
}

/// The common name of a listener that was given none; its names are in the SAN anyway.
pub(super) fn common_of(san: &[String]) -> String {
    let names = san.iter().map(|text| without_prefix(text.trim()));
    names.map(common).find_map(Result::ok).unwrap_or_else(|| "server".to_owned())
}

/// What the most frequent slips need.
fn mend(text: &str) -> &'static str {
    let host = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    if !text.is_ascii() {
        "; names beyond ASCII in their xn-- form"
    } else if host.is_some_and(|(host, _)| is_host_name(host, true)) {
        "; without a port"
    } else if text.strip_suffix('.').is_some_and(|host| is_host_name(host, true)) {
        "; without the dot at the end"
    } else {
        ""
    }
}

/// X.520's upper bound, which some libraries enforce.
const MAX_COMMON_NAME: usize = 64;

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
    fn a_wrong_name_is_answered_with_what_to_leave_out() {
        for (text, mend) in [
            ("otel.example.com:4317", "without a port"),
            ("otel.example.com.", "without the dot"),
            ("b\u{fc}cher.example", "xn--"),
            ("https://otel.example.com:4317", "without scheme, port and path"),
        ] {
            let told = of_listener(text).unwrap_err().to_string();
            assert!(told.contains(mend), "{told}");
        }
        assert!(of_listener("spiffe://example.org/gateway").is_ok());
    }

    #[test]
    fn a_common_name_is_short_and_can_be_shown() {
        let long = "a".repeat(65);
        assert_eq!(common("shop"), Ok("shop".to_owned()));
        assert!(common(&"\u{fc}".repeat(64)).is_ok());
        for wrong in ["", "a\nb", &long] {
            assert_eq!(common(wrong), Err(NamesError::Common { text: wrong.to_owned() }));
        }
        assert_eq!(common_of(&[long.clone(), "DNS:a".to_owned()]), "a");
        assert_eq!(common_of(&[long]), "server");
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
