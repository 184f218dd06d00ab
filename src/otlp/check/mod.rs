//! The checker: one pass over the bytes of an export request, as they arrive.
//!
//! Guarantees to accept exactly what `prost` decodes into the types of `opentelemetry-proto`,
//! except requests with ids of a wrong length, which it refuses as the Collector does; to count
//! items as that decoder would; and to neither allocate nor recurse without bound. A property test
//! and a fuzz target compare it with `prost`. Knows nothing of where the bytes come from.
//!
//! Two ways through the same plan: [`walk`] passes over whole fields inside one frame at several
//! GB/s; [`machine`] goes byte by byte where a frame ends inside a field and where `walk` stopped,
//! and is the only one that reports errors.

mod attributes;
mod count;
mod error;
mod machine;
mod other;
mod plan;
mod scan;
mod text;
mod walk;

#[cfg(test)]
mod edges;
#[cfg(any(test, fuzzing))]
pub(crate) mod generate;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

use crate::batch::Rope;
use crate::signal::Signal;

pub(crate) use error::CheckError;
pub(crate) use machine::Checker;
pub(crate) use other::looks_like;

/// How deep messages may be nested in a request: `prost`'s limit, and that of C++ decoders.
pub(crate) const MOST_LEVELS: usize = 100;

/// What is known of a request that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Spans, data points, log records or profile samples.
    pub(crate) items: u64,
}

/// Checks a whole request.
pub(crate) fn check(signal: Signal, request: &Rope) -> Result<Checked, CheckError> {
    let mut checker = Checker::new(signal);
    for piece in request.pieces() {
        checker.push(piece)?;
    }
    checker.finish()
}
