//! Whether the gateway takes requests, and since when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

/// One latch of one gateway; clones share it. Starting, then ready, then draining, never back.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(Arc<Mutex<State>>);

/// What the latch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Shutting down: no new requests.
    Draining,
    /// Taking requests.
    Ready {
        /// For people.
        since: SystemTime,
        /// For durations.
        start: Instant,
    },
    /// Not listening yet.
    Starting,
}

impl Readiness {
    /// A gateway that is starting.
    pub(crate) fn starting() -> Self {
        Self(Arc::new(Mutex::new(State::Starting)))
    }

    /// Every listener is bound. No effect once draining began.
    pub(crate) fn set_ready(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Starting {
            *state = State::Ready { since: SystemTime::now(), start: Instant::now() };
        }
    }

    /// The gateway is shutting down.
    pub(crate) fn set_draining(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Draining;
    }

    /// What the latch says now.
    pub(crate) fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
