//! Everything of a configuration that is read from files, read: what can be known to be wrong
//! before a port is bound.

use std::sync::Arc;

use crate::acceptor::Acceptor;
use crate::aside::Aside;
use crate::config::Config;
use crate::config::Problem;
use crate::config::sections::{Server, ServerLimits};
use crate::config::types::{ComponentId, ListenAddress};
use crate::connection::Settings;
use crate::extension::ListenerLine;
use crate::gateway::error::{BuildError, BuildProblem};
use crate::gateway::reload;
use crate::metrics::Metrics;
use crate::pipeline;
use crate::receiver;
use crate::tls::reload::{Fingerprint, Subject};
use crate::tls::seen::Seen;
use crate::tls::server;
use crate::tls::store::Store;
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
        match pipeline::Shared::load(&config, &aside, &metrics) {
            Ok((shared, found)) if problems.is_empty() => {
                warnings.extend(found.into_iter().map(Warning::Exporter));
                let plan = Arc::new(Plan { config, shared, endpoints, metrics });
                return Ok(Self { plan, sites, warnings, seen });
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
        let mut subject = None;
        let mut watch = None;
        let mut security = "plaintext";
        if let Some(tls) = &self.server.tls {
            let before = Fingerprint::of(&server::files(tls));
            let loaded = server::load(tls)?;
            warnings.extend(loaded.warnings.into_iter().map(Warning::Credentials));
            security = loaded.snapshot.security();
            let (publisher, reader) = Store::new(loaded.snapshot);
            subject = Some(reload::listener(&self.server.key_path, tls, before, publisher));
            watch = Some(reader);
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
