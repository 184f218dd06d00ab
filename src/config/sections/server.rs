//! `receivers.otlp` (contract 2.3, 3.1, 6.1). Both protocols are answered on either port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::sections::ServerTls;
use crate::config::types::{ComponentId, Headers, ListenAddress};
use crate::identity::Rules;

/// One `otlp` receiver with at least one protocol; a `nop` receiver has none.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpReceiver {
    /// `protocols.grpc`.
    pub grpc: Option<GrpcServer>,
    /// `protocols.http`.
    pub http: Option<HttpServer>,
}

/// What both kinds of server block hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The config key of the block, such as `receivers.otlp.protocols.grpc`, for messages.
    pub key_path: String,
    /// `endpoint` with `transport`.
    pub listen: ListenAddress,
    /// `tls`; `None` is plaintext.
    pub tls: Option<ServerTls>,
    /// Largest request in bytes, on the wire and again after inflating
    /// (`max_recv_msg_size_mib`, `max_request_body_size`). Default 64 MiB (OTLP 1.11).
    pub max_request_bytes: usize,
    /// `auth.authenticator`.
    pub auth: Option<ComponentId>,
    /// The rules of that authenticator.
    pub rules: Option<Arc<Rules>>,
    /// `include_metadata`.
    pub include_metadata: bool,
    /// Limits that are ours and the Collector's keepalive.
    pub limits: ServerLimits,
}

impl Server {
    /// A block without any keys: plaintext, whoever comes, with the default limits.
    pub(crate) fn at(key_path: &str, listen: ListenAddress) -> Self {
        Self {
            key_path: key_path.to_owned(),
            listen,
            tls: None,
            max_request_bytes: 64 << 20,
            auth: None,
            rules: None,
            include_metadata: false,
            limits: ServerLimits::default(),
        }
    }
}

/// Bounds on connections. The Collector has few of them; every one has a default here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Ours, `max_connections`: open connections on this listener. Default 10000.
    pub max_connections: usize,
    /// Ours, `max_connections_per_source`: open connections of one IPv4 address, or one network of
    /// 64 bits of IPv6. Without it, one machine can take all of `max_connections`. Default: no more
    /// bound than that, for senders behind a proxy or NAT share one address.
    pub max_connections_per_source: Option<usize>,
    /// Ours, `max_handshakes`: TLS handshakes at one time. Default 256.
    pub max_handshakes: usize,
    /// Ours, `handshake_timeout`: TCP accept to the end of the TLS handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// `read_header_timeout`; ours on gRPC: end of handshake to the first complete request head,
    /// and between the start and the end of each later HTTP/1.1 head. Default 30 s.
    pub header_timeout: Duration,
    /// `read_timeout`; longest time to receive one request body. Default 60 s.
    pub body_timeout: Duration,
    /// Ours, `request_timeout`: longest time until the pipeline answered. Default 60 s; a
    /// shorter `grpc-timeout` of the sender wins.
    pub request_timeout: Duration,
    /// `write_timeout`; longest time a peer may take to read an answer. Default 30 s.
    pub write_timeout: Duration,
    /// `idle_timeout`, `keepalive.server_parameters.max_connection_idle`: default 5 min on
    /// HTTP/1.1, none on HTTP/2 (keepalive pings find dead peers).
    pub idle_timeout: Option<Duration>,
    /// `max_connection_age`: none by default.
    pub max_connection_age: Option<Duration>,
    /// `max_connection_age_grace`: default 30 s.
    pub max_connection_age_grace: Duration,
    /// HTTP/2 streams per connection, `max_concurrent_streams`. Default 200.
    pub max_concurrent_streams: u32,
    /// Ours, `max_in_flight_bytes`: request bytes held at one time by all connections of this
    /// listener. Default 512 MiB.
    pub max_in_flight_bytes: usize,
    /// HTTP/2 keepalive.
    pub keepalive: Keepalive,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_source: None,
            max_handshakes: 256,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            idle_timeout: None,
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(30),
            max_concurrent_streams: 200,
            max_in_flight_bytes: 512 << 20,
            keepalive: Keepalive::default(),
        }
    }
}

/// `keepalive.server_parameters.time` and `.timeout` (grpc-go's defaults).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Time without a frame until a PING is sent. Default 2 h.
    pub time: Duration,
    /// Time to wait for its answer. Default 20 s.
    pub timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { time: Duration::from_secs(7200), timeout: Duration::from_secs(20) }
    }
}

/// `protocols.grpc`.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcServer {
    /// The shared keys; default endpoint `localhost:4317`.
    pub server: Server,
    /// `read_buffer_size` in bytes, default 512 KiB.
    pub read_buffer_size: usize,
    /// `write_buffer_size` in bytes, default 32 KiB.
    pub write_buffer_size: usize,
}

/// `protocols.http`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpServer {
    /// The shared keys; default endpoint `localhost:4318`.
    pub server: Server,
    /// The paths of the four signals.
    pub paths: UrlPaths,
    /// `cors`, present only with at least one allowed origin.
    pub cors: Option<Cors>,
    /// `response_headers`, set on every response.
    pub response_headers: Headers,
    /// `compression_algorithms`: content codings accepted, lower case; `""` is no coding.
    /// `None` means all that are known.
    pub compression_algorithms: Option<Vec<String>>,
    /// `keep_alives_enabled`, default true.
    pub keep_alives_enabled: bool,
}

/// The request paths of OTLP/HTTP, by [`crate::signal::Signal::index`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPaths(pub [String; 4]);

impl Default for UrlPaths {
    fn default() -> Self {
        Self(crate::signal::Signal::ALL.map(|s| s.http_path().to_owned()))
    }
}

/// `cors` (contract 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Each may hold one `*`.
    pub allowed_origins: Vec<String>,
    /// `*` is any.
    pub allowed_headers: Vec<String>,
    /// Sent as `Access-Control-Expose-Headers`.
    pub exposed_headers: Vec<String>,
    /// Seconds a preflight answer may be kept; 0 sends no header.
    pub max_age: u64,
}

/// Where unix sockets of a listener live, if it is one.
impl Server {
    /// The socket file this server makes, if it listens on one.
    pub fn socket_path(&self) -> Option<&PathBuf> {
        match &self.listen {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix(path) => Some(path),
        }
    }
}
