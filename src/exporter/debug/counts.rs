//! What a batch holds besides items, without decoding it.

use crate::batch::Batch;
use crate::otlp::wire::Source;
use crate::signal::Signal;

/// Numbers for the one line of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// `ResourceSpans` and their like.
    pub(super) resources: u64,
    /// `Metric` messages.
    pub(super) metrics: u64,
}

/// The field numbers on the way to a `Metric`.
const RESOURCES: u32 = 1;
const SCOPES: u32 = 2;
const METRICS: u32 = 2;

impl Counts {
    /// Counts in a checked batch.
    pub(super) fn of(batch: &Batch) -> Self {
        let source = Source::new(&batch.decoded);
        let mut counts = Self::default();
        // A checked request has no malformed field that could end the count early.
        let _whole = source.fields(0..source.len(), |resource| {
            if resource.number != RESOURCES || !resource.sized {
                return Some(());
            }
            counts.resources += 1;
            if batch.signal != Signal::Metrics {
                return Some(());
            }
            source.fields(resource.value, |scope| {
                if scope.number != SCOPES || !scope.sized {
                    return Some(());
                }
                source.fields(scope.value, |metric| {
                    counts.metrics += u64::from(metric.number == METRICS && metric.sized);
                    Some(())
                })
            })
        });
        counts
    }
}
