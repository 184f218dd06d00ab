//! The sections of a configuration as plain data, one type a section, defaults filled in.
//!
//! Runtime modules take a reference to their own section and never the whole [`Config`].

mod client;
mod components;
mod server;
mod service;
mod tls;

pub use client::{ClientKeepalive, GrpcExporter, HttpExporter, QueueSettings, RetrySettings};
pub use components::{
    AttributeAction, AttributeEdit, AttributeLevel, ClientIdentity, DebugExporter, DebugVerbosity,
    Exporter, Extension, HealthCheck, LiteralValue, Processor, TrustDomains,
};
pub use server::{
    Cors, GrpcServer, HttpServer, Keepalive, OtlpReceiver, Server, ServerLimits, UrlPaths,
};
pub use service::{
    LogEncoding, LogLevel, LogSampling, Logs, MetricNames, MetricsLevel, MetricsReader, Pipeline,
    PipelineId, Service, Telemetry,
};
pub use tls::{
    ClientAuth, ClientTls, OnDoubt, RevocationPolicy, RevocationScope, ServerTls, TlsCommon,
};

use std::collections::BTreeMap;

use crate::config::types::ComponentId;

/// A whole configuration, read, checked and with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `receivers`: of type `otlp`, or `nop` with neither protocol.
    pub receivers: BTreeMap<ComponentId, OtlpReceiver>,
    /// `processors`.
    pub processors: BTreeMap<ComponentId, Processor>,
    /// `exporters`.
    pub exporters: BTreeMap<ComponentId, Exporter>,
    /// `extensions`.
    pub extensions: BTreeMap<ComponentId, Extension>,
    /// `service`.
    pub service: Service,
}
