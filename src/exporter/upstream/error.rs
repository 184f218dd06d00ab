//! Why there is no connection to an upstream.

use std::fmt;
use std::io;
use std::time::Duration;

use tonic::Code;

use crate::outcome::{Failure, Side};
use crate::tls::UpstreamTlsError;

/// A connection that could not be made. The text names address, cause and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectError {
    reason: &'static str,
    message: String,
    distrusted: bool,
}

impl ConnectError {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), distrusted: false }
    }

    /// A system call failed on the way to `address`.
    pub(super) fn connecting(address: &impl fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::new(
                "upstream_refused",
                format!(
                    "{address} refused the connection: nothing listens there; start the upstream or correct the endpoint"
                ),
            ),
            io::ErrorKind::TimedOut => Self::timeout(address),
            io::ErrorKind::NotFound => Self::new(
                "upstream_refused",
                format!("{address} does not exist: start the upstream or correct the endpoint"),
            ),
            io::ErrorKind::PermissionDenied => Self::new(
                "upstream_refused",
                format!(
                    "{address} may not be connected to: {error}; check the socket's owner and mode, or the firewall"
                ),
            ),
            _ => Self::new(
                "upstream_unreachable",
                format!("{address} cannot be reached: {error}; check routes and firewalls"),
            ),
        }
    }

    /// It answered plaintext with an alert of TLS.
    pub(super) fn expects_tls(address: &impl fmt::Display) -> Self {
        Self::new(
            "upstream_expects_tls",
            format!(
                "{address} answered with TLS: this port wants it; remove tls.insecure, or use its plaintext port"
            ),
        )
    }

    /// Nothing answered in time.
    pub(super) fn timeout(address: &impl fmt::Display) -> Self {
        Self::new(
            "upstream_timeout",
            format!(
                "{address} did not answer within connect_timeout: check that the upstream runs and that no firewall drops the packets"
            ),
        )
    }

    /// Whether we refused the upstream: what was agreed with it before holds no more either.
    pub(super) fn is_distrust(&self) -> bool {
        self.distrusted
    }

    /// How much it says of an upstream with several addresses. That one of them is not to be trusted
    /// is the worst news, and one that answered counts more than one where nobody is.
    pub(super) fn tells(&self) -> u8 {
        match self.reason {
            _ if self.distrusted => 2,
            "upstream_refused" | "upstream_unreachable" | "upstream_timeout" => 0,
            _ => 1,
        }
    }

    /// Whether a reason means that the upstream answered, and does not take our certificate.
    pub(crate) fn refuses_us(reason: &str) -> bool {
        matches!(
            reason,
            "upstream_rejected_our_certificate"
                | "upstream_demands_certificate"
                | "upstream_no_common_signature"
        )
    }

    /// There is no connection yet, and no more time.
    pub(super) fn still_waiting() -> Self {
        Self::new(
            "upstream_timeout",
            "the connection was not up in time: check that the upstream runs and that no firewall drops the packets",
        )
    }

    /// A fault of the program.
    pub(super) fn panicked() -> Self {
        let text = "the gateway broke down while it connected: please report it, with the line of \
                    the log that says `panicked`";
        Self::new("connecting_panicked", text)
    }

    /// There are connections, and none takes another request.
    pub(crate) fn no_stream() -> Self {
        Self::new(
            "upstream_streams_exhausted",
            "every connection carries as many requests as the upstream allows at a time: it is overloaded, or allows too few (max_concurrent_streams)",
        )
    }

    /// There are connections, each with a request on it, and there may be no more.
    pub(crate) fn no_connection_free() -> Self {
        Self::new(
            "upstream_connections_exhausted",
            "all connections that max_conns_per_host allows are in use: raise it, or look why the upstream is slow",
        )
    }

    /// Stable reason code.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }

    /// Logs it as `what`, unless the attempt before died of the same.
    pub(super) fn tell(
        &self,
        before: Option<&'static str>,
        exporter: &str,
        endpoint: &str,
        what: &'static str,
    ) {
        if before != Some(self.reason) {
            tracing::warn!(exporter, endpoint, reason = self.reason, error = %self, "{what}");
        }
    }

    /// What the sender is told: the batch was not sent, and it may try again after `delay`.
    pub(crate) fn failure(&self, exporter: &str, endpoint: &str, delay: Duration) -> Failure {
        Failure::new(
            Code::Unavailable,
            Side::Upstream,
            self.reason,
            format!(
                "the gateway's exporter {exporter} has no connection to {endpoint}: {}",
                self.message
            ),
        )
        .with_retry_after(delay)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConnectError {}

impl From<UpstreamTlsError> for ConnectError {
    fn from(error: UpstreamTlsError) -> Self {
        let distrusted = error.is_distrust();
        Self { distrusted, ..Self::new(error.reason(), error.to_string()) }
    }
}
