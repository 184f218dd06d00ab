//! What all worker threads share: loaded credentials, processors, instruments.
//!
//! Guarantees that every file a component needs was read before the first worker starts, and that
//! all problems are reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::aside::Aside;
use crate::batch::Room;
use crate::config::Config;
use crate::config::sections::PipelineId;
use crate::config::types::ComponentId;
use crate::exporter::{Blueprint, Credentials, Exporter, LoadError};
use crate::metrics::Metrics;
use crate::processor::{ProcessorError, Processors};

/// Everything that is made once a process and used by each worker.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    metrics: Metrics,
    aside: Aside,
    blueprints: Arc<BTreeMap<ComponentId, Blueprint>>,
    processors: Arc<BTreeMap<PipelineId, Arc<Processors>>>,
}

impl Shared {
    /// Reads credentials and opens outputs of every exporter that a pipeline uses. Warnings are
    /// for the log.
    ///
    /// # Errors
    ///
    /// Every problem found, not only the first.
    pub(crate) fn load(
        config: &Config,
        aside: &Aside,
        metrics: &Metrics,
    ) -> Result<(Self, Vec<String>), Vec<BuildError>> {
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        let mut blueprints = BTreeMap::new();
        let mut processors = BTreeMap::new();
        let room = Room::new(config.service.max_edited_bytes);
        for (id, pipeline) in &config.service.pipelines {
            let configured: Vec<_> =
                pipeline.processors.iter().filter_map(|id| config.processors.get(id)).collect();
            match Processors::build(&configured, &room) {
                Ok(built) => {
                    processors.insert(id.clone(), Arc::new(built));
                }
                Err(source) => {
                    errors.push(BuildError::Processors { pipeline: id.clone(), source });
                }
            }
        }
        let used: BTreeSet<_> =
            config.service.pipelines.values().flat_map(|p| &p.exporters).collect();
        for (id, exporter) in &config.exporters {
            if !used.contains(id) {
                continue;
            }
            match Blueprint::load(id, exporter, (aside, &room), metrics, &mut warnings) {
                Ok(blueprint) => {
                    blueprints.insert(id.clone(), blueprint);
                }
                Err(source) => errors.push(BuildError::Exporter { id: id.clone(), source }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let shared = Self {
            metrics: metrics.clone(),
            aside: aside.clone(),
            blueprints: Arc::new(blueprints),
            processors: Arc::new(processors),
        };
        Ok((shared, warnings))
    }

    /// The `tls` blocks of the exporters, for reloading.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        self.blueprints.values().filter_map(Blueprint::credentials)
    }

    /// The instruments of the gateway.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where large batches are edited and encoded.
    pub(super) fn aside(&self) -> &Aside {
        &self.aside
    }

    /// A worker's own copy of an exporter.
    pub(super) fn exporter(&self, id: &ComponentId) -> Result<Exporter, BuildError> {
        self.blueprints
            .get(id)
            .map(Exporter::new)
            .ok_or_else(|| BuildError::Unknown { name: id.to_string() })
    }

    /// The processors of a pipeline.
    pub(super) fn processors(&self, id: &PipelineId) -> Result<Arc<Processors>, BuildError> {
        self.processors
            .get(id)
            .map(Arc::clone)
            .ok_or_else(|| BuildError::Unknown { name: id.to_string() })
    }
}

/// Why a pipeline cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// An exporter's files or settings are unusable.
    #[error("exporter {id} cannot be used")]
    Exporter {
        /// The exporter.
        id: ComponentId,
        /// Why.
        source: LoadError,
    },
    /// A processor's settings are unusable.
    #[error("the processors of pipeline {pipeline} cannot be used")]
    Processors {
        /// The pipeline.
        pipeline: PipelineId,
        /// Why.
        source: ProcessorError,
    },
    /// A component that was not loaded; a checked configuration never has one.
    #[error("{name} is used in service.pipelines but was not loaded")]
    Unknown {
        /// The component or pipeline.
        name: String,
    },
}
