//! Refused handshakes in the log: each once, repetitions counted, never a flood.

use crate::telemetry::{Repeats, Verdict};
use crate::tls::Refusal;

/// What was said lately.
#[derive(Debug, Default)]
pub(super) struct Report(Repeats);

impl Report {
    /// Logs a refusal, unless it was said already.
    pub(super) fn say(&self, refusal: &Refusal, peer: &str) {
        if refusal.probe {
            tracing::debug!(
                reason = refusal.reason,
                peer,
                detail = %refusal.message,
                "a connection ended before the TLS handshake did"
            );
            return;
        }
        self.warn(refusal, peer, "a TLS handshake was refused");
    }

    /// Logs why a peer that is let in would be refused, unless it was said already.
    pub(super) fn would_refuse(&self, refusal: &Refusal, peer: &str) {
        let text = "let in, as client_auth is report_only; client_auth: require would refuse it";
        self.warn(refusal, peer, text);
    }

    fn warn(&self, refusal: &Refusal, peer: &str, text: &'static str) {
        let verdict = self.0.weigh(refusal.reason, &refusal.subject, peer);
        if let Verdict::Say { repeated, unsaid } = verdict {
            tracing::warn!(
                reason = refusal.reason,
                peer,
                detail = %refusal.message,
                help = %refusal.help,
                repeated,
                other_refusals_not_logged = unsaid,
                "{text}"
            );
        }
    }
}
