//! The proxy that the environment names for a target, as programs written in Go read it.
//!
//! Guarantees that this host itself is never reached through a proxy. Knows nothing of what is said
//! to one. What other programs read beside (`ALL_PROXY`) has no effect in Go, and none here.

use std::net::IpAddr;

use http::Uri;

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or the same in small letters.
#[derive(Debug)]
pub(super) struct Environment {
    http: Option<(&'static str, String)>,
    https: Option<(&'static str, String)>,
    spared: Vec<Spared>,
}

/// What `NO_PROXY` takes out.
#[derive(Debug, PartialEq, Eq)]
enum Spared {
    Domain {
        /// With a dot in front.
        below: String,
        /// Whether the domain itself is meant, too.
        itself: bool,
        port: Option<String>,
    },
    Everything,
    Ip(IpAddr, Option<String>),
    Network(IpAddr, u32),
}

impl Environment {
    /// What the process was started with.
    pub(super) fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            let mut set = names.into_iter().filter_map(|name| Some((name, variable(name)?)));
            set.find(|(_, value)| !value.is_empty())
        };
        let no = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        Self {
            http: first(["HTTP_PROXY", "http_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy"]),
            spared: spared(&no),
        }
    }

    /// The variable that counts for a target with a port, and its value.
    pub(super) fn proxy_for(&self, target: &Uri) -> Option<(&'static str, &str)> {
        let (name, value) = match target.scheme_str() {
            Some("http") => self.http.as_ref()?,
            _ => self.https.as_ref()?,
        };
        let host = target.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let is_here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let port = target.port().map(|port| port.as_str().to_owned()).unwrap_or_default();
        let is_spared = self.spared.iter().any(|spared| spared.covers(&host, ip, &port));
        (!is_here && !is_spared).then_some((*name, value.as_str()))
    }
}

fn spared(list: &str) -> Vec<Spared> {
    list.split(',').filter_map(|entry| Spared::read(&entry.trim().to_ascii_lowercase())).collect()
}

impl Spared {
    fn read(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((ip, bits)) = entry.split_once('/')
            && let (Ok(ip), Ok(bits)) = (ip.parse::<IpAddr>(), bits.parse::<u32>())
        {
            return Some(Self::Network(ip, bits));
        }
        let (host, port) = split_port(entry);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self::Ip(ip.to_canonical(), port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        let itself = !host.starts_with('.');
        let below = if itself { format!(".{host}") } else { host.to_owned() };
        Some(Self::Domain { below, itself, port })
    }

    fn covers(&self, host: &str, ip: Option<IpAddr>, at: &str) -> bool {
        let is_port = |port: &Option<String>| port.as_ref().is_none_or(|port| port == at);
        match (self, ip) {
            (Self::Everything, _) => true,
            (Self::Network(network, bits), Some(ip)) => contains(*network, *bits, ip),
            (Self::Ip(spared, port), Some(ip)) => *spared == ip && is_port(port),
            (Self::Domain { below, itself, port }, None) => {
                let is_it = *itself && below.strip_prefix('.') == Some(host);
                (is_it || host.ends_with(below)) && is_port(port)
            }
            (Self::Network(..) | Self::Ip(..), None) | (Self::Domain { .. }, Some(_)) => false,
        }
    }
}

/// Host and port of `host:port` or `[host]:port`; an address of IPv6 alone has no port.
fn split_port(entry: &str) -> (&str, Option<String>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
            (host.trim_matches(['[', ']']), Some(port.to_owned()))
        }
        Some((host, port)) if !host.contains(':') => (host, Some(port.to_owned())),
        _ => (entry, None),
    }
}

fn contains(network: IpAddr, bits: u32, ip: IpAddr) -> bool {
    let same = |width: u32, a: u128, b: u128| {
        bits <= width && (a ^ b).checked_shr(width - bits).is_none_or(|differing| differing == 0)
    };
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            same(32, network.to_bits().into(), ip.to_bits().into())
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => same(128, network.to_bits(), ip.to_bits()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name);
        Environment::new(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn used<'a>(environment: &'a Environment, target: &str) -> Option<(&'static str, &'a str)> {
        environment.proxy_for(&target.parse().unwrap())
    }

    #[test]
    fn each_scheme_has_its_variable_and_capitals_win() {
        let all = environment(&[
            ("HTTP_PROXY", "h:1"),
            ("http_proxy", "no"),
            ("HTTPS_PROXY", ""),
            ("https_proxy", "s:1"),
            ("ALL_PROXY", "a:1"),
        ]);
        assert_eq!(used(&all, "http://backend.example:80"), Some(("HTTP_PROXY", "h:1")));
        assert_eq!(used(&all, "https://backend.example:443"), Some(("https_proxy", "s:1")));
        assert_eq!(used(&environment(&[("ALL_PROXY", "a:1")]), "http://backend.example:80"), None);
    }

    #[test]
    fn this_host_is_never_reached_through_a_proxy() {
        let all = environment(&[("HTTP_PROXY", "h:1"), ("HTTPS_PROXY", "s:1")]);
        for host in
            ["localhost", "LocalHost", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]"]
        {
            for scheme in ["http", "https"] {
                assert_eq!(used(&all, &format!("{scheme}://{host}:4318")), None, "{host}");
            }
        }
        assert!(used(&all, "http://localhost.example:4318").is_some());
    }

    #[test]
    fn no_proxy_takes_out_what_it_takes_out_in_go() {
        for (no, target, is_spared) in [
            ("*", "http://backend.example:80", true),
            ("a, *", "http://192.0.2.1:80", true),
            ("backend.example", "http://backend.example:80", true),
            ("Backend.Example", "http://a.b.backend.EXAMPLE:80", true),
            ("backend.example", "http://notbackend.example:80", false),
            (".backend.example", "http://a.backend.example:80", true),
            (".backend.example", "http://backend.example:80", false),
            ("*.backend.example", "http://a.backend.example:80", true),
            ("*.backend.example", "http://backend.example:80", false),
            ("backend.example:81", "http://backend.example:80", false),
            ("backend.example:81", "http://backend.example:81", true),
            ("192.0.2.1", "http://192.0.2.1:80", true),
            ("192.0.2.1", "http://192.0.2.2:80", false),
            ("192.0.2.1:81", "http://192.0.2.1:80", false),
            ("[2001:db8::1]:80", "http://[2001:db8::1]:80", true),
            ("2001:db8::1", "http://[2001:db8::1]:80", true),
            ("192.0.2.0/24", "http://192.0.2.255:80", true),
            ("192.0.2.0/24", "http://192.0.3.0:80", false),
            ("0.0.0.0/0", "http://203.0.113.9:80", true),
            ("2001:db8::/32", "http://[2001:db8:ffff::1]:80", true),
            ("::/0", "http://[2001:db8:ffff::1]:80", true),
            ("192.0.2.0/99", "http://192.0.2.1:80", false),
            (".2.1", "http://192.0.2.1:80", false),
            (", ,:80,", "http://backend.example:80", false),
        ] {
            let environment = environment(&[("HTTP_PROXY", "h:1"), ("NO_PROXY", no)]);
            assert_eq!(used(&environment, target).is_none(), is_spared, "{no} {target}");
        }
    }
}
