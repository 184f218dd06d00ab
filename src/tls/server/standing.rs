//! The certificate that let a connection in, judged again while the connection lives.
//!
//! Guarantees that a loss of trust is learned of with the snapshot that brings it, at the end of
//! the certificate itself, and where a list or an anchor runs out. Costs a connection nothing
//! meanwhile.

use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, UnixTime};

use crate::tls::reload::Snapshot as _;
use crate::tls::server::ServerSnapshot;
use crate::tls::store::Watch;
use crate::tls::verifier::{Fault, Verdict};

/// What a connection remembers of its handshake.
#[derive(Debug)]
pub(crate) struct Standing {
    chain: Vec<CertificateDer<'static>>,
    not_after: SystemTime,
    snapshots: Watch<ServerSnapshot>,
    /// Of the snapshot that judged last.
    generation: u64,
}

/// Why a connection may not go on.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    /// Stable reason code.
    pub(crate) reason: &'static str,
    /// Why, and what to do next.
    pub(crate) message: String,
    /// How long what was begun may take; `None` when the connection must end at once.
    pub(crate) grace: Option<Duration>,
}

impl Standing {
    /// Of a chain, leaf first, that the snapshot of this generation let in.
    pub(crate) fn new(
        chain: &[CertificateDer<'_>],
        not_after: SystemTime,
        snapshots: Watch<ServerSnapshot>,
        generation: u64,
    ) -> Self {
        let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
        Self { chain, not_after, snapshots, generation }
    }

    /// Waits until the chain is not trusted any more.
    pub(crate) async fn lost(mut self) -> Loss {
        let mut is_due = false;
        loop {
            let snapshot = self.snapshots.current();
            if is_due || snapshot.generation != self.generation {
                self.generation = snapshot.generation;
                if let Some(loss) = self.judge(&snapshot) {
                    return loss;
                }
            }
            let own_end = self.not_after + Duration::from_secs(1);
            let at = snapshot.judge_again().map_or(own_end, |at| at.min(own_end));
            let wait = at.duration_since(SystemTime::now()).unwrap_or_default().max(LEAST_WAIT);
            drop(snapshot);
            // Both branches are cancel-safe.
            is_due = tokio::select! {
                published = self.snapshots.changed() => {
                    if !published {
                        // The gateway ends.
                        return std::future::pending().await;
                    }
                    false
                }
                () = tokio::time::sleep(wait) => true,
            };
        }
    }

    fn judge(&self, snapshot: &ServerSnapshot) -> Option<Loss> {
        let loss = |fault: Fault, grace| Loss {
            reason: fault.reason,
            message: format!(
                "the certificate that opened this connection is not accepted any more: {}; {}",
                fault.why, fault.help
            ),
            grace,
        };
        match snapshot.verdict(&self.chain, UnixTime::now()) {
            Verdict::Trusted => None,
            Verdict::Revoked(fault) => Some(loss(fault, None)),
            Verdict::Expired(fault) | Verdict::Untrusted(fault) => {
                Some(loss(fault, Some(snapshot.trust_loss_grace)))
            }
        }
    }
}

/// A clock that is set back must not make a busy loop.
const LEAST_WAIT: Duration = Duration::from_secs(1);
