//! What the log says of clients that lost trust while they were connected, a bounded number for one
//! change.

use crate::tls::verifier::Fault;

/// Counts what was said in one round.
#[derive(Debug, Default)]
pub(super) struct Told(usize);

impl Told {
    /// A client that stays, although it would be refused.
    pub(super) fn reported(&mut self, fault: &Fault) {
        if self.has_room() {
            tracing::warn!(
                reason = fault.reason,
                certificate = certificate(fault),
                detail = fault.why,
                help = fault.help,
                "a connected client would be cut off; it goes on, as client_auth is report_only"
            );
        }
    }

    /// A client whose connections end.
    pub(super) fn lost(&mut self, fault: &Fault) {
        if self.has_room() {
            tracing::warn!(
                reason = fault.reason,
                certificate = certificate(fault),
                detail = fault.why,
                help = fault.help,
                "a connected client is not trusted any more; its connections are ended"
            );
        }
    }

    /// Says how many were not named.
    pub(super) fn tell_rest(&self) {
        if let Some(more @ 1..) = self.0.checked_sub(MOST_TOLD) {
            tracing::warn!(more, "and so it is with further connected clients");
        }
    }

    fn has_room(&mut self) -> bool {
        self.0 += 1;
        self.0 <= MOST_TOLD
    }
}

fn certificate(fault: &Fault) -> String {
    fault.leaf.as_ref().map(|leaf| leaf.summary()).unwrap_or_default()
}

/// Clients named in the log for one change.
const MOST_TOLD: usize = 16;
