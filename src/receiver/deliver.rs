//! A checked request to the pipeline, and its outcome to the counters.
//!
//! Guarantees that each item that came in is counted once: accepted, refused, or failed when the
//! sender went away before the answer.

use tokio::time::{Instant, timeout_at};

use super::body::Taken;
use super::refusal;
use super::{Peer, Receiver};
use crate::batch::Batch;
use crate::metrics::ReceiverMetrics;
use crate::outcome::{Accepted, Outcome};
use crate::pipeline::Consumer;
use crate::signal::Signal;

/// Hands a request to the pipeline. One without items is a success that reaches nobody (OTLP G3).
pub(super) async fn deliver<C: Consumer>(
    receiver: &Receiver<C>,
    metrics: &ReceiverMetrics,
    peer: &Peer,
    taken: Taken,
    deadline: Instant,
) -> Outcome {
    let Taken { signal, items, decoded, encoded, unknown, reservation } = taken;
    if items == 0 {
        if let Some(name) = unknown {
            receiver.settings().found_nothing(peer, signal, &name);
        }
        return Ok(Accepted::default());
    }
    let identity = peer.identity.clone();
    let batch = Batch { signal, items, decoded, encoded, identity, deadline };
    let count = Count { metrics, signal, items, settled: false };
    let answer = timeout_at(deadline, receiver.consumer.consume(batch)).await;
    let outcome =
        answer.unwrap_or_else(|_elapsed| Err(receiver.settings().refused(peer, refusal::late())));
    count.settle(&outcome);
    drop(reservation);
    outcome
}

/// Items whose fate is not known yet. Dropped without an outcome, they count as failed.
struct Count<'a> {
    metrics: &'a ReceiverMetrics,
    signal: Signal,
    items: u64,
    settled: bool,
}

impl Count<'_> {
    fn settle(mut self, outcome: &Outcome) {
        self.settled = true;
        match outcome {
            Ok(Accepted { partial_success: None }) => {
                self.metrics.accepted(self.signal, self.items);
            }
            Ok(Accepted { partial_success: Some(partial) }) => {
                // Backends count profiles where we count samples, so a count may not fit.
                let rejected = u64::try_from(partial.rejected).unwrap_or(0).min(self.items);
                self.metrics.accepted(self.signal, self.items - rejected);
                self.metrics.refused(self.signal, rejected);
            }
            Err(_) => self.metrics.refused(self.signal, self.items),
        }
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.metrics.failed(self.signal, self.items);
        }
    }
}
