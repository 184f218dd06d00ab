//! What the workers' copies of one exporter share: settings, credentials, instruments, outputs.
//!
//! Guarantees that what can be wrong about an exporter is found before the first worker starts.

use std::sync::Arc;

use crate::config::sections;
use crate::config::types::ComponentId;
use crate::exporter::debug::Debug;
use crate::exporter::{Exporter, Kind};
use crate::metrics::{ExporterMetrics, Metrics};
use crate::telemetry::OutputError;

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
    Nop,
}

impl Blueprint {
    /// Reads files and opens outputs. Warnings are for the log.
    ///
    /// # Errors
    ///
    /// A file or setting is unusable.
    pub(crate) fn load(
        id: &ComponentId,
        config: &sections::Exporter,
        metrics: &Metrics,
        _warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let plan = match config {
            sections::Exporter::Debug(config) => Plan::Debug(Arc::new(Debug::new(id, config)?)),
            sections::Exporter::Grpc(_) | sections::Exporter::Http(_) | sections::Exporter::Nop => {
                Plan::Nop
            }
        };
        Ok(Self {
            id: id.clone(),
            endpoint: String::new(),
            metrics: std::array::from_fn(|_| metrics.exporter(id, "", 0, None)),
            plan,
        })
    }

    /// A worker's own copy.
    pub(super) fn build(&self) -> Exporter {
        let kind = match &self.plan {
            Plan::Debug(debug) => Kind::Debug(Arc::clone(debug)),
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
}
