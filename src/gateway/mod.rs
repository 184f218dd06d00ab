//! The whole gateway: built from a configuration, run, drained.
//!
//! Guarantees that every port is bound before it is called ready, that a part that must not end
//! takes the process with it, and that a drain answers what was begun, within its deadline.

mod error;
mod load;
mod reload;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::acceptor::Acceptor;
use crate::config::Config;
use crate::extension::{Extensions, ListenerLine, Readiness, Surface};
use crate::listener::{Descriptors, Listener};
use crate::metrics::Metrics;
use crate::shutdown::{Drain, Request};
use crate::telemetry::Recent;
use crate::tls::reload::Reloader;
use crate::worker::{Ending, Plan, Workers};

pub use error::{BuildError, RunError};
pub(crate) use error::{BuildProblem, RunProblem};
pub(crate) use load::{Loaded, Warning};

/// A gateway with its ports bound.
pub struct Gateway {
    plan: Arc<Plan>,
    listeners: Vec<Listener>,
    lines: Vec<ListenerLine>,
    extensions: Extensions,
    /// Who shakes hands for those extensions that are served over TLS.
    pages: Vec<Acceptor>,
    readiness: Readiness,
    /// Watches every `tls` block once the gateway runs.
    reloader: Reloader,
}

/// How a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Requests that had begun and were not answered when the time was up.
    pub unanswered: usize,
}

impl Gateway {
    /// Reads files, binds ports. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Everything that is wrong, found before anything is served.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let metrics = Metrics::new(&config.service.telemetry.resource);
        let loaded = Loaded::load(config, metrics)?;
        Self::bind(loaded, Recent::default()).await
    }

    /// Binds the ports of a loaded configuration. `recent` are records for the status page.
    ///
    /// # Errors
    /// Every port that cannot be bound.
    pub(crate) async fn bind(loaded: Loaded, recent: Recent) -> Result<Self, BuildError> {
        let Loaded { plan, sites, warnings, seen, pages } = loaded;
        warnings.iter().for_each(Warning::log);
        let mut problems = Vec::new();
        let (mut listeners, mut lines, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
        let descriptors = Descriptors::of_this_process();
        for site in sites {
            let metrics = plan.metrics.clone();
            match Listener::bind(&site.key_path, &site.listen, &site.limits, metrics).await {
                Ok(listener) => {
                    lines.push(site.line(listener.address()));
                    listeners.push(listener.sharing(descriptors.clone()));
                    subjects.extend(site.subject);
                }
                Err(error) => problems.push(error.into()),
            }
        }
        if !problems.is_empty() {
            return Err(BuildError(problems));
        }
        let mut secured = BTreeMap::new();
        for page in pages {
            subjects.push(page.subject);
            secured.insert(page.id, page.acceptor);
        }
        let pages = secured.values().cloned().collect();
        let exporters = plan.shared.credentials();
        let reloader = reload::reloader(subjects, exporters, &plan.config, plan.metrics.clone())
            .telling_of(seen.clone());
        let readiness = Readiness::starting();
        let surface = Surface {
            metrics: plan.metrics.clone(),
            readiness: readiness.clone(),
            recent,
            listeners: lines.clone(),
            reloads: reloader.status(),
            seen,
            secured,
        };
        let extensions = Extensions::bind(&plan.config, surface).await?;
        Ok(Self { plan, listeners, lines, extensions, pages, readiness, reloader })
    }

    /// The bound TCP address of a server block such as `receivers.otlp.protocols.grpc`, or of an
    /// extension such as `extensions.health_check`.
    pub fn address(&self, key_path: &str) -> Option<SocketAddr> {
        let own = self.lines.iter().find(|line| line.key_path == key_path);
        own.and_then(|line| line.address.parse().ok()).or_else(|| {
            let all = self.extensions.addresses();
            all.into_iter().find(|(key, _)| key == key_path).map(|(_, address)| address)
        })
    }

    /// Key, address and security of every listener.
    pub(crate) fn lines(&self) -> &[ListenerLine] {
        &self.lines
    }

    /// Key and bound address of every page: health, metrics, status.
    pub(crate) fn pages(&self) -> Vec<(String, SocketAddr)> {
        self.extensions.addresses()
    }

    /// The numbers of this gateway in Prometheus' text format.
    pub fn metrics(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let metrics = self.plan.metrics.clone();
        move || metrics.render()
    }

    /// Serves until asked to drain, then answers what was begun within `shutdown_timeout`. A
    /// second [`Request::Drain`] ends at once; a closed channel asks for nothing. Dropping the
    /// future cuts everything.
    ///
    /// # Errors
    /// A part that must not end has ended.
    pub async fn run(self, mut requests: mpsc::Receiver<Request>) -> Result<Ended, RunError> {
        let (drain, draining) = Drain::new();
        let count = worker_count(&self.plan.config);
        let (workers, endings) =
            Workers::start(count, &self.plan, &draining).await.map_err(RunProblem::from)?;
        let mut crew = Crew::watch(endings);
        let workers = Arc::new(workers);
        let mut loops = JoinSet::new();
        for (number, listener) in self.listeners.into_iter().enumerate() {
            let (workers, metrics) = (Arc::clone(&workers), self.plan.metrics.clone());
            let hand_over = move |accepted| workers.assign(number, accepted, &metrics);
            loops.spawn(listener.run(draining.clone(), hand_over));
        }
        let force = self.reloader.force();
        let mut reloading = reload::start(self.reloader, &self.plan, &self.pages);
        let (stop_extensions, stopped) = oneshot::channel::<()>();
        let mut surface = JoinSet::new();
        surface.spawn(self.extensions.run(async {
            let _told_or_dropped = stopped.await;
        }));
        self.readiness.set_ready();
        info!("Everything is ready. Begin running and processing data.");
        tell_init_system(NotifyState::Ready);

        // Every branch is cancel-safe.
        let failure = tokio::select! {
            () = asked_to_drain(&mut requests, &force) => None,
            _ = crew.joined.join_next() => Some(RunProblem::Worker),
            _ = loops.join_next() => Some(RunProblem::Listener),
            _ = reloading.join_next() => Some(RunProblem::Reloader),
        };
        self.readiness.set_draining();
        tell_init_system(NotifyState::Stopping);
        let timeout = self.plan.config.service.shutdown_timeout;
        drain.begin(Instant::now() + timeout);
        info!(timeout = ?timeout, "draining: no new requests; those under way are finished");
        while loops.join_next().await.is_some() {}
        let unanswered = drained(&mut crew, &mut requests, &drain).await;
        drop(stop_extensions);
        while surface.join_next().await.is_some() {}
        reloading.shutdown().await;
        match failure {
            Some(problem) => Err(problem.into()),
            None => Ok(conclude(unanswered)),
        }
    }
}

/// Waits for the workers; how many requests they left. A second request to end is obeyed at once.
async fn drained(crew: &mut Crew, requests: &mut mpsc::Receiver<Request>, drain: &Drain) -> usize {
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            unanswered = crew.finish() => return unanswered,
            request = next(requests) => if request == Request::Drain {
                warn!("asked again to end: ending at once");
                drain.begin(Instant::now());
            }
        }
    }
}

fn conclude(unanswered: usize) -> Ended {
    if unanswered == 0 {
        info!("shutdown complete: everything that was begun has been answered");
    } else {
        error!(
            unanswered,
            reason = "left_behind",
            help = "senders will send these again; raise service.shutdown_timeout if it was too \
                    short for the upstream",
            "shutdown complete; requests were left without an answer"
        );
    }
    Ended { unanswered }
}

/// The workers' threads, watched.
struct Crew {
    joined: JoinSet<Option<usize>>,
    unanswered: usize,
}

impl Crew {
    fn watch(endings: Vec<Ending>) -> Self {
        let mut joined = JoinSet::new();
        for mut ending in endings {
            joined.spawn(async move {
                let unanswered = (&mut ending.unanswered).await.ok();
                ending.join();
                unanswered
            });
        }
        Self { joined, unanswered: 0 }
    }

    /// Waits for all and sums up what they left. Cancel-safe.
    async fn finish(&mut self) -> usize {
        while let Some(ended) = self.joined.join_next().await {
            self.unanswered += ended.ok().flatten().unwrap_or_default();
        }
        self.unanswered
    }
}

/// Lets the reloader look whenever it is asked for, until a drain is.
async fn asked_to_drain(requests: &mut mpsc::Receiver<Request>, reload: &Notify) {
    while next(requests).await == Request::Reload {
        reload.notify_one();
    }
}

/// The next request; never, when nobody is left to ask.
async fn next(requests: &mut mpsc::Receiver<Request>) -> Request {
    match requests.recv().await {
        Some(request) => request,
        None => std::future::pending().await,
    }
}

fn worker_count(config: &Config) -> usize {
    config.service.workers.unwrap_or_else(load::cores).max(1)
}

fn tell_init_system(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        debug!(%error, "cannot tell the init system");
    }
}

impl Warning {
    /// Writes it to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Credentials(problem) => warn!(
                key = %problem.key_path,
                file = problem.span.file.as_deref(),
                reason = problem.reason,
                help = problem.help.as_deref(),
                "{}", problem.message
            ),
            Self::Exporter(text) => warn!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests;
