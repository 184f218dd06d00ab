//! The four OTLP signals and the names the protocol gives each of them.
//!
//! Guarantees that every table keyed by a signal is written once. Knows nothing of payloads.

use std::fmt;

/// One of the OTLP signals. The set is closed: a new signal is a new protocol version.
///
/// Sources: OTLP 1.11 "OTLP/gRPC" and "OTLP/HTTP"; profiles are in Development.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans, `opentelemetry.proto.collector.trace.v1`.
    Traces,
    /// Metric data points, `opentelemetry.proto.collector.metrics.v1`.
    Metrics,
    /// Log records, `opentelemetry.proto.collector.logs.v1`.
    Logs,
    /// Profile samples, `opentelemetry.proto.collector.profiles.v1development`.
    Profiles,
}

impl Signal {
    /// Every signal, in the order used by tables indexed with [`Signal::index`].
    pub const ALL: [Self; 4] = [Self::Traces, Self::Metrics, Self::Logs, Self::Profiles];

    /// The position of this signal in [`Signal::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::Traces => 0,
            Self::Metrics => 1,
            Self::Logs => 2,
            Self::Profiles => 3,
        }
    }

    /// The name used for pipelines and labels: `traces`, `metrics`, `logs`, `profiles`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Profiles => "profiles",
        }
    }

    /// What one item of this signal is called in the Collector's metric names:
    /// `spans`, `metric_points`, `log_records`, `profile_samples`.
    pub fn items_name(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metric_points",
            Self::Logs => "log_records",
            Self::Profiles => "profile_samples",
        }
    }

    /// The gRPC request path of the signal's unary `Export` method.
    pub fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Profiles => {
                "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
            }
        }
    }

    /// The default OTLP/HTTP path: `/v1/traces` and so on; profiles are `/v1development/profiles`.
    pub fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
            Self::Profiles => "/v1development/profiles",
        }
    }

    /// The signal whose gRPC `Export` method has this path, if any.
    pub fn from_grpc_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.grpc_path() == path)
    }

    /// The signal of a pipeline name's first part.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_back_to_its_signal() {
        for signal in Signal::ALL {
            assert_eq!(Signal::from_grpc_path(signal.grpc_path()), Some(signal));
            assert_eq!(Signal::from_name(signal.name()), Some(signal));
            assert_eq!(Signal::ALL[signal.index()], signal);
        }
        assert_eq!(Signal::from_grpc_path("/v1/traces"), None);
    }
}
