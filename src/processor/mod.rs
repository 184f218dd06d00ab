//! Processors: what is done to a batch between receiver and exporter.
//!
//! Guarantees that a batch no edit applies to passes as it came, and that an edited one is changed
//! where an edit says so and nowhere else. Knows nothing of where batches come from and go to.
//!
//! Edits are made on the checked bytes: [`plan`] says which messages to walk into, [`editor`]
//! walks, [`list`] makes the edits of one attribute list, [`splice`] puts the new bytes in.

mod editor;
mod list;
mod plan;
mod splice;
mod value;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tonic::Code;

use crate::batch::{Batch, Room};
use crate::config::sections::{AttributeEdit, Processor};
use crate::outcome::{Failure, Side};
use crate::processor::editor::EditError;
use crate::processor::plan::Node;
use crate::signal::Signal;

/// The processors of one pipeline, in order.
#[derive(Debug)]
pub(crate) struct Processors {
    /// By [`Signal::index`]: nothing where there is nothing to edit.
    trees: [Option<Node>; 4],
    /// For what edits add.
    room: Room,
}

/// Why processors cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessorError {
    /// Not one of the types that exist.
    #[error("attribute {key:?} cannot be converted to {to:?}: use int, double or string")]
    Convert {
        /// The attribute.
        key: String,
        /// What was asked for.
        to: String,
    },
    /// Extracting needs names.
    #[error("pattern {pattern:?} for attribute {key:?} must have groups, and all of them named")]
    Groups {
        /// The attribute.
        key: String,
        /// The regular expression.
        pattern: String,
    },
    /// Not a regular expression.
    #[error("the pattern for attribute {key:?} is not a regular expression")]
    Pattern {
        /// The attribute.
        key: String,
        /// Why.
        source: regex::Error,
    },
}

impl Processors {
    /// Compiles the processors of a pipeline; edited requests hold bytes of `room`. `batch` and `memory_limiter` do nothing here.
    ///
    /// # Errors
    ///
    /// A pattern or type is unusable, which a checked configuration never has.
    pub(crate) fn build(processors: &[&Processor], room: &Room) -> Result<Self, ProcessorError> {
        let mut trees = [None, None, None, None];
        for (signal, tree) in Signal::ALL.into_iter().zip(&mut trees) {
            let edits: Vec<&AttributeEdit> = processors
                .iter()
                .filter_map(|processor| match processor {
                    Processor::Attributes(edits) => Some(edits),
                    Processor::Transform(by_signal) => by_signal.get(signal.index()),
                    Processor::Batch | Processor::MemoryLimiter => None,
                })
                .flatten()
                .collect();
            *tree = plan::tree(signal, &plan::compile(&edits)?);
        }
        Ok(Self { trees, room: room.clone() })
    }

    /// Whether there is an edit for requests of this signal.
    pub(crate) fn may_edit(&self, signal: Signal) -> bool {
        self.trees.get(signal.index()).is_some_and(Option::is_some)
    }

    /// Makes all edits.
    ///
    /// # Errors
    ///
    /// The edits would make the request far larger than it is.
    pub(crate) fn apply(&self, mut batch: Batch) -> Result<Batch, Failure> {
        let Some(Some(tree)) = self.trees.get(batch.signal.index()) else { return Ok(batch) };
        match editor::edit(batch.signal, tree, &batch.decoded, &self.room) {
            Ok(None) => Ok(batch),
            Ok(Some(edited)) => {
                batch.decoded = edited;
                batch.encoded = None;
                Ok(batch)
            }
            Err(error) => Err(failure(&error, &batch, self.room.limit())),
        }
    }
}

fn failure(error: &EditError, batch: &Batch, most_held: usize) -> Failure {
    let (signal, items, size) = (batch.signal, batch.items, batch.decoded.len());
    match error {
        EditError::Malformed => Failure::new(
            Code::Internal,
            Side::Internal,
            "edit_failed",
            format!(
                "the attributes of a checked {signal} request of {size} bytes could not be found; \
                 this is a defect of the gateway: please report it with the request"
            ),
        ),
        EditError::NoRoom => Failure::new(
            Code::Unavailable,
            Side::Internal,
            "edit_no_room",
            format!(
                "the gateway holds as many bytes of requests whose attributes it has set as it may \
                 ({most_held}): try again later; its operator may raise service.max_edited_bytes"
            ),
        )
        .with_retry_after(ROOM_AGAIN),
        EditError::TooLarge => Failure::new(
            Code::ResourceExhausted,
            Side::Downstream,
            "edit_too_large",
            format!(
                "this {signal} request of {items} items and {size} bytes has too many attributes \
                 in one message to be edited, or the attributes that the gateway sets would make \
                 it too large: send fewer items in a request"
            ),
        )
        .with_http_status(413),
    }
}

/// When to try again a request for which there was no room.
const ROOM_AGAIN: Duration = Duration::from_secs(1);
