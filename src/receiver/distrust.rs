//! The refusal of a peer whose certificate was accepted once and is not any more.

use std::sync::{Arc, OnceLock};

use tonic::Code;

use crate::outcome::{Failure, Side};

/// Set once while a connection lives; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distrust(Arc<OnceLock<Failure>>);

impl Distrust {
    /// From now on every request of the peer is refused. The first reason stays.
    pub(crate) fn set(&self, reason: &'static str, message: &str) {
        let failure = Failure::new(Code::Unauthenticated, Side::Downstream, reason, message);
        let _first_stays = self.0.set(failure);
    }

    /// What requests are refused with.
    pub(crate) fn get(&self) -> Option<&Failure> {
        self.0.get()
    }
}
