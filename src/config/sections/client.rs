//! `exporters.otlp_grpc` and `exporters.otlp_http` (contract 2.1, 2.2, 3.4, 5.1, 7).

use std::time::Duration;

use crate::config::sections::ClientTls;
use crate::config::types::{Compression, Headers, Redacted, Upstream};

/// `otlp_grpc`, alias `otlp`.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcExporter {
    /// The config key of the block, such as `exporters.otlp_grpc/a`, for messages.
    pub key_path: String,
    /// `endpoint` as the operator wrote it, for labels and messages.
    pub endpoint: String,
    /// Where `endpoint` leads.
    pub upstream: Upstream,
    /// `None` is plaintext (`insecure: true` without a CA); the tables of contract 2.2 applied.
    pub tls: Option<ClientTls>,
    /// `timeout` per attempt; default 5 s; zero is none.
    pub timeout: Duration,
    /// Default gzip.
    pub compression: Compression,
    /// Added to every request's metadata, lower-case names.
    pub headers: Headers,
    /// Replaces our own `user-agent`.
    pub user_agent: Option<String>,
    /// `authority`: the `:authority` sent; else `server_name_override`, else the endpoint.
    pub authority: Option<String>,
    /// `keepalive`: `None` sends no pings.
    pub keepalive: Option<ClientKeepalive>,
    /// `wait_for_ready`: wait for a connection instead of failing at once. Default false.
    pub wait_for_ready: bool,
    /// `balancer_name: round_robin` (default) spreads over all addresses; `pick_first` does not.
    pub round_robin: bool,
    /// Ours, `connect_timeout`: resolve, connect and handshake. Default 10 s.
    pub connect_timeout: Duration,
    /// `retry_on_failure`; in effect with the delivery queue.
    pub retry: RetrySettings,
    /// `sending_queue`; `None` when disabled.
    pub queue: Option<QueueSettings>,
}

/// Client keepalive of gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKeepalive {
    /// Time without a frame until a PING; at least 10 s.
    pub time: Duration,
    /// Time to wait for its answer.
    pub timeout: Duration,
    /// Whether to ping with no request in flight.
    pub permit_without_stream: bool,
}

/// `otlp_http`, alias `otlphttp`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpExporter {
    /// The config key of the block, such as `exporters.otlp_http`, for messages.
    pub key_path: String,
    /// The full URL for each signal by [`crate::signal::Signal::index`]; `None` when neither
    /// `endpoint` nor the signal's own endpoint was given.
    pub urls: [Option<String>; 4],
    /// The `tls` block; used for `https` URLs only.
    pub tls: ClientTls,
    /// `timeout` per attempt; default 30 s; zero is none.
    pub timeout: Duration,
    /// Default gzip.
    pub compression: Compression,
    /// `compression_params.level`, for gzip, zlib, deflate (-2 to 9) and zstd; `None` is default.
    pub compression_level: Option<i32>,
    /// Overwrite anything already set; `Host` sets the host.
    pub headers: Headers,
    /// `encoding: json`; default protobuf.
    pub json: bool,
    /// `proxy_url`; may hold credentials. `None` follows the environment.
    pub proxy_url: Option<Redacted<String>>,
    /// `max_idle_conns`, default 100; 0 is unlimited.
    pub max_idle_conns: usize,
    /// `max_idle_conns_per_host`, default 2.
    pub max_idle_conns_per_host: usize,
    /// `max_conns_per_host`; 0 is unlimited.
    pub max_conns_per_host: usize,
    /// `idle_conn_timeout`, default 90 s.
    pub idle_conn_timeout: Duration,
    /// `disable_keep_alives`.
    pub disable_keep_alives: bool,
    /// `force_attempt_http2`, default true.
    pub force_attempt_http2: bool,
    /// `http2_read_idle_timeout`; zero sends no pings.
    pub http2_read_idle_timeout: Duration,
    /// `http2_ping_timeout`; default 15 s.
    pub http2_ping_timeout: Duration,
    /// Ours, `connect_timeout`. Default 10 s.
    pub connect_timeout: Duration,
    /// `retry_on_failure`; in effect with the delivery queue.
    pub retry: RetrySettings,
    /// `sending_queue`; `None` when disabled.
    pub queue: Option<QueueSettings>,
}

/// `retry_on_failure` (contract 4.6).
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySettings {
    /// Default true.
    pub enabled: bool,
    /// Default 5 s.
    pub initial_interval: Duration,
    /// Default 30 s.
    pub max_interval: Duration,
    /// Default 5 min; zero retries for ever.
    pub max_elapsed_time: Duration,
    /// Default 1.5.
    pub multiplier: f64,
    /// Default 0.5.
    pub randomization_factor: f64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

/// `sending_queue` (contract 5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// Default 10.
    pub num_consumers: usize,
    /// Default 1000, in units of `sizer`.
    pub queue_size: u64,
    /// `requests` (default), `items` or `bytes`.
    pub sizer: String,
    /// Default false.
    pub block_on_overflow: bool,
    /// Default true here, false in the Collector: an OK means delivered.
    pub wait_for_result: bool,
    /// A storage extension's id.
    pub storage: Option<crate::config::types::ComponentId>,
}
