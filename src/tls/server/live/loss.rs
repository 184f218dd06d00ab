//! Why a client that is connected is not trusted any more.

use std::time::Duration;

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

impl Loss {
    /// Fail closed: nobody would tell of a loss any more.
    pub(crate) fn unknown() -> Self {
        Self {
            reason: "trust_unknown",
            message: "the gateway cannot judge this connection's certificate any more; connect \
                      again"
                .to_owned(),
            grace: None,
        }
    }
}
