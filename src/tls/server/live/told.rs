//! What the log says of clients that lost trust while they were connected, a bounded number for one
//! change.

use crate::tls::verifier::Fault;

/// Counts what was said in one round.
#[derive(Debug, Default)]
pub(super) struct Told(usize);

impl Told {
    /// A client that stays, although it would be refused.
    pub(super) fn reported(&mut self, fault: &Fault) {
        self.say(
            fault,
            "a connected client would be cut off; it goes on, as client_auth is report_only",
        );
    }

    /// A client whose connections end.
    pub(super) fn lost(&mut self, fault: &Fault) {
        self.say(fault, "a connected client is not trusted any more; its connections are ended");
    }

    fn say(&mut self, fault: &Fault, what: &str) {
        self.0 += 1;
        if self.0 <= MOST_TOLD {
            let certificate = fault.leaf.as_ref().map(|leaf| leaf.summary()).unwrap_or_default();
            let Fault { reason, why, help, .. } = fault;
            tracing::warn!(reason, certificate, detail = why, help, "{what}");
        }
    }

    /// Says how many were not named.
    pub(super) fn tell_rest(&self) {
        if let Some(more @ 1..) = self.0.checked_sub(MOST_TOLD) {
            tracing::warn!(more, "and so it is with further connected clients");
        }
    }
}

/// Clients named in the log for one change.
const MOST_TOLD: usize = 16;
