//! The gateway's own log: `service.telemetry.logs` (contract 9.2) as a subscriber of `tracing`.
//!
//! Guarantees that one record is one line unless a field is a [`BLOCK_FIELD`], that nothing a peer
//! sent can forge a record or steer a terminal, and that sampling keeps a bounded state.
//! Knows nothing of what is logged.

mod format;
mod layer;
mod output;
mod quota;
mod recent;
mod repeats;
mod sampling;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::sections::Logs;
use crate::metrics::Metrics;
use crate::telemetry::format::Formatter;
use crate::telemetry::layer::LogLayer;
use crate::telemetry::output::Outputs;
use crate::telemetry::sampling::Sampler;

pub(crate) use output::OutputError;
pub(crate) use quota::Quota;
pub(crate) use recent::Recent;
pub(crate) use repeats::{Repeats, Verdict};

/// A field of this name holds text for people, of several lines. Console encoding prints it below
/// the record, every line indented, so that no line of it can pass for a record of its own.
pub(crate) const BLOCK_FIELD: &str = "text_block";

/// Records of this target (and below it) are never sampled: the debug exporter has a sampling of
/// its own, and people watch it to see that data flows.
pub(crate) const UNSAMPLED_TARGET: &str = "portcullis::exporter::debug";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// An output could not be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Someone else installed a subscriber before.
    #[error("a log subscriber is already installed in this process")]
    AlreadyInstalled,
}

/// What the rest of the process may ask the log for; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    sampler: Arc<Sampler>,
    recent: Recent,
    outputs: Outputs,
}

impl Telemetry {
    /// Opens the outputs and makes them the log of the whole process.
    ///
    /// # Errors
    ///
    /// When an output cannot be opened or a log is already installed.
    pub(crate) fn install(logs: &Logs) -> Result<Self, InstallError> {
        const KEY: &str = "service.telemetry.logs.output_paths";
        let (subscriber, telemetry) =
            Self::subscriber(logs, Outputs::open(KEY, &logs.output_paths)?);
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|_already| InstallError::AlreadyInstalled)?;
        Ok(telemetry)
    }

    /// A log beside that of the process, for an exporter that prints to outputs of its own, which
    /// the config key `key` names.
    ///
    /// # Errors
    ///
    /// When an output cannot be opened.
    pub(crate) fn separate(key: &str, logs: &Logs) -> Result<(Dispatch, Self), OutputError> {
        let outputs = Outputs::open(key, &logs.output_paths)?;
        let (subscriber, telemetry) = Self::subscriber(logs, outputs);
        Ok((Dispatch::new(subscriber), telemetry))
    }

    /// Counts records left out by sampling in these metrics from now on.
    pub(crate) fn report_to(&self, metrics: &Metrics) {
        self.sampler.report_to(metrics.clone());
    }

    /// Waits until what was logged is written, but not for a reader who does not read.
    pub(crate) fn flush(&self) {
        self.outputs.flush();
    }

    /// The latest warnings and errors, for the status page.
    pub(crate) fn recent(&self) -> Recent {
        self.recent.clone()
    }

    fn subscriber(logs: &Logs, outputs: Outputs) -> (impl tracing::Subscriber + use<>, Self) {
        let sampler = Arc::new(Sampler::new(logs.sampling.clone()));
        let recent = Recent::default();
        let layer = LogLayer::new(
            logs.level,
            Arc::clone(&sampler),
            Formatter::new(logs.encoding, &logs.initial_fields),
            outputs.clone(),
            recent.clone(),
        );
        (tracing_subscriber::registry().with(layer), Self { sampler, recent, outputs })
    }
}

#[cfg(test)]
mod tests;
