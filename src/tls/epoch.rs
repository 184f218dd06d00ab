//! Short names of what is in force. Gateways with the same files and settings have the same ones, so
//! that a rotation can be seen to have reached all of them.

use crate::metrics::Epochs;
use crate::tls::anchors::Anchors;
use crate::tls::inspect;
use crate::tls::own::Own;
use crate::tls::revocation::Revocations;

/// Everything that a decision about a peer depends on, in any order.
#[derive(Debug, Default)]
pub(super) struct Trust(Vec<String>);

impl Trust {
    /// A bundle.
    pub(super) fn bundle(&mut self, whose: &str, anchors: &Anchors) {
        let pins = anchors.pins.iter().map(|(_der, facts)| &facts.identity.sha256);
        let pins = pins.map(|pin| format!("{whose} pin {pin}"));
        let members = anchors.members.iter().map(|facts| &facts.identity.sha256);
        let members = members.map(|member| format!("{whose} ca {member}"));
        self.0.extend(pins.chain(members));
        // They follow the bundle's.
        let system = anchors.roots.roots.iter().rev().take(anchors.system);
        self.0.extend(system.map(|root| {
            let key = root.subject_public_key_info.as_ref();
            let root = [root.subject.as_ref(), key].concat();
            format!("{whose} system {}", inspect::sha256_hex(&root))
        }));
    }

    /// A setting.
    pub(super) fn setting(&mut self, name: &str, value: impl std::fmt::Debug) {
        self.0.push(format!("{name} {value:?}"));
    }

    /// With revocation lists and our own pair.
    pub(super) fn with(mut self, lists: Option<&Revocations>, own: Option<&Own>) -> Epochs {
        let lists = lists.map(Revocations::lists).unwrap_or_default().into_iter();
        let shown = lists.map(|one| format!("crl {} {} {}", one.issuer, one.edition, one.entries));
        self.0.extend(shown);
        self.0.sort_unstable();
        let own = own.into_iter().flat_map(|own| &own.certified.cert);
        let own: Vec<_> = own.map(|der| inspect::sha256_hex(der)).collect();
        Epochs { trust: short(&self.0), identity: short(&own) }
    }
}

fn short(parts: &[String]) -> String {
    inspect::sha256_hex(parts.join("\n").as_bytes()).chars().take(8).collect()
}
