//! `service` (contract 9.1, 9.2).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::config::types::ComponentId;
use crate::signal::Signal;

/// `service`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// `extensions`, in the order in which they start.
    pub extensions: Vec<ComponentId>,
    /// `pipelines`; never empty.
    pub pipelines: BTreeMap<PipelineId, Pipeline>,
    /// `telemetry`.
    pub telemetry: Telemetry,
    /// Ours, `workers`: threads on the data path. Default: one for each processor.
    pub workers: Option<usize>,
    /// Ours, `side_threads`: how much long work (decoding long JSON, editing and compressing large
    /// batches) is done at a time beside the workers. Default: one for each processor.
    pub side_threads: Option<usize>,
    /// Ours, `max_edited_bytes`: what edits of attributes, and JSON for backends, may hold at one
    /// time, beside the bytes that came in. Default 512 MiB.
    pub max_edited_bytes: usize,
    /// Ours, `shutdown_timeout`: from SIGTERM to the end. Default 30 s.
    pub shutdown_timeout: Duration,
}

impl Service {
    /// The default of `max_edited_bytes`: as much as a listener holds by default.
    pub(crate) const MAX_EDITED_BYTES: usize = 512 << 20;
}

/// `traces`, `metrics/name` and so on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId {
    /// The signal that flows through it.
    pub signal: Signal,
    /// The part after the slash, if any.
    pub name: Option<String>,
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.signal),
            None => write!(f, "{}", self.signal),
        }
    }
}

/// One pipeline; every id in it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// At least one.
    pub receivers: Vec<ComponentId>,
    /// In the order in which they work.
    pub processors: Vec<ComponentId>,
    /// At least one.
    pub exporters: Vec<ComponentId>,
}

/// `service.telemetry`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// `logs`.
    pub logs: Logs,
    /// `metrics.level`.
    pub metrics_level: MetricsLevel,
    /// Pull Prometheus readers; default one on `localhost:8888`.
    pub metrics_readers: Vec<MetricsReader>,
    /// `resource`: attributes on `target_info`.
    pub resource: BTreeMap<String, String>,
}

/// `service.telemetry.logs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Logs {
    /// Default info.
    pub level: LogLevel,
    /// Default console.
    pub encoding: LogEncoding,
    /// `None` when disabled. Default: 10 s, 10, 100.
    pub sampling: Option<LogSampling>,
    /// `stderr` (default), `stdout` or files.
    pub output_paths: Vec<String>,
    /// Added to every record.
    pub initial_fields: BTreeMap<String, String>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: LogEncoding::Console,
            sampling: Some(LogSampling {
                tick: Duration::from_secs(10),
                initial: 10,
                thereafter: 100,
            }),
            output_paths: vec!["stderr".to_owned()],
            initial_fields: BTreeMap::new(),
        }
    }
}

/// Log levels; the Collector's `dpanic`, `panic` and `fatal` are read as `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything down to connections.
    Debug,
    /// Life cycle.
    Info,
    /// Degraded but serving.
    Warn,
    /// An operator must act.
    Error,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// For people.
    Console,
    /// One JSON object a line.
    Json,
}

/// In each `tick` the first `initial` records of one message pass, then one of `thereafter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSampling {
    /// Default 10 s.
    pub tick: Duration,
    /// Default 10.
    pub initial: u64,
    /// Default 100; 0 drops the rest.
    pub thereafter: u64,
}

/// `service.telemetry.metrics.level` (contract 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsLevel {
    /// No metrics.
    None,
    /// Core counters and gauges.
    Basic,
    /// The default.
    #[default]
    Normal,
    /// Everything.
    Detailed,
}

/// A pull Prometheus reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsReader {
    /// The config key of the reader, for messages.
    pub key_path: String,
    /// Host to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// How the Collector's metrics are spelt there.
    pub names: MetricNames,
}

/// What is added to the names of the Collector's metrics: nothing by its default reader, both by a
/// reader that is written without `without_type_suffix` and `without_units`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricNames {
    /// `_total` to counters.
    pub type_suffix: bool,
    /// `_seconds`, `_bytes`.
    pub units: bool,
}
