//! `debug`: shows what arrives (contract 8.3).
//!
//! Guarantees that a batch never fails here, that nothing a peer sent can steer a terminal or pass
//! for a line of ours, and that work and text are bounded whatever a batch holds.

mod counts;
mod detailed;
mod metrics;
mod normal;
mod profiles;
mod text;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::time::Instant;
use tracing::{Dispatch, dispatcher, info};

use crate::batch::Batch;
use crate::config::sections::{DebugExporter, DebugVerbosity, Logs};
use crate::config::types::ComponentId;
use crate::exporter::debug::counts::Counts;
use crate::exporter::debug::text::Text;
use crate::signal::Signal;
use crate::telemetry::{BLOCK_FIELD, OutputError, Telemetry, UNSAMPLED_TARGET};

/// A decoded request takes up to a hundred times the memory of its bytes.
const MOST_BYTES_SHOWN: usize = 4 << 20;

/// The same, for items of a few bytes.
const MOST_ITEMS_SHOWN: u64 = 100_000;

/// One `debug` exporter; all workers share it, so that sampling counts every batch.
#[derive(Debug)]
pub(super) struct Debug {
    id: ComponentId,
    verbosity: DebugVerbosity,
    initial: u64,
    thereafter: u64,
    /// Outputs of its own, when it does not use the log of the process.
    outputs: Option<(Dispatch, Telemetry)>,
    /// By [`Signal::index`].
    seen: [Mutex<Option<Seen>>; 4],
}

/// What was seen of a signal in the current second.
#[derive(Debug)]
struct Seen {
    since: Instant,
    batches: u64,
}

impl Debug {
    /// Opens the outputs.
    pub(super) fn new(id: &ComponentId, config: &DebugExporter) -> Result<Self, OutputError> {
        let outputs = if config.use_internal_logger {
            None
        } else {
            let output_paths = config.output_paths.clone();
            let key = format!("exporters.{id}.output_paths");
            Some(Telemetry::separate(&key, &Logs { output_paths, ..Logs::default() })?)
        };
        Ok(Self {
            id: id.clone(),
            verbosity: config.verbosity,
            initial: config.sampling_initial,
            thereafter: config.sampling_thereafter,
            outputs,
            seen: Default::default(),
        })
    }

    /// Waits until everything that was shown can be read.
    #[cfg(test)]
    fn flush(&self) {
        self.outputs.iter().for_each(|(_, telemetry)| telemetry.flush());
    }

    /// Shows a batch, unless sampling leaves it out.
    pub(super) fn show(&self, batch: &Batch) {
        if !self.is_sampled(batch.signal) {
            return;
        }
        match &self.outputs {
            Some((outputs, _)) => dispatcher::with_default(outputs, || self.print(batch)),
            None => self.print(batch),
        }
    }

    /// The first batches of each second, then one of so many.
    fn is_sampled(&self, signal: Signal) -> bool {
        let Some(seen) = self.seen.get(signal.index()) else { return true };
        // A thread that panicked here left a count that is still right.
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let seen = seen.get_or_insert(Seen { since: now, batches: 0 });
        if now.duration_since(seen.since) >= Duration::from_secs(1) {
            *seen = Seen { since: now, batches: 0 };
        }
        seen.batches += 1;
        match seen.batches.checked_sub(self.initial) {
            None | Some(0) => true,
            Some(beyond) => self.thereafter > 0 && beyond.is_multiple_of(self.thereafter),
        }
    }

    fn print(&self, batch: &Batch) {
        let text = self.text(batch);
        let block = text.as_deref();
        let Counts { resources, metrics } = Counts::of(batch);
        let (id, items) = (&self.id, batch.items);
        match batch.signal {
            Signal::Traces => info!(
                target: UNSAMPLED_TARGET,
                exporter = %id, "resource spans" = resources, spans = items,
                { BLOCK_FIELD } = block, "Traces"
            ),
            Signal::Metrics => info!(
                target: UNSAMPLED_TARGET,
                exporter = %id, "resource metrics" = resources, metrics, "data points" = items,
                { BLOCK_FIELD } = block, "Metrics"
            ),
            Signal::Logs => info!(
                target: UNSAMPLED_TARGET,
                exporter = %id, "resource logs" = resources, "log records" = items,
                { BLOCK_FIELD } = block, "Logs"
            ),
            Signal::Profiles => info!(
                target: UNSAMPLED_TARGET,
                exporter = %id, "resource profiles" = resources, "sample records" = items,
                { BLOCK_FIELD } = block, "Profiles"
            ),
        }
    }

    /// The lines below the counts, if the verbosity asks for any.
    fn text(&self, batch: &Batch) -> Option<String> {
        let detailed = match self.verbosity {
            DebugVerbosity::Basic => return None,
            DebugVerbosity::Normal => false,
            DebugVerbosity::Detailed => true,
        };
        let size = batch.decoded.len();
        if size > MOST_BYTES_SHOWN || batch.items > MOST_ITEMS_SHOWN {
            return Some(format!(
                "not shown: {size} bytes and {} items; the debug exporter shows at most \
                 {MOST_BYTES_SHOWN} bytes and {MOST_ITEMS_SHOWN} items of a request",
                batch.items
            ));
        }
        let mut text = Text::default();
        // A checked request decodes.
        let bytes = batch.decoded.to_bytes();
        match batch.signal {
            Signal::Traces => {
                let request = ExportTraceServiceRequest::decode(bytes).ok()?;
                if detailed {
                    detailed::traces(&request, &mut text);
                } else {
                    normal::traces(&request, &mut text);
                }
            }
            Signal::Metrics => {
                let request = ExportMetricsServiceRequest::decode(bytes).ok()?;
                if detailed {
                    metrics::detailed(&request, &mut text);
                } else {
                    normal::metrics(&request, &mut text);
                }
            }
            Signal::Logs => {
                let request = ExportLogsServiceRequest::decode(bytes).ok()?;
                if detailed {
                    detailed::logs(&request, &mut text);
                } else {
                    normal::logs(&request, &mut text);
                }
            }
            Signal::Profiles => {
                let request = ExportProfilesServiceRequest::decode(bytes).ok()?;
                if detailed {
                    profiles::detailed(&request, &mut text);
                } else {
                    profiles::normal(&request, &mut text);
                }
            }
        }
        Some(text.finish())
    }
}
