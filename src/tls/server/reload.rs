//! A listener's `tls` block as the reloader sees it.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::config::sections::ServerTls;
use crate::metrics::{End, Epochs};
use crate::tls::anchors::native;
use crate::tls::reload::Snapshot;
use crate::tls::server::ServerSnapshot;
use crate::tls::{material, time};

impl Snapshot for ServerSnapshot {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn epochs(&self) -> Epochs {
        self.epochs.clone()
    }

    fn ends(&self) -> &[End] {
        &self.ends
    }

    fn describe(&self) -> String {
        if self.about.client_cas.is_empty() {
            return self.about.own_summary.clone();
        }
        format!("{}; clients of {}", self.about.own_summary, self.about.client_cas)
    }

    fn judge_again(&self) -> Option<SystemTime> {
        let lists = self.revocations().and_then(|lists| lists.next_boundary(time::now()));
        time::next(self.boundaries.iter().copied().chain(lists))
    }

    fn not_after(&self) -> Option<SystemTime> {
        self.boundaries.first().copied().map(time::system)
    }
}

/// Every file that the block names, and those of the system's roots where they count, too.
pub(crate) fn files(tls: &ServerTls) -> Vec<PathBuf> {
    let common = &tls.common;
    let one = [&common.cert, &common.key, &common.ca, &tls.client_ca];
    let lists = tls.client_crl.iter().chain(tls.trust_domains.values().flatten());
    let mut files = material::files(one.into_iter().flatten().chain(lists));
    if common.include_system_ca_certs_pool && tls.client_ca.is_some() {
        files.extend(native::files());
    }
    files
}
