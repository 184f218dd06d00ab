//! Processors that change nothing, until the real ones are here.

use crate::batch::Batch;
use crate::config::sections::Processor;
use crate::outcome::Failure;

/// See the module.
#[derive(Debug)]
pub(crate) struct Processors;

/// See the module.
#[derive(Debug, thiserror::Error)]
#[error("cannot be used")]
pub(crate) struct ProcessorError;

impl Processors {
    pub(crate) fn build(_: &[&Processor]) -> Result<Self, ProcessorError> {
        Ok(Self)
    }

    pub(crate) fn apply(&self, batch: Batch) -> Result<Batch, Failure> {
        Ok(batch)
    }
}
