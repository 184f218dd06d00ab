//! Processors, the small exporters and the extensions (contract 8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::sections::{GrpcExporter, HttpExporter, ServerTls};
use crate::config::types::{ListenAddress, Pem};
use crate::identity::Rules;

/// An entry of `exporters`.
#[derive(Clone, Debug, PartialEq)]
pub enum Exporter {
    /// `debug`.
    Debug(DebugExporter),
    /// `otlp_grpc` or `otlp`.
    Grpc(Box<GrpcExporter>),
    /// `otlp_http` or `otlphttp`.
    Http(Box<HttpExporter>),
    /// `nop`.
    Nop,
}

/// `debug` (contract 8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugExporter {
    /// Default basic.
    pub verbosity: DebugVerbosity,
    /// Messages printed in each second before sampling sets in. Default 2.
    pub sampling_initial: u64,
    /// Then one of so many. Default 1.
    pub sampling_thereafter: u64,
    /// Default true: through the log. Otherwise straight to `output_paths`.
    pub use_internal_logger: bool,
    /// `stdout`, `stderr` or files; only without the internal logger.
    pub output_paths: Vec<String>,
}

/// How much the debug exporter prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugVerbosity {
    /// One line a batch with counts.
    Basic,
    /// One line an item.
    Normal,
    /// Every field.
    Detailed,
}

/// An entry of `processors`.
#[derive(Clone, Debug, PartialEq)]
pub enum Processor {
    /// `resource` and `attributes`: a list of edits, applied in order.
    Attributes(Vec<AttributeEdit>),
    /// `batch`: accepted; merging comes with the delivery queue.
    Batch,
    /// `memory_limiter`: accepted; limits come with the delivery queue.
    MemoryLimiter,
    /// `transform`: a list of edits for each signal, by [`crate::signal::Signal::index`].
    Transform([Vec<AttributeEdit>; 4]),
}

/// One edit of the attributes at one level.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeEdit {
    /// Which attributes.
    pub level: AttributeLevel,
    /// The attribute's key.
    pub key: String,
    /// What to do with it.
    pub action: AttributeAction,
}

/// Where attributes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeLevel {
    /// Data points of every metric type.
    DataPoint,
    /// The items of the pipeline's signal, whichever it is: spans, data points or log records
    /// (the `attributes` processor).
    Item,
    /// Log records.
    LogRecord,
    /// Resources.
    Resource,
    /// Instrumentation scopes.
    Scope,
    /// Spans.
    Span,
    /// Events of spans.
    SpanEvent,
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeAction {
    /// Convert the value to `int`, `double` or `string`, when present.
    Convert(String),
    /// Remove the attribute.
    Delete,
    /// Remove every attribute whose key matches this regular expression.
    DeletePattern(String),
    /// Add named groups of this regular expression over the value as attributes of their own.
    Extract(String),
    /// Replace the value by its SHA-256 in hexadecimal.
    Hash,
    /// Set it only when it is absent.
    Insert(LiteralValue),
    /// As `Insert`, with the value of another attribute of the same level, if that is present.
    InsertFrom(String),
    /// Set it only when it is present.
    Update(LiteralValue),
    /// As `Update`, with the value of another attribute.
    UpdateFrom(String),
    /// Set it in any case.
    Upsert(LiteralValue),
    /// As `Upsert`, with the value of another attribute, if that is present.
    UpsertFrom(String),
}

/// A literal attribute value.
#[derive(Clone, Debug, PartialEq)]
pub enum LiteralValue {
    /// A boolean.
    Bool(bool),
    /// A double.
    Double(f64),
    /// A 64-bit integer.
    Int(i64),
    /// A list.
    List(Vec<Self>),
    /// A text.
    String(String),
}

/// An entry of `extensions`.
#[derive(Clone, Debug, PartialEq)]
pub enum Extension {
    /// `client_identity`, ours: an authenticator of receivers.
    ClientIdentity(ClientIdentity),
    /// `file_storage`: accepted; used with the delivery queue.
    FileStorage,
    /// `health_check`.
    HealthCheck(HealthCheck),
    /// `zpages`: accepted; the status page is served there.
    Zpages(ListenAddress),
}

/// `health_check` (the contrib extension).
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// The config key of the block, for messages.
    pub key_path: String,
    /// Default `localhost:13133`.
    pub listen: ListenAddress,
    /// Default `/`.
    pub path: String,
    /// `response_body.healthy`.
    pub healthy_body: Option<String>,
    /// `response_body.unhealthy`.
    pub unhealthy_body: Option<String>,
    /// `tls`; `None` is plaintext.
    pub tls: Option<Box<ServerTls>>,
    /// Longest time for one request. Default 5 s.
    pub timeout: Duration,
}

/// `client_identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// `source`, `allow` and `deny`.
    pub rules: Arc<Rules>,
    /// `trust_domains`: the CAs of each. With any, SPIFFE ids of all others are refused.
    pub trust_domains: TrustDomains,
}

/// Names of SPIFFE trust domains with the CA files that vouch for their ids.
pub type TrustDomains = BTreeMap<String, Vec<Pem>>;
