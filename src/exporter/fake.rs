//! An exporter whose answers a test chooses.

use std::sync::{Arc, Mutex};

use crate::batch::Batch;
use crate::config::types::ComponentId;
use crate::exporter::{Exporter, Kind};
use crate::metrics::Metrics;
use crate::outcome::Outcome;

/// Answers with what it was made with, and remembers what it was given.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    answer: Outcome,
    seen: Arc<Mutex<Vec<Batch>>>,
}

impl Fake {
    pub(crate) fn new(answer: Outcome) -> Self {
        Self { answer, seen: Arc::default() }
    }

    pub(crate) fn seen(&self) -> Vec<Batch> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn exporter(&self, name: &str) -> Exporter {
        let id = ComponentId { kind: "fake".to_owned(), name: Some(name.to_owned()) };
        let metrics = Metrics::default();
        Exporter {
            endpoint: String::new(),
            metrics: std::array::from_fn(|_| metrics.exporter(&id, "fake", 1, None)),
            id,
            kind: Kind::Fake(self.clone()),
        }
    }

    pub(super) async fn export(&self, batch: &Batch) -> Outcome {
        // Half of them answer at once, half after others had a turn.
        if self.seen.lock().unwrap().len() % 2 == 1 {
            tokio::task::yield_now().await;
        }
        self.seen.lock().unwrap().push(batch.clone());
        self.answer.clone()
    }
}
