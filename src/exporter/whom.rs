//! Whom a failure concerns.
//!
//! Guarantees that what an upstream did is told in the same form, whatever it speaks.

use tonic::Code;

use crate::outcome::{Failure, Side};

/// An exporter and its upstream as senders know them: without credentials.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whom<'a> {
    pub(super) exporter: &'a str,
    pub(super) upstream: &'a str,
}

impl Whom<'_> {
    /// A failure of the upstream, or on the way to it.
    pub(super) fn failure(self, code: Code, reason: &'static str, text: &str) -> Failure {
        let Self { exporter, upstream } = self;
        let message = format!("the gateway's exporter {exporter}, upstream {upstream}: {text}");
        Failure::new(code, Side::Upstream, reason, message)
    }
}
