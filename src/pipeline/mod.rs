//! From a receiver to every exporter of its pipelines, and the answers back.
//!
//! Guarantees that a sender gets an OK only when every exporter of every pipeline accepted the
//! batch, and that no exporter waits for another. Knows nothing of sockets and protocols.

mod fanout;
mod shared;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tonic::Code;

use crate::aside::{Aside, Undone};
use crate::batch::Batch;
use crate::config::Config;
use crate::config::types::ComponentId;
use crate::exporter::Exporter;
use crate::metrics::Metrics;
use crate::outcome::{Failure, Outcome, Side};
use crate::processor::Processors;
use crate::signal::Signal;

pub(crate) use shared::{BuildError, Shared};

/// What a receiver hands its batches to.
pub(crate) trait Consumer: Clone + Send + Sync + 'static {
    /// Whether batches of this signal are wanted at all; a receiver answers `UNIMPLEMENTED` or
    /// 404 otherwise.
    fn serves(&self, signal: Signal) -> bool;

    /// Takes a batch and answers what became of it. Dropping the future gives the batch up:
    /// exporters cancel what they have in flight.
    fn consume(&self, batch: Batch) -> impl Future<Output = Outcome> + Send;
}

/// The pipelines of one worker thread, with upstream connections of their own.
#[derive(Debug)]
pub(crate) struct Pipelines {
    entries: BTreeMap<ComponentId, Entry>,
    exporters: Vec<Arc<Exporter>>,
}

impl Pipelines {
    /// Makes the pipelines of one worker; connects nothing yet.
    ///
    /// # Errors
    ///
    /// A pipeline names a component that `shared` does not hold, which a checked configuration
    /// never does.
    pub(crate) fn build(config: &Config, shared: &Shared) -> Result<Self, BuildError> {
        let mut exporters = BTreeMap::new();
        let mut routes: BTreeMap<ComponentId, [Vec<Arc<Pipeline>>; 4]> = BTreeMap::new();
        for (id, pipeline) in &config.service.pipelines {
            let mut own = Vec::with_capacity(pipeline.exporters.len());
            for exporter_id in &pipeline.exporters {
                let exporter = match exporters.get(exporter_id) {
                    Some(known) => Arc::clone(known),
                    None => {
                        let fresh = Arc::new(shared.exporter(exporter_id)?);
                        exporters.insert(exporter_id.clone(), Arc::clone(&fresh));
                        fresh
                    }
                };
                own.push(exporter);
            }
            let (processors, aside) = (shared.processors(id)?, shared.aside().clone());
            let built = Arc::new(Pipeline { processors, aside, exporters: own });
            for receiver in &pipeline.receivers {
                let signals = routes.entry(receiver.clone()).or_default();
                if let Some(route) = signals.get_mut(id.signal.index()) {
                    route.push(Arc::clone(&built));
                }
            }
        }
        let entries = routes
            .into_iter()
            .map(|(id, routes)| {
                (id, Entry { routes: Arc::new(routes), metrics: shared.metrics().clone() })
            })
            .collect();
        Ok(Self { entries, exporters: exporters.into_values().collect() })
    }

    /// Begins to connect every exporter to its upstream, so that the first batch need not wait.
    /// Never fails because an upstream is down. Must be called within a tokio runtime.
    pub(crate) fn connect(&self) {
        for exporter in &self.exporters {
            exporter.connect();
        }
    }

    /// Where the receiver with this id hands in its batches. A receiver that no pipeline names
    /// gets an entry that serves nothing.
    pub(crate) fn entry(&self, receiver: &ComponentId) -> Entry {
        self.entries.get(receiver).cloned().unwrap_or_default()
    }
}

/// The way in for one receiver; clones lead to the same pipelines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// By [`Signal::index`].
    routes: Arc<[Vec<Arc<Pipeline>>; 4]>,
    metrics: Metrics,
}

impl Entry {
    fn routes(&self, signal: Signal) -> &[Arc<Pipeline>] {
        self.routes.get(signal.index()).map_or(&[], Vec::as_slice)
    }
}

impl Consumer for Entry {
    fn serves(&self, signal: Signal) -> bool {
        !self.routes(signal).is_empty()
    }

    async fn consume(&self, batch: Batch) -> Outcome {
        match self.routes(batch.signal) {
            [] => Err(no_pipeline(batch.signal)),
            [only] => only.consume(batch, &self.metrics).await,
            many => {
                let items = batch.items;
                let answers = many.iter().map(|p| p.consume(batch.clone(), &self.metrics));
                fanout::join(fanout::all(answers).await, items)
            }
        }
    }
}

/// One pipeline: its processors, then all of its exporters at the same time.
#[derive(Debug)]
struct Pipeline {
    processors: Arc<Processors>,
    /// Where large batches are edited.
    aside: Aside,
    exporters: Vec<Arc<Exporter>>,
}

impl Pipeline {
    async fn consume(&self, batch: Batch, metrics: &Metrics) -> Outcome {
        let edited = if batch.decoded.len() > LONG && self.processors.may_edit(batch.signal) {
            Box::pin(self.edit_aside(batch)).await
        } else {
            self.processors.apply(batch)
        };
        let batch = match edited {
            Ok(batch) => batch,
            Err(failure) => {
                metrics.refusal(failure.reason);
                return Err(failure);
            }
        };
        match self.exporters.as_slice() {
            [only] => only.export(&batch).await,
            many => {
                let answers = many.iter().map(|exporter| exporter.export(&batch));
                fanout::join(fanout::all(answers).await, batch.items)
            }
        }
    }
}

impl Pipeline {
    /// Edits beside this thread, as its other connections would wait for it. Dropping the future
    /// gives the edit up only if it has not begun.
    async fn edit_aside(&self, batch: Batch) -> Result<Batch, Failure> {
        let processors = Arc::clone(&self.processors);
        let edited = self.aside.run(batch.deadline, move || processors.apply(batch)).await;
        edited.unwrap_or_else(|undone| Err(not_edited(undone)))
    }
}

/// A worker is held up for a few milliseconds by editing so much.
const LONG: usize = 512 << 10;

fn not_edited(undone: Undone) -> Failure {
    let (code, reason, message) = match undone {
        Undone::Late => (
            Code::DeadlineExceeded,
            "edit_deadline",
            "the gateway has too much to do to be done with the attributes of this request before \
             its deadline: send smaller batches, or later; its operator may raise \
             service.side_threads",
        ),
        Undone::Panicked => (
            Code::Internal,
            "edit_panicked",
            "the gateway broke down while it set the attributes of this request: please report it",
        ),
    };
    Failure::new(code, Side::Internal, reason, message)
}

/// What a receiver is told that hands in a signal it was told not to.
fn no_pipeline(signal: Signal) -> Failure {
    Failure::new(
        Code::Unimplemented,
        Side::Internal,
        "no_pipeline",
        format!(
            "no pipeline takes {signal} from this receiver: add one to service.pipelines or stop \
             sending {signal} here"
        ),
    )
}

#[cfg(test)]
mod tests;
