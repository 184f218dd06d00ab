//! `receivers` (contract 2.3, 3.1, 6.1).

use std::time::Duration;

use crate::config::read::address;
use crate::config::read::ids;
use crate::config::read::keepalive::http_server;
use crate::config::read::section::{Flavour, Section};
use crate::config::read::tls;
use crate::config::read::values::MAX;
use crate::config::sections::{
    Cors, GrpcServer, HttpServer, Keepalive, OtlpReceiver, Server, ServerLimits, UrlPaths,
};
use crate::config::types::ComponentId;

/// `receivers.otlp`.
pub(super) fn otlp(section: &Section<'_>) -> OtlpReceiver {
    let named = section.has("protocols");
    let receiver = section.section("protocols", |protocols| OtlpReceiver {
        grpc: protocols.optional("grpc", Flavour::Default, grpc),
        http: protocols.optional("http", Flavour::Default, http),
    });
    if let (Some(grpc), Some(http)) = (&receiver.grpc, &receiver.http) {
        warn_of_gap(section, &grpc.server, &http.server);
    }
    if receiver.grpc.is_none() && receiver.http.is_none() {
        section.error_help(
            if named { "protocols" } else { "" },
            "no_protocol",
            "must specify at least one protocol when using the OTLP receiver",
            "add protocols: {grpc: {endpoint: localhost:4317}}; either port answers gRPC and HTTP",
        );
    }
    receiver
}

/// Either port answers both protocols, so whom one refuses goes to the other.
fn warn_of_gap(section: &Section<'_>, grpc: &Server, http: &Server) {
    let (open, guarded) = match (&grpc.auth, &http.auth) {
        (None, Some(auth)) => ("grpc", auth),
        (Some(auth), None) => ("http", auth),
        (None, None) | (Some(_), Some(_)) => return,
    };
    section.section("protocols", |protocols| {
        protocols.raw("grpc");
        protocols.raw("http");
        protocols.warn(
            open,
            "auth_gap",
            format!("has no auth, and whom {guarded} refuses on the other port is let in here"),
            format!("add auth: {{ authenticator: {guarded} }} here too, or make two receivers"),
        );
    });
}

fn grpc(section: &Section<'_>) -> GrpcServer {
    let mib = section.number::<usize>("max_recv_msg_size_mib", 0..=2047).filter(|mib| *mib > 0);
    let mut server = server(section, "localhost:4317", mib.map_or(DEFAULT_BYTES, |m| m << 20));
    keepalive(section, &mut server.limits);
    let buffer = |key, default| {
        section.bytes(key, 0..=MAX_BUFFER).filter(|size| *size > 0).unwrap_or(default)
    };
    GrpcServer {
        server,
        read_buffer_size: buffer("read_buffer_size", 512 << 10),
        write_buffer_size: buffer("write_buffer_size", 32 << 10),
    }
}

fn keepalive(section: &Section<'_>, limits: &mut ServerLimits) {
    section.optional("keepalive", Flavour::Some, |keepalive| {
        keepalive.optional("server_parameters", Flavour::Some, |parameters| {
            let duration = |key| parameters.duration(key).filter(|d| !d.is_zero());
            limits.idle_timeout = duration("max_connection_idle").or(limits.idle_timeout);
            limits.max_connection_age =
                duration("max_connection_age").or(limits.max_connection_age);
            if let Some(grace) = duration("max_connection_age_grace") {
                limits.max_connection_age_grace = grace;
            }
            let defaults = Keepalive::default();
            limits.keepalive = Keepalive {
                time: duration("time").unwrap_or(defaults.time),
                timeout: duration("timeout").unwrap_or(defaults.timeout),
            };
        });
        let policy = keepalive.optional("enforcement_policy", Flavour::Some, |policy| {
            policy.duration("min_time");
            policy.boolean("permit_without_stream");
        });
        if policy.is_some() && keepalive.has("enforcement_policy") {
            let why = "pings of clients are always answered, and floods of them are bounded";
            keepalive.no_effect("enforcement_policy", why);
        }
    });
}

fn http(section: &Section<'_>) -> HttpServer {
    let size = section.bytes("max_request_body_size", -MAX..=MAX_BODY).filter(|size| *size > 0);
    let mut server = server(section, "localhost:4318", size.unwrap_or(DEFAULT_BYTES));
    let (keep_alives_enabled, idle_timeout) = http_server(section, server.limits.idle_timeout);
    server.limits.idle_timeout = idle_timeout;
    HttpServer {
        server,
        paths: paths(section),
        cors: section.optional("cors", Flavour::None, cors).flatten(),
        response_headers: section.headers("response_headers"),
        compression_algorithms: algorithms(section),
        keep_alives_enabled,
    }
}

/// What both protocols share.
fn server(section: &Section<'_>, default_endpoint: &str, max_request_bytes: usize) -> Server {
    let listen = address::listen(section, default_endpoint);
    let tls = section.optional("tls", Flavour::None, tls::server);
    if tls.is_none() {
        if section.raw("tls").is_some_and(|n| n.value == crate::config::node::Value::Null) {
            section.warn(
                "tls",
                "tls_null",
                "is empty, so this listener is plaintext and lets everybody in",
                "add cert_file, key_file and client_ca_file, or remove the key",
            );
        } else if !address::is_local(&listen) {
            section.warn(
                "endpoint",
                "plaintext",
                "is plaintext and reachable from other machines: everybody is let in",
                "add a tls block, or listen on localhost",
            );
        }
    }
    dialer(section);
    middlewares(section);
    let limits = limits(section);
    if limits.max_in_flight_bytes < max_request_bytes {
        section.warn(
            "max_in_flight_bytes",
            "never_fits",
            format!(
                "{} bytes are less than the largest request that is allowed ({max_request_bytes}): \
                 one in between is refused, though it is small enough",
                limits.max_in_flight_bytes
            ),
            "raise it, or lower max_recv_msg_size_mib (gRPC) or max_request_body_size (HTTP)",
        );
    }
    Server {
        key_path: section.path.clone(),
        listen,
        tls,
        max_request_bytes,
        auth: section.optional("auth", Flavour::None, authenticator).flatten(),
        rules: None,
        include_metadata: section.boolean("include_metadata").unwrap_or(false),
        limits,
    }
}

fn dialer(section: &Section<'_>) {
    if section.has("dialer") {
        section.section("dialer", |dialer| dialer.duration("timeout"));
        section.no_effect("dialer", "a server dials nobody");
    }
}

/// Middlewares are extensions; the only one of the Collector itself limits memory.
pub(super) fn middlewares(section: &Section<'_>) {
    let mut harmless = false;
    for (index, item) in section.list("middlewares").unwrap_or_default().iter().enumerate() {
        let path = format!("{}[{index}]", section.path_of("middlewares"));
        let entry = Section::new(path, item.span.clone(), Some(item), section.sink);
        let id = entry.filled("id").and_then(|text| ids::component(&entry, "id", &text));
        entry.finish();
        match id {
            Some(id) if id.kind == "memory_limiter" => harmless = true,
            Some(id) => entry.error_help(
                "id",
                "unknown_component",
                format!("there is no middleware {id}"),
                "remove it: what it would check or change would not happen",
            ),
            None => {}
        }
    }
    if harmless {
        let why = "requests are bounded by max_in_flight_bytes, before they are read";
        section.no_effect("middlewares", why);
    }
}

fn authenticator(auth: &Section<'_>) -> Option<ComponentId> {
    auth.strings("request_params");
    let Some(text) = auth.filled("authenticator") else {
        if !auth.has("authenticator") {
            let help = "name an extension, or remove the auth block";
            auth.error_help("", "missing_key", "authenticator is missing", help);
        }
        return None;
    };
    ids::component(auth, "authenticator", &text)
}

fn limits(section: &Section<'_>) -> ServerLimits {
    let defaults = ServerLimits::default();
    let count = |key, default| section.number(key, 1..=10_000_000).unwrap_or(default);
    let deadline = |key: &str, default: Duration| match section.duration(key) {
        None => default,
        Some(duration) if duration.is_zero() => {
            section.warn(
                key,
                "no_deadline",
                format!("0 would be no deadline at all; {default:?} is used"),
                "write a long duration if you need one",
            );
            default
        }
        Some(duration) => duration,
    };
    let some = |key| section.duration(key).filter(|duration| !duration.is_zero());
    ServerLimits {
        max_connections: count("max_connections", defaults.max_connections),
        max_connections_per_source: section.number("max_connections_per_source", 1..=MAX),
        max_handshakes: count("max_handshakes", defaults.max_handshakes),
        handshake_timeout: deadline("handshake_timeout", defaults.handshake_timeout),
        header_timeout: deadline("read_header_timeout", defaults.header_timeout),
        body_timeout: deadline("read_timeout", defaults.body_timeout),
        request_timeout: deadline("request_timeout", defaults.request_timeout),
        write_timeout: deadline("write_timeout", defaults.write_timeout),
        idle_timeout: some("idle_timeout"),
        max_connection_age: some("max_connection_age"),
        max_connection_age_grace: some("max_connection_age_grace")
            .unwrap_or(defaults.max_connection_age_grace),
        max_concurrent_streams: section
            .number("max_concurrent_streams", 0..=u32::MAX.into())
            .filter(|streams| *streams > 0)
            .unwrap_or(defaults.max_concurrent_streams),
        max_in_flight_bytes: section
            .bytes("max_in_flight_bytes", 1..=MAX)
            .unwrap_or(defaults.max_in_flight_bytes),
        keepalive: defaults.keepalive,
    }
}

fn paths(section: &Section<'_>) -> UrlPaths {
    let mut paths = UrlPaths::default();
    for (slot, key) in
        paths.0.iter_mut().zip(["traces_url_path", "metrics_url_path", "logs_url_path"])
    {
        let Some(text) = section.string(key) else { continue };
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if !path.bytes().all(|b| b.is_ascii_graphic()) || path.contains(['{', '}']) {
            let message = format!("invalid HTTP URL path set for signal: {text:?}");
            section.error(key, "url_path", message);
        }
        *slot = path;
    }
    for (index, key) in ["traces_url_path", "metrics_url_path", "logs_url_path"].iter().enumerate()
    {
        let twice = paths.0.iter().filter(|path| paths.0.get(index) == Some(*path)).count() > 1;
        if twice && section.has(key) {
            section.error(key, "url_path", "two signals have this path; none could be told apart");
        }
    }
    paths
}

fn cors(section: &Section<'_>) -> Option<Cors> {
    let cors = Cors {
        allowed_origins: section.strings("allowed_origins").unwrap_or_default(),
        allowed_headers: section.strings("allowed_headers").unwrap_or_default(),
        exposed_headers: section.strings("exposed_headers").unwrap_or_default(),
        max_age: section.number("max_age", 0..=MAX).unwrap_or(0),
    };
    for origin in &cors.allowed_origins {
        if origin.matches('*').count() > 1 {
            let message = format!("{origin:?} holds more than one *");
            section.error("allowed_origins", "cors", message);
        }
    }
    if cors.allowed_origins.is_empty() {
        let help = "add allowed_origins, or remove cors";
        section.warn("", "no_effect", "has no effect without allowed_origins", help);
        return None;
    }
    Some(cors)
}

fn algorithms(section: &Section<'_>) -> Option<Vec<String>> {
    let mut algorithms = Vec::new();
    for text in section.strings("compression_algorithms")? {
        let lower = text.to_ascii_lowercase();
        let lower = if lower == "identity" { String::new() } else { lower };
        if ALGORITHMS.contains(&lower.as_str()) {
            algorithms.push(lower);
        } else {
            section.error_help(
                "compression_algorithms",
                "unknown_value",
                format!("the content coding {text:?} is not known"),
                "use of: \"\" (none), gzip, zstd, zlib, snappy, deflate, lz4, x-snappy-framed",
            );
        }
    }
    Some(algorithms)
}

const ALGORITHMS: [&str; 8] =
    ["", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"];

/// What OTLP 1.11 recommends.
const DEFAULT_BYTES: usize = 64 << 20;

/// Protobuf messages end at 2 GiB.
const MAX_BODY: i128 = (2 << 30) - 1;

/// A buffer each connection has.
const MAX_BUFFER: i128 = 64 << 20;
