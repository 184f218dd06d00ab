//! Everything of a configuration that is read from files, read: what can be known to be wrong
//! before a port is bound.

use std::sync::Arc;

use crate::acceptor::Acceptor;
use crate::aside::Aside;
use crate::config::Config;
use crate::config::Problem;
use crate::config::sections::{Extension, HealthCheck, Server, ServerLimits, ServerTls};
use crate::config::types::{ComponentId, ListenAddress};
use crate::connection::Settings;
use crate::extension::{ListenerLine, page_limits};
use crate::gateway::error::{BuildError, BuildProblem};
use crate::gateway::reload;
use crate::metrics::Metrics;
use crate::pipeline;
use crate::receiver;
use crate::tls::reload::{Fingerprint, Subject};
use crate::tls::seen::Seen;
use crate::tls::store::{Store, Watch};
use crate::tls::{ServerSnapshot, server};
use crate::worker::{EndpointPlan, Plan};

/// A loaded configuration: ready to bind.
pub(crate) struct Loaded {
    /// For the workers.
    pub(super) plan: Arc<Plan>,
    /// Where to listen, by number of the listener.
    pub(super) sites: Vec<Site>,
    /// What to say once.
    pub(crate) warnings: Vec<Warning>,
    /// Whom the listeners let in.
    pub(super) seen: Seen,
    /// The pages that are served over TLS.
    pub(super) pages: Vec<Page>,
}

/// A page about the gateway that is served over TLS.
pub(super) struct Page {
    /// The extension that shows it.
    pub(super) id: ComponentId,
    pub(super) acceptor: Acceptor,
    /// Its `tls` block, to be read again.
    pub(super) subject: Subject,
}

/// One listener to be bound.
pub(super) struct Site {
    pub(super) key_path: String,
    pub(super) listen: ListenAddress,
    pub(super) limits: ServerLimits,
    pub(super) security: &'static str,
    /// Its `tls` block, to be read again.
    pub(super) subject: Option<Subject>,
}

/// Something questionable that is no error.
#[derive(Clone, Debug)]
pub(crate) enum Warning {
    /// Of a certificate or key.
    Credentials(Problem),
    /// Of an exporter.
    Exporter(String),
}

impl Loaded {
    /// Reads every certificate, key and exporter's file. Blocks on the file system.
    ///
    /// # Errors
    /// Every problem found.
    pub(crate) fn load(config: Config, metrics: Metrics) -> Result<Self, BuildError> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let mut sites = Vec::new();
        let mut endpoints = Vec::new();
        let seen = Seen::default();
        let aside = Aside::new(config.service.side_threads.unwrap_or_else(cores).max(1));
        for part in parts(&config, &aside, &metrics) {
            match part.load(&metrics, &seen, &mut warnings) {
                Ok((site, endpoint)) => {
                    sites.push(site);
                    endpoints.push(endpoint);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let pages = pages(&config, &metrics, &mut warnings)
            .filter_map(|page| page.map_err(|problem| problems.push(problem)).ok())
            .collect();
        match pipeline::Shared::load(&config, &aside, &metrics) {
            Ok((shared, found)) if problems.is_empty() => {
                warnings.extend(found.into_iter().map(Warning::Exporter));
                let plan = Arc::new(Plan { config, shared, endpoints, metrics });
                return Ok(Self { plan, sites, warnings, seen, pages });
            }
            Ok(_) => {}
            Err(found) => problems.extend(found.into_iter().map(BuildProblem::from)),
        }
        Err(BuildError(problems))
    }
}

impl Site {
    /// For the status page.
    pub(super) fn line(&self, address: &str) -> ListenerLine {
        ListenerLine {
            key_path: self.key_path.clone(),
            address: address.to_owned(),
            security: self.security,
        }
    }
}

/// The number of processors: what runs threads that keep one busy makes so many by default.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One server block of one receiver.
struct Part<'a> {
    id: &'a ComponentId,
    server: &'a Server,
    receiver: receiver::Shared,
    keep_alive: bool,
}

/// Every server block of every receiver that a pipeline uses.
fn parts<'a>(config: &'a Config, aside: &Aside, metrics: &Metrics) -> Vec<Part<'a>> {
    let is_used = |id: &ComponentId| {
        config.service.pipelines.values().any(|pipeline| pipeline.receivers.contains(id))
    };
    let mut parts = Vec::new();
    for (id, receiver) in config.receivers.iter().filter(|(id, _)| is_used(id)) {
        if let Some(grpc) = &receiver.grpc {
            parts.push(Part {
                id,
                server: &grpc.server,
                receiver: receiver::Shared::grpc(id, grpc, aside, metrics),
                keep_alive: true,
            });
        }
        if let Some(http) = &receiver.http {
            parts.push(Part {
                id,
                server: &http.server,
                receiver: receiver::Shared::http(id, http, aside, metrics),
                keep_alive: http.keep_alives_enabled,
            });
        }
    }
    parts
}

impl Part<'_> {
    fn load(
        self,
        metrics: &Metrics,
        seen: &Seen,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Site, EndpointPlan), BuildProblem> {
        let (mut subject, mut watch, mut security) = (None, None, "plaintext");
        if let Some(tls) = &self.server.tls {
            let block = load_block(&self.server.key_path, tls, warnings)?;
            security = block.1.current().security();
            (subject, watch) = (Some(block.0), Some(block.1));
        }
        let limits = &self.server.limits;
        let site = Site {
            key_path: self.server.key_path.clone(),
            listen: self.server.listen.clone(),
            limits: limits.clone(),
            security,
            subject,
        };
        let endpoint = EndpointPlan {
            receiver_id: self.id.clone(),
            receiver: self.receiver,
            acceptor: Acceptor::noting(watch, limits, metrics.clone(), seen.clone()),
            settings: Settings {
                key_path: self.server.key_path.clone(),
                limits: limits.clone(),
                keep_alive: self.keep_alive,
            },
        };
        Ok((site, endpoint))
    }
}

/// Reads one `tls` block, to be watched from now on.
fn load_block(
    key_path: &str,
    tls: &ServerTls,
    warnings: &mut Vec<Warning>,
) -> Result<(Subject, Watch<ServerSnapshot>), BuildProblem> {
    let before = Fingerprint::of(&server::files(tls));
    let loaded = server::load(tls)?;
    warnings.extend(loaded.warnings.into_iter().map(Warning::Credentials));
    let (publisher, reader) = Store::new(loaded.snapshot);
    Ok((reload::listener(key_path, tls, before, publisher), reader))
}

/// Every page that is served over TLS.
fn pages(
    config: &Config,
    metrics: &Metrics,
    warnings: &mut Vec<Warning>,
) -> impl Iterator<Item = Result<Page, BuildProblem>> {
    config.service.extensions.iter().filter_map(|id| match config.extensions.get(id)? {
        Extension::HealthCheck(HealthCheck { key_path, tls: Some(tls), timeout, .. }) => {
            let limits = page_limits(*timeout);
            Some(load_block(key_path, tls, warnings).map(|(subject, watch)| Page {
                id: id.clone(),
                acceptor: Acceptor::new(Some(watch), &limits, metrics.clone()),
                subject,
            }))
        }
        _ => None,
    })
}
