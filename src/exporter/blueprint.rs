//! What the workers' copies of one exporter share: settings, credentials, instruments, outputs.
//!
//! Guarantees that what can be wrong about an exporter is found before the first worker starts.

use std::sync::Arc;

use crate::aside::Aside;
use crate::batch::Room;
use crate::config::sections::{self, ClientTls, GrpcExporter, HttpExporter};
use crate::config::types::{ComponentId, Upstream};
use crate::exporter::debug::Debug;
use crate::exporter::grpc::{GrpcClient, Template};
use crate::exporter::http::{self, HttpClient, Target};
use crate::exporter::{Exporter, Kind};
use crate::metrics::{ExporterMetrics, Metrics};
use crate::telemetry::OutputError;
use crate::tls::reload::Fingerprint;
use crate::tls::store::{Store, Watch};
use crate::tls::{ClientSnapshot, CredentialsError, client};

/// One exporter as all workers see it.
#[derive(Debug)]
pub(crate) struct Blueprint {
    id: ComponentId,
    endpoint: String,
    metrics: [ExporterMetrics; 4],
    plan: Plan,
}

/// What is particular to a type of exporter.
#[derive(Debug)]
enum Plan {
    Debug(Arc<Debug>),
    Grpc(Box<GrpcPlan>),
    Http(Box<HttpPlan>),
    Nop,
}

#[derive(Debug)]
struct GrpcPlan {
    config: GrpcExporter,
    template: Template,
    credentials: Option<Credentials>,
}

#[derive(Debug)]
struct HttpPlan {
    template: Arc<http::Template>,
    credentials: Option<Credentials>,
}

/// The `tls` block of an exporter, as it was read last.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// Such as `exporters.otlp_grpc.tls`.
    pub(crate) key_path: String,
    /// What its files held before they were read.
    pub(crate) before: Fingerprint,
    /// Where to read it again.
    pub(crate) tls: ClientTls,
    /// What the exporter speaks; see [`client::load`].
    pub(crate) alpn: &'static [&'static [u8]],
    /// Publishing here makes every worker open new connections and drain the old ones.
    pub(crate) store: Arc<Store<ClientSnapshot>>,
}

impl Credentials {
    fn load(
        id: &ComponentId,
        tls: &ClientTls,
        alpn: &'static [&'static [u8]],
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let before = Fingerprint::of(&client::files(tls));
        let loaded = client::load(tls, alpn)?;
        warnings.extend(loaded.warnings.iter().map(ToString::to_string));
        let (store, _) = Store::new(loaded.snapshot);
        let key_path = format!("exporters.{id}.tls");
        Ok(Self { key_path, before, tls: tls.clone(), alpn, store: Arc::new(store) })
    }

    fn watch(&self) -> Watch<ClientSnapshot> {
        self.store.watch()
    }
}

impl Blueprint {
    /// Reads files and opens outputs. Large batches are encoded in `aside`, and what becomes JSON
    /// holds bytes of `room`. Warnings are for the log.
    ///
    /// # Errors
    ///
    /// A file or setting is unusable.
    pub(crate) fn load(
        id: &ComponentId,
        config: &sections::Exporter,
        (aside, room): (&Aside, &Room),
        metrics: &Metrics,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let plan = match config {
            sections::Exporter::Grpc(config) => {
                return Self::grpc(id, config, aside, metrics, warnings);
            }
            sections::Exporter::Debug(config) => Plan::Debug(Arc::new(Debug::new(id, config)?)),
            sections::Exporter::Http(config) => {
                return Self::http(id, config, (aside, room), metrics, warnings);
            }
            sections::Exporter::Nop => Plan::Nop,
        };
        Ok(Self {
            id: id.clone(),
            endpoint: String::new(),
            metrics: std::array::from_fn(|_| metrics.exporter(id, "", 0, None)),
            plan,
        })
    }

    fn grpc(
        id: &ComponentId,
        config: &GrpcExporter,
        aside: &Aside,
        metrics: &Metrics,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let template = Template::new(config, aside, warnings)?;
        let credentials = match &config.tls {
            Some(tls) => Some(Credentials::load(id, tls, &[b"h2"], warnings)?),
            None => None,
        };
        let (address, port) = match &config.upstream {
            Upstream::Tcp { host, port } => (host.as_str(), *port),
            Upstream::Unix(_) => (config.endpoint.as_str(), 0),
        };
        let one = metrics.exporter(id, address, port, None);
        let plan = GrpcPlan { config: config.clone(), template, credentials };
        Ok(Self {
            id: id.clone(),
            endpoint: config.endpoint.clone(),
            metrics: std::array::from_fn(|_| one.clone()),
            plan: Plan::Grpc(Box::new(plan)),
        })
    }

    fn http(
        id: &ComponentId,
        config: &HttpExporter,
        (aside, room): (&Aside, &Room),
        metrics: &Metrics,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let mut urls = config.urls.iter().flatten();
        let credentials = if urls.any(|url| url.starts_with("https:")) {
            let alpn: &[&[u8]] =
                if config.force_attempt_http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
            Some(Credentials::load(id, &config.tls, alpn, warnings)?)
        } else {
            None
        };
        let watch = credentials.as_ref().map(Credentials::watch);
        let template = Arc::new(http::Template::new(config, aside, room, watch.as_ref())?);
        let counted = std::array::from_fn(|index| match template.target(index) {
            Some(Target { host, port, path, .. }) => metrics.exporter(id, host, *port, Some(path)),
            None => metrics.exporter(id, "", 0, None),
        });
        let endpoint = (0..4).find_map(|index| Some(template.target(index)?.shown.clone()));
        Ok(Self {
            id: id.clone(),
            endpoint: endpoint.unwrap_or_default(),
            metrics: counted,
            plan: Plan::Http(Box::new(HttpPlan { template, credentials })),
        })
    }

    /// What can be read again while the exporter runs.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match &self.plan {
            Plan::Grpc(plan) => plan.credentials.as_ref(),
            Plan::Http(plan) => plan.credentials.as_ref(),
            Plan::Debug(_) | Plan::Nop => None,
        }
    }

    /// A worker's own copy.
    pub(super) fn build(&self) -> Exporter {
        let kind = match &self.plan {
            Plan::Debug(debug) => Kind::Debug(Arc::clone(debug)),
            Plan::Grpc(plan) => Kind::Grpc(Box::new(GrpcClient::new(
                self.id.to_string(),
                &plan.config,
                plan.template.clone(),
                plan.credentials.as_ref().map(Credentials::watch),
            ))),
            Plan::Http(plan) => {
                let template = Arc::clone(&plan.template);
                Kind::Http(Box::new(HttpClient::new(self.id.to_string(), template)))
            }
            Plan::Nop => Kind::Nop,
        };
        Exporter {
            id: self.id.clone(),
            endpoint: self.endpoint.clone(),
            metrics: self.metrics.clone(),
            kind,
        }
    }
}

/// Why an exporter cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// An output of `debug` could not be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Certificates, keys or CAs.
    #[error("{0}")]
    Credentials(#[from] CredentialsError),
    /// A value that cannot be sent.
    #[error("{key_path}: {message}")]
    Setting {
        /// The key of the value.
        key_path: String,
        /// What is wrong with it.
        message: String,
    },
}
