//! Addresses to listen on and to connect to (contract 2.2, 4.1).

use std::path::PathBuf;

use crate::config::read::section::Section;
use crate::config::types::{ListenAddress, Upstream};

/// `endpoint` and `transport` of a server.
pub(super) fn listen(section: &Section<'_>, default: &str) -> ListenAddress {
    let endpoint = section.string("endpoint");
    let unix = section
        .word("transport", &[("tcp", false), ("tcp4", false), ("tcp6", false), ("unix", true)]);
    if unix == Some(true) {
        let path = endpoint.unwrap_or_default();
        if path.is_empty() {
            section.error("endpoint", "endpoint", "a unix socket needs a path");
        } else if path.contains("://") {
            let message = format!("{path:?} is a URL; transport: unix needs a path");
            section.error_help("endpoint", "endpoint", message, "write /run/portcullis.sock");
        } else if path.len() > MAX_UNIX_PATH {
            let message = format!("the path of a unix socket has at most {MAX_UNIX_PATH} bytes");
            section.error_help("endpoint", "endpoint", message, "choose a folder nearer to /");
        }
        return ListenAddress::Unix(PathBuf::from(path));
    }
    let endpoint = endpoint.unwrap_or_else(|| default.to_owned());
    if let Err(why) = host_port(&endpoint) {
        let help = if endpoint.contains("://") {
            "an address to listen on has no scheme: write host:port, such as 0.0.0.0:4317"
        } else if endpoint.starts_with(['/', '@']) {
            "for a unix socket add transport: unix"
        } else {
            "write host:port, such as localhost:4317 or [::1]:4317"
        };
        section.error_help("endpoint", "endpoint", why, help);
    }
    ListenAddress::Tcp(endpoint)
}

/// Whether an address is reachable from this machine only.
pub(super) fn is_local(listen: &ListenAddress) -> bool {
    match listen {
        ListenAddress::Unix(_) => true,
        // What cannot be read is an error already.
        ListenAddress::Tcp(text) => host_port(text).map_or(true, |(host, _)| {
            host == "localhost"
                || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }),
    }
}

/// Where a gRPC exporter connects to, and what its scheme says about TLS.
pub(super) struct Target {
    pub(super) upstream: Upstream,
    pub(super) scheme: Scheme,
}

/// The prefixes of a gRPC endpoint that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Other,
}

/// A gRPC exporter's endpoint.
pub(super) fn target(section: &Section<'_>, endpoint: &str) -> Option<Target> {
    let (scheme, address) = match endpoint.split_once("://") {
        None => (Scheme::Other, endpoint),
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("unix", path)) => {
            if path.is_empty() {
                section.error("endpoint", "endpoint", "unix socket path cannot be empty");
                return None;
            }
            let upstream = Upstream::Unix(PathBuf::from(path));
            return Some(Target { upstream, scheme: Scheme::Other });
        }
        Some(("dns" | "passthrough", rest)) => {
            let (resolver, address) = rest.split_once('/').unwrap_or(("", rest));
            if !resolver.is_empty() {
                let why = "the resolver in it is not asked: the system's is";
                section.warn("endpoint", "no_effect", why, "write dns:///host:port");
            }
            (Scheme::Other, address)
        }
        Some((other, _)) => {
            section.error_help(
                "endpoint",
                "endpoint",
                format!("the scheme {other:?} is not supported"),
                "write host:port, https://host:port, dns:///host:port or unix:///path",
            );
            return None;
        }
    };
    if address.is_empty() {
        section.error("endpoint", "endpoint", "requires a non-empty \"endpoint\"");
        return None;
    }
    match host_port(address) {
        Ok((host, port)) if port != 0 => {
            let host = if host.is_empty() { "localhost" } else { host }.to_owned();
            Some(Target { upstream: Upstream::Tcp { host, port }, scheme })
        }
        Ok(_) => {
            section.error("endpoint", "endpoint", "port 0 cannot be connected to");
            None
        }
        Err(why) => {
            let help = if address.contains('/') {
                "OTLP over gRPC has no path: write host:port; for HTTP use the otlp_http exporter"
                    .to_owned()
            } else if host_port(&format!("{address}:443")).is_ok() {
                format!("write host:port, such as {address}:4317 or {address}:443")
            } else {
                "write host:port, such as backend:4317".to_owned()
            };
            section.error_help("endpoint", "endpoint", why, help);
            None
        }
    }
}

/// Splits `host:port`, with Go's words for what is wrong. The host comes without brackets.
pub(super) fn host_port(text: &str) -> Result<(&str, u16), String> {
    let missing = || format!("address {text}: missing port in address");
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest
            .split_once(']')
            .ok_or_else(|| format!("address {text}: missing ']' in address"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() && !host.contains('%') {
            return Err(format!("{host:?} is no IPv6 address"));
        }
        (host, tail.strip_prefix(':').ok_or_else(missing)?)
    } else {
        let (host, port) = text.rsplit_once(':').ok_or_else(missing)?;
        if host.contains(':') {
            return Err(format!("address {text}: too many colons in address"));
        }
        (host, port)
    };
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || "/?#@\\".contains(c)) {
        return Err(format!("{host:?} is no host name"));
    }
    // Digits only: from_str would take a plus sign.
    match port.parse() {
        Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => Ok((host, number)),
        _ => Err(format!("invalid port {port:?}")),
    }
}

/// What fits into the kernel's address with the zero at its end.
const MAX_UNIX_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::host_port;

    #[test]
    fn addresses_split_as_in_go() {
        assert_eq!(host_port("a:1"), Ok(("a", 1)));
        assert_eq!(host_port(":0"), Ok(("", 0)));
        assert_eq!(host_port("[::1]:4317"), Ok(("::1", 4317)));
        for text in [
            "",
            "a",
            "a:",
            "a:b",
            "a:+1",
            "::1",
            "[::1]",
            "[::1]4317",
            "a b:1",
            "a/b:1",
            "a:65536",
            "[x]:1",
            "u@h:1",
        ] {
            assert!(host_port(text).is_err(), "{text}");
        }
    }
}
