//! Every `tls` block of a gateway, to be watched, and everyone whom it let in.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::acceptor::Acceptor;
use crate::config::Config;
use crate::config::sections::{Exporter, Extension, ServerTls};
use crate::exporter::Credentials;
use crate::metrics::Metrics;
use crate::tls::reload::{Fingerprint, Pace, Reloader, Subject};
use crate::tls::store::Store;
use crate::tls::{ServerSnapshot, client, server};
use crate::worker::Plan;

/// A listener's block. `before` was taken of its files before they were read.
pub(super) fn listener(
    key_path: &str,
    tls: &ServerTls,
    before: Fingerprint,
    store: Store<ServerSnapshot>,
) -> Subject {
    let files = (server::files(tls), before);
    let tls = tls.clone();
    let key_path = format!("{key_path}.tls");
    Subject::new(&key_path, files, Arc::new(store), move |before| server::reload(&tls, before))
}

fn exporter(credentials: &Credentials) -> Subject {
    let tls = credentials.tls.clone();
    let files = (client::files(&tls), credentials.before);
    let (alpn, store) = (credentials.alpn, Arc::clone(&credentials.store));
    Subject::new(&credentials.key_path, files, store, move |before| {
        client::reload(&tls, alpn, before)
    })
}

/// Watches the listeners' blocks and the exporters' ones.
pub(super) fn reloader<'a>(
    mut subjects: Vec<Subject>,
    exporters: impl Iterator<Item = &'a Credentials>,
    config: &Config,
    metrics: Metrics,
) -> Reloader {
    subjects.extend(exporters.map(exporter));
    let mut pace = Pace::default();
    // The keys ask for a longest wait; reading the files is so cheap that ours is shorter.
    let asked = intervals(config).min().unwrap_or(pace.poll);
    pace.poll = pace.poll.min(asked).max(Duration::from_secs(1));
    Reloader::new(subjects, pace, metrics)
}

/// Reads certificates again, and judges those who are connected again.
pub(super) fn start(reloader: Reloader, plan: &Plan, pages: &[Acceptor]) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(reloader.run());
    let receivers = plan.endpoints.iter().map(|endpoint| &endpoint.acceptor);
    for live in receivers.chain(pages).filter_map(Acceptor::live) {
        tasks.spawn(live.judge());
    }
    tasks
}

fn intervals(config: &Config) -> impl Iterator<Item = Duration> {
    let receivers = config.receivers.values().flat_map(|receiver| {
        let grpc = receiver.grpc.as_ref().map(|grpc| &grpc.server);
        let http = receiver.http.as_ref().map(|http| &http.server);
        grpc.into_iter().chain(http)
    });
    let servers = receivers.filter_map(|server| server.tls.as_ref()?.common.reload_interval);
    let exporters = config.exporters.values().filter_map(|exporter| match exporter {
        Exporter::Grpc(grpc) => grpc.tls.as_ref()?.common.reload_interval,
        Exporter::Http(http) => http.tls.common.reload_interval,
        Exporter::Debug(_) | Exporter::Nop => None,
    });
    let pages = config.extensions.values().filter_map(|extension| match extension {
        Extension::HealthCheck(health) => health.tls.as_ref()?.common.reload_interval,
        Extension::ClientIdentity(_) | Extension::FileStorage | Extension::Zpages(_) => None,
    });
    servers.chain(exporters).chain(pages).filter(|interval| !interval.is_zero())
}
