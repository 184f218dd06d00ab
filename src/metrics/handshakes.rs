//! What senders' TLS handshakes cost and agreed on.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::metrics::{Metrics, OpenGuard};

/// What a handshake agreed on: labels of `portcullis_tls_negotiated_total`. Names come from the TLS
/// library's own lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Negotiated {
    /// `1.2` or `1.3`.
    pub(crate) version: &'static str,
    /// The key exchange, such as `X25519`; empty when a session was resumed without one.
    pub(crate) group: &'static str,
    /// The cipher suite.
    pub(crate) cipher: &'static str,
    /// `true` for a resumed session.
    pub(crate) resumed: &'static str,
}

/// The instruments of handshakes.
#[derive(Debug)]
pub(super) struct Handshakes {
    in_flight: Gauge,
    negotiated: Family<Negotiated, Counter>,
    seconds: Histogram,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            in_flight: Gauge::default(),
            negotiated: Family::default(),
            seconds: Histogram::new(BUCKETS),
        }
    }
}

impl Handshakes {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_tls_handshakes_in_flight",
            "Connections of senders whose TLS handshake is not done",
            self.in_flight.clone(),
        );
        registry.register(
            "portcullis_tls_negotiated",
            "Finished TLS handshakes of senders by what they agreed on",
            self.negotiated.clone(),
        );
        registry.register(
            "portcullis_tls_handshake_seconds",
            "Time from the accepted connection to the end of its TLS handshake",
            self.seconds.clone(),
        );
    }
}

impl Metrics {
    /// Counts a handshake as under way until the guard is dropped.
    pub(crate) fn handshake_begun(&self) -> OpenGuard {
        OpenGuard::new(self.0.handshake.in_flight.clone())
    }

    /// Counts a finished handshake.
    pub(crate) fn negotiated(&self, what: Negotiated, seconds: f64) {
        let handshakes = &self.0.handshake;
        handshakes.negotiated.get_or_create(&what).inc();
        handshakes.seconds.observe(seconds);
    }
}

/// From a neighbour's full handshake to the default deadline.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
