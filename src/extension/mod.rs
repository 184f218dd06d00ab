//! What the gateway says of itself over HTTP: `health_check`, the Prometheus reader, `zpages`.
//!
//! Guarantees a deadline and a bound for every connection, and that nothing here can change the
//! gateway: every page only reads. Liveness never depends on an upstream.

mod health;
mod prometheus;
mod readiness;
mod server;
mod zpages;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::acceptor::Acceptor;
use crate::config::sections::{Config, Extension, MetricsLevel};
use crate::config::types::{ComponentId, ListenAddress};
use crate::extension::server::{Respond, Server};
use crate::metrics::Metrics;
use crate::telemetry::Recent;
use crate::tls::reload::ReloadStatus;
use crate::tls::seen::Seen;

pub(crate) use readiness::Readiness;
pub(crate) use server::{BindError, page_limits};
pub(crate) use zpages::ListenerLine;

/// What the pages show beside the configuration.
pub(crate) struct Surface {
    /// The numbers of this gateway.
    pub(crate) metrics: Metrics,
    /// Whether it takes requests.
    pub(crate) readiness: Readiness,
    /// The latest warnings and errors.
    pub(crate) recent: Recent,
    /// The listeners of the receivers, as bound.
    pub(crate) listeners: Vec<ListenerLine>,
    /// What is known of every `tls` block.
    pub(crate) reloads: ReloadStatus,
    /// Whom the listeners let in.
    pub(crate) seen: Seen,
    /// Who shakes hands for those extensions that are served over TLS.
    pub(crate) secured: BTreeMap<ComponentId, Acceptor>,
}

/// Every HTTP surface of one gateway, bound and not yet serving.
pub(crate) struct Extensions {
    servers: Vec<Server>,
}

impl Extensions {
    /// Binds what `service.extensions` and `service.telemetry.metrics` name. A taken port of the
    /// Prometheus reader is a warning only: two gateways on one host are no reason to stop one.
    ///
    /// # Errors
    ///
    /// When the port of `health_check` or `zpages` cannot be bound: probes would ask someone else.
    pub(crate) async fn bind(config: &Config, surface: Surface) -> Result<Self, BindError> {
        let mut servers = Vec::new();
        let pages = Arc::new(zpages::Pages::new(config, &surface));
        for id in &config.service.extensions {
            let key_path = format!("extensions.{id}");
            match config.extensions.get(id) {
                Some(Extension::HealthCheck(settings)) => {
                    let respond = health::responder(
                        settings,
                        surface.readiness.clone(),
                        surface.reloads.clone(),
                    );
                    let server = Server::bind(&key_path, &settings.listen, respond).await?;
                    let server = server.with_deadline(settings.timeout);
                    servers.push(match surface.secured.get(id) {
                        Some(acceptor) => server.behind(acceptor.clone(), surface.metrics.clone()),
                        None => server,
                    });
                }
                Some(Extension::Zpages(listen)) => {
                    let respond = zpages::responder(Arc::clone(&pages));
                    servers.push(Server::bind(&key_path, listen, respond).await?);
                }
                Some(Extension::ClientIdentity(_) | Extension::FileStorage) | None => {}
            }
        }
        let telemetry = &config.service.telemetry;
        if telemetry.metrics_level != MetricsLevel::None {
            for reader in &telemetry.metrics_readers {
                let listen = ListenAddress::Tcp(join_host_port(&reader.host, reader.port));
                let respond: Respond = prometheus::responder(surface.metrics.clone(), reader.names);
                match Server::bind(&reader.key_path, &listen, respond).await {
                    Ok(server) => servers.push(server),
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        reason = "metrics_port_taken",
                        help = "give this gateway a port of its own in \
                                service.telemetry.metrics.readers, or set metrics.level: none",
                        "no metrics are served; going on without"
                    ),
                }
            }
        }
        Ok(Self { servers })
    }

    /// The config key and the bound TCP address of each.
    pub(crate) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.servers.iter().filter_map(Server::address).collect()
    }

    /// Serves until `stop` resolves; open connections are then cut. Not cancel safe in the sense
    /// that dropping it also cuts them.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let mut running = JoinSet::new();
        for server in self.servers {
            running.spawn(server.run());
        }
        stop.await;
        running.shutdown().await;
    }
}

fn join_host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests;
