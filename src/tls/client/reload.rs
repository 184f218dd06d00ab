//! An exporter's `tls` block as the reloader sees it.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::config::sections::ClientTls;
use crate::metrics::{End, Epochs};
use crate::tls::anchors::native;
use crate::tls::client::ClientSnapshot;
use crate::tls::reload::Snapshot;
use crate::tls::{material, time};

impl Snapshot for ClientSnapshot {
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
        let own = match &self.own {
            Some(own) => own.leaf.summary(),
            None => "no certificate of our own".to_owned(),
        };
        format!("{own}; upstreams of {}", self.upstream_cas)
    }

    fn judge_again(&self) -> Option<SystemTime> {
        let lists = self.revocations.as_ref();
        let lists = lists.and_then(|lists| lists.next_boundary(time::now()));
        time::next(self.boundaries.iter().copied().chain(lists))
    }

    fn not_after(&self) -> Option<SystemTime> {
        self.own.as_ref().map(|own| time::system(own.leaf.not_after))
    }
}

/// Every file that the block names, and those of the system's roots where they count.
pub(crate) fn files(tls: &ClientTls) -> Vec<PathBuf> {
    let common = &tls.common;
    let one = [&common.cert, &common.key, &common.ca];
    let mut files = material::files(one.into_iter().flatten().chain(&tls.crl));
    let verified = !tls.insecure && !tls.insecure_skip_verify;
    if verified && (common.ca.is_none() || common.include_system_ca_certs_pool) {
        files.extend(native::files());
    }
    files
}
