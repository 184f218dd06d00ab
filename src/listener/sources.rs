//! How many connections each source has open.
//!
//! Guarantees that no source has more than its share. A source is an IPv4 address, or a network of
//! 64 bits of IPv6, in which one machine may have any address. Remembers only who is connected.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module; clones count together.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Counts one connection of its source for as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    source: IpAddr,
    of: Sources,
}

impl Sources {
    /// So many of each.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// So many may be open of each.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// `None` if this address's source has as many as it may.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { source, of: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.of.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}

fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_share_and_no_more_and_what_is_closed_is_forgotten() {
        let sources = Sources::new(2);
        let take = |address: &str| sources.take(address.parse().unwrap());
        let first = take("192.0.2.1");
        let second = take("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some(), "others have a share of their own");
        drop(first);
        assert!(take("192.0.2.1").is_some());
        drop(second);
        assert!(sources.open.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let sources = Sources::new(1);
        let take = |address: &str| sources.take(address.parse().unwrap());
        let _first = take("2001:db8::1").unwrap();
        assert!(take("2001:db8::ffff:ffff:ffff:ffff").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }
}
