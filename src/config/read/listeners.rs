//! Two listeners of one configuration on one address: the second could never be bound.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::read::address::host_port;
use crate::config::sections::{Config, Extension};
use crate::config::types::{ComponentId, ListenAddress};

/// A listener that will be bound.
pub(super) struct Listener<'a> {
    pub(super) id: &'a ComponentId,
    /// The server block.
    pub(super) key_path: String,
    address: &'a ListenAddress,
}

/// Every listener that meets an earlier one, with the server block of that one.
pub(super) fn meeting(config: &Config) -> Vec<(String, Listener<'_>)> {
    let mut all = listeners(config);
    let mut pairs = Vec::new();
    while let Some(later) = all.pop() {
        if let Some(index) = all.iter().position(|other| meet(other.address, later.address)) {
            pairs.extend(all.get(index).map(|other| (other.key_path.clone(), later)));
        }
    }
    pairs
}

/// Receivers that no pipeline names and extensions that are not listed are not started.
fn listeners(config: &Config) -> Vec<Listener<'_>> {
    let mut all = Vec::new();
    for (id, receiver) in &config.receivers {
        if !config.service.pipelines.values().any(|pipeline| pipeline.receivers.contains(id)) {
            continue;
        }
        let grpc = receiver.grpc.as_ref().map(|grpc| &grpc.server);
        let http = receiver.http.as_ref().map(|http| &http.server);
        all.extend([grpc, http].into_iter().flatten().map(|server| Listener {
            id,
            key_path: server.key_path.clone(),
            address: &server.listen,
        }));
    }
    for id in &config.service.extensions {
        let address = match config.extensions.get(id) {
            Some(Extension::HealthCheck(health)) => &health.listen,
            Some(Extension::Zpages(listen)) => listen,
            Some(Extension::ClientIdentity(_) | Extension::FileStorage) | None => continue,
        };
        all.push(Listener { id, key_path: format!("extensions.{id}"), address });
    }
    all
}

fn meet(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Unix(one), ListenAddress::Unix(other)) => one == other,
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            let (Ok((one, port)), Ok((other, same))) = (host_port(one), host_port(other)) else {
                return false;
            };
            port == same && port != 0 && hosts_meet(one, other)
        }
        (ListenAddress::Tcp(_), ListenAddress::Unix(_))
        | (ListenAddress::Unix(_), ListenAddress::Tcp(_)) => false,
    }
}

fn hosts_meet(one: &str, other: &str) -> bool {
    let everywhere = |address| match address {
        // Linux gives the IPv6 one the addresses of both families.
        IpAddr::V6(address) => address.is_unspecified(),
        IpAddr::V4(_) => false,
    };
    match (address(one), address(other)) {
        (Some(one), Some(other)) => {
            one == other
                || everywhere(one)
                || everywhere(other)
                || one.is_ipv4() == other.is_ipv4()
                    && (one.is_unspecified() || other.is_unspecified())
        }
        _ => one == other,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    match host {
        "" => Some(Ipv6Addr::UNSPECIFIED.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => host.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_meet_where_one_bind_keeps_the_other_out() {
        let tcp = |text: &str| ListenAddress::Tcp(text.to_owned());
        for (one, other) in [
            ("a:1", "a:1"),
            ("localhost:1", "127.0.0.1:1"),
            (":1", "127.0.0.1:1"),
            ("[::]:1", "0.0.0.0:1"),
            ("0.0.0.0:1", "10.0.0.1:1"),
        ] {
            assert!(meet(&tcp(one), &tcp(other)) && meet(&tcp(other), &tcp(one)), "{one} {other}");
        }
        for (one, other) in [
            ("a:1", "a:2"),
            ("a:0", "a:0"),
            ("a:1", "b:1"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("0.0.0.0:1", "[::1]:1"),
        ] {
            assert!(!meet(&tcp(one), &tcp(other)), "{one} {other}");
        }
        assert!(meet(&ListenAddress::Unix("/a".into()), &ListenAddress::Unix("/a".into())));
        assert!(!meet(&ListenAddress::Unix("/a".into()), &tcp("a:1")));
    }
}
