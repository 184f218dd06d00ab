//! Whether a peer may send here, by the rules of the listener's authenticator.
//!
//! Guarantees that the rules are asked once for a connection and hold for each of its requests
//! before a byte of a body is read. Knows nothing of how names are compared.

use std::sync::Arc;

use tonic::Code;

use super::refusal;
use crate::identity::{Decision, Denial, Identity, Rules};
use crate::outcome::Failure;
use crate::signal::Signal;

/// What a listener's rules say of one peer; clones share it.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// There are no rules: whoever could connect may send.
    Open,
    /// The rules decided.
    Decided(Arc<Decided>),
}

/// See [`Admission::Decided`].
#[derive(Debug)]
pub(crate) struct Decided {
    rules: Arc<Rules>,
    /// For messages.
    who: String,
    /// What it may send, or why nothing.
    verdict: Result<[bool; 4], Failure>,
}

impl Admission {
    /// Asks the rules about who proved to be this; `None` proved nothing.
    pub(super) fn of(rules: &Arc<Rules>, identity: Option<&Identity>) -> Self {
        let (who, verdict) = match identity.map(|identity| (identity, rules.decide(identity))) {
            None => ("nobody".to_owned(), Err(anonymous(rules))),
            Some((_, Decision::Admitted { name: Some(name), signals })) => {
                (name.to_string(), Ok(signals))
            }
            Some((identity, Decision::Admitted { name: None, signals })) => {
                (identity.sha256.clone(), Ok(signals))
            }
            Some((identity, Decision::Refused(denial))) => {
                (identity.sha256.clone(), Err(denied(&denial)))
            }
        };
        Self::Decided(Arc::new(Decided { rules: Arc::clone(rules), who, verdict }))
    }

    /// Whether it may send anything at all.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Open => Ok(()),
            Self::Decided(decided) => decided.verdict.as_ref().map(|_| ()).map_err(Clone::clone),
        }
    }

    /// Whether it may send this.
    pub(super) fn check_signal(&self, signal: Signal) -> Result<(), Failure> {
        let Self::Decided(decided) = self else { return Ok(()) };
        let signals = decided.verdict.as_ref().map_err(Clone::clone)?;
        if signals.get(signal.index()) == Some(&true) {
            return Ok(());
        }
        Err(denied(&decided.rules.wrong_signal(&decided.who, signal, *signals)))
    }

    /// Who it is by the rules, for the log; empty without rules.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Open => "",
            Self::Decided(decided) => &decided.who,
        }
    }

    /// Whom a refusal concerns, for the log; `None` when it has another cause than the rules.
    pub(super) fn who(&self, failure: &Failure) -> Option<&str> {
        let Self::Decided(decided) = self else { return None };
        let by_rules = failure.reason == ANONYMOUS || failure.reason.starts_with("identity_");
        by_rules.then_some(&decided.who)
    }
}

fn denied(denial: &Denial) -> Failure {
    refusal::bad(Code::PermissionDenied, denial.reason(), denial.to_string())
}

fn anonymous(rules: &Rules) -> Failure {
    refusal::bad(
        Code::Unauthenticated,
        ANONYMOUS,
        format!(
            "no client certificate was presented on this connection, and the rules of {} admit \
             known senders only: give the client a certificate and its key",
            rules.key_path
        ),
    )
}

const ANONYMOUS: &str = "client_certificate_needed";
