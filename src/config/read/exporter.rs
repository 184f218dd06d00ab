//! `exporters.otlp_grpc` and `exporters.otlp_http` (contract 2.1, 2.2, 3.4, 7).

use std::time::Duration;

use crate::config::read::address::{self, Scheme};
use crate::config::read::receiver::middlewares;
use crate::config::read::section::{Flavour, Section};
use crate::config::read::values::MAX;
use crate::config::read::{delivery, keepalive, tls};
use crate::config::sections::{ClientKeepalive, ClientTls, GrpcExporter, HttpExporter};
use crate::config::types::{Compression, Headers, Redacted, Upstream};
use crate::signal::Signal;

/// `otlp_grpc`.
pub(super) fn grpc(section: &Section<'_>) -> GrpcExporter {
    let endpoint = section.string("endpoint").unwrap_or_default();
    let target = if endpoint.is_empty() {
        let help = "add endpoint: host:4317";
        section.error_help("endpoint", "endpoint", "requires a non-empty \"endpoint\"", help);
        None
    } else {
        address::target(section, &endpoint)
    };
    let mut tls = section.section("tls", tls::client);
    if let Some(name) = &mut tls.server_name_override {
        // Go's gRPC cuts a port off.
        if let Ok((host, _)) = address::host_port(name) {
            *name = host.to_owned();
        }
    }
    let scheme = target.as_ref().map_or(Scheme::Other, |target| target.scheme);
    let tls = grpc_tls(section, tls, scheme);
    no_effects(section);
    if section.section("pick_first", |policy| policy.boolean("shuffle_address_list")) == Some(true)
    {
        section.no_effect("pick_first", "addresses are tried in the order of the resolver");
    }
    GrpcExporter {
        key_path: section.path.clone(),
        endpoint,
        upstream: target.map_or_else(
            || Upstream::Tcp { host: String::new(), port: 0 },
            |target| target.upstream,
        ),
        tls,
        timeout: section.duration("timeout").unwrap_or(Duration::from_secs(5)),
        compression: compression(section, true),
        headers: lower_case(section.headers("headers")),
        user_agent: section.string("user_agent").filter(|text| !text.is_empty()),
        authority: section.string("authority").filter(|text| !text.is_empty()),
        keepalive: section.optional("keepalive", Flavour::None, pings),
        wait_for_ready: section.boolean("wait_for_ready").unwrap_or(false),
        round_robin: section
            .word("balancer_name", &[("round_robin", true), ("pick_first", false), ("", false)])
            .unwrap_or(true),
        connect_timeout: connect_timeout(section),
        retry: delivery::retry(section),
        queue: delivery::queue(section, Flavour::Some),
    }
}

/// Whether there is TLS: the table of contract 2.2.
fn grpc_tls(section: &Section<'_>, tls: ClientTls, scheme: Scheme) -> Option<ClientTls> {
    let off = tls.insecure && tls.common.ca.is_none();
    match (off, scheme) {
        (true, Scheme::Https) => {
            let help = "remove tls.insecure";
            let message = "https:// with tls.insecure: TLS is used, against the system's roots, and \
                           the rest of the tls block is ignored";
            section.warn("endpoint", "tls_insecure", message, help);
            Some(ClientTls::default())
        }
        (true, Scheme::Http | Scheme::Other) => {
            warn_unused(section, &tls, "tls.insecure makes this connection plaintext");
            None
        }
        (false, Scheme::Http) => {
            let message = "http:// does not switch TLS off; this connection is TLS";
            section.warn(
                "endpoint",
                "tls_scheme",
                message,
                "use tls: {insecure: true} for plaintext",
            );
            Some(tls)
        }
        (false, Scheme::Https | Scheme::Other) => Some(tls),
    }
}

fn warn_unused(section: &Section<'_>, tls: &ClientTls, why: &str) {
    if tls.common.cert.is_some() {
        let help = "remove one of the two";
        let message = format!("the client certificate is not used: {why}");
        section.warn("tls", "no_effect", message, help);
    }
}

fn pings(section: &Section<'_>) -> ClientKeepalive {
    let floor = Duration::from_secs(10);
    ClientKeepalive {
        time: section.duration("time").unwrap_or_default().max(floor),
        timeout: section
            .duration("timeout")
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(Duration::from_secs(20)),
        permit_without_stream: section.boolean("permit_without_stream").unwrap_or(false),
    }
}

/// `otlp_http`.
pub(super) fn http(section: &Section<'_>) -> HttpExporter {
    let urls = urls(section);
    let tls = http_tls(section, &urls);
    let compression = compression(section, false);
    no_effects(section);
    if section.optional("cookies", Flavour::None, |_| ()).is_some() {
        section.no_effect("cookies", "no cookie is kept");
    }
    let idle = keepalive::http_client(section);
    let duration =
        |key, seconds| section.duration(key).unwrap_or_else(|| Duration::from_secs(seconds));
    HttpExporter {
        key_path: section.path.clone(),
        urls,
        tls,
        timeout: duration("timeout", 30),
        compression,
        compression_level: level(section, compression),
        headers: section.headers("headers"),
        json: section.word("encoding", &[("proto", false), ("json", true)]).unwrap_or(false),
        proxy_url: proxy(section),
        max_idle_conns: idle.total,
        max_idle_conns_per_host: idle.per_host,
        max_conns_per_host: section.number("max_conns_per_host", 0..=1_000_000).unwrap_or(0),
        idle_conn_timeout: idle.timeout,
        disable_keep_alives: idle.disabled,
        force_attempt_http2: section.boolean("force_attempt_http2").unwrap_or(true),
        http2_read_idle_timeout: duration("http2_read_idle_timeout", 0),
        http2_ping_timeout: section
            .duration("http2_ping_timeout")
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(Duration::from_secs(15)),
        connect_timeout: connect_timeout(section),
        retry: delivery::retry(section),
        queue: delivery::queue(section, Flavour::Some),
    }
}

fn http_tls(section: &Section<'_>, urls: &[Option<String>; 4]) -> ClientTls {
    let tls = section.section("tls", tls::client);
    if tls.server_name_override.as_deref().is_some_and(|n| address::host_port(n).is_ok()) {
        let help = "write the name alone";
        section.error_help("tls", "server_name", "server_name_override has a port", help);
    }
    let https = |url: &Option<String>| url.as_deref().is_some_and(|url| url.starts_with("https:"));
    if !urls.iter().any(https) {
        if urls.iter().any(Option::is_some) {
            warn_unused(section, &tls, "an http:// endpoint is plaintext");
        }
        return tls;
    }
    if tls.insecure && tls.common.ca.is_none() {
        section.warn(
            "tls",
            "tls_insecure",
            "insecure does not make https:// plaintext: TLS is used, against the system's roots, \
             and the rest of the tls block is ignored",
            "remove tls.insecure, or write http://",
        );
        return ClientTls::default();
    }
    tls
}

/// `auth` and `middlewares` would change what is sent; the buffers are hyper's own.
fn no_effects(section: &Section<'_>) {
    if section.optional("auth", Flavour::None, |auth| auth.string("authenticator")).is_some() {
        section.error_help(
            "auth",
            "auth",
            "authenticators of exporters are not supported; requests would go out without \
             credentials",
            "send a token with headers: {Authorization: \"Bearer ${file:/run/secrets/token}\"}, or \
             a client certificate with tls.cert_file",
        );
    }
    middlewares(section);
    for key in ["read_buffer_size", "write_buffer_size"] {
        if section.number::<i64>(key, -MAX..=MAX).is_some() {
            section.no_effect(key, "buffers towards upstreams size themselves");
        }
    }
}

fn connect_timeout(section: &Section<'_>) -> Duration {
    section
        .duration("connect_timeout")
        .filter(|timeout| !timeout.is_zero())
        .unwrap_or(Duration::from_secs(10))
}

fn lower_case(headers: Headers) -> Headers {
    headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

fn compression(section: &Section<'_>, grpc: bool) -> Compression {
    let found = section.word(
        "compression",
        &[
            ("gzip", Compression::Gzip),
            ("zstd", Compression::Zstd),
            ("snappy", Compression::Snappy),
            ("none", Compression::None),
            ("", Compression::None),
            ("deflate", Compression::Deflate),
            ("zlib", Compression::Zlib),
            ("lz4", Compression::Lz4),
            ("x-snappy-framed", Compression::SnappyFramed),
        ],
    );
    let name = match found {
        Some(Compression::Deflate) => "deflate",
        Some(Compression::Lz4) => "lz4",
        Some(Compression::SnappyFramed) => "x-snappy-framed",
        Some(Compression::Zlib) => "zlib",
        Some(Compression::Gzip | Compression::None | Compression::Snappy | Compression::Zstd)
        | None => return found.unwrap_or(Compression::Gzip),
    };
    if grpc {
        let message = format!("unsupported compression type {name:?}: gRPC has no such encoding");
        section.error_help(
            "compression",
            "unknown_value",
            message,
            "use gzip, zstd, snappy or none",
        );
    }
    found.unwrap_or(Compression::Gzip)
}

fn level(section: &Section<'_>, compression: Compression) -> Option<i32> {
    let level: i32 = section.section("compression_params", |params| {
        let level = params.number("level", i32::MIN.into()..=i32::MAX.into())?;
        let fits = match compression {
            Compression::Deflate | Compression::Gzip | Compression::Zlib => {
                (-2..=9).contains(&level)
            }
            Compression::Zstd => true,
            Compression::Lz4
            | Compression::None
            | Compression::Snappy
            | Compression::SnappyFramed => level == 0,
        };
        if !fits {
            let message = format!("level {level} is not supported by this compression");
            let help = "gzip, zlib and deflate take -2 to 9; snappy and lz4 have no levels";
            params.error_help("level", "out_of_range", message, help);
        }
        Some(level)
    })?;
    // 0 is Go's "not set", as -1 is the library's default.
    (level != 0 && level != -1).then_some(level)
}

fn urls(section: &Section<'_>) -> [Option<String>; 4] {
    let base = url(section, "endpoint");
    let base = base.map(|base| base.strip_suffix('/').unwrap_or(&base).to_owned());
    let urls = Signal::ALL.map(|signal| {
        let own = url(section, &format!("{}_endpoint", signal.name()));
        own.or_else(|| base.as_ref().map(|base| format!("{base}{}", signal.http_path())))
    });
    if let Some(base) = &base {
        warn_of_doubled_path(section, base);
    }
    let named =
        ["endpoint", "traces_endpoint", "metrics_endpoint", "logs_endpoint", "profiles_endpoint"];
    if urls.iter().all(Option::is_none) && !named.iter().any(|key| section.has(key)) {
        let help = "add endpoint: https://host:4318";
        let message = "at least one endpoint must be specified";
        section.error_help("endpoint", "endpoint", message, help);
    }
    urls
}

/// What the signal's own key takes was written as `endpoint`.
fn warn_of_doubled_path(section: &Section<'_>, base: &str) {
    let doubled = |signal: Signal| Some((signal, base.strip_suffix(signal.http_path())?));
    if let Some((signal, root)) = Signal::ALL.into_iter().find_map(doubled) {
        let path = signal.http_path();
        section.warn(
            "endpoint",
            "doubled_path",
            format!("{path} is put behind it again: {signal} go to {base}{path}"),
            format!("write endpoint: {root}, or {signal}_endpoint: {base}"),
        );
    }
}

/// An absolute http(s) URL.
fn url(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.string(key).filter(|text| !text.is_empty())?;
    let problem = |message: &str, help: String| {
        section.error_help(key, "endpoint", message, help);
        None
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return problem(
            "endpoint must be a valid URL: it has no scheme",
            format!("did you mean https://{text}? http:// is plaintext"),
        );
    };
    if !matches!(scheme, "http" | "https") {
        return problem("only http:// and https:// are supported", String::from("use https://"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return problem(
            "a user and password in the URL are not sent",
            "use headers: {Authorization: ...}".to_owned(),
        );
    }
    let parsed = text.parse::<http::Uri>().ok().and_then(|uri| {
        let authority = uri.authority()?;
        let rest = authority.as_str().strip_prefix(authority.host())?;
        let port = rest.strip_prefix(':').map(str::parse::<u16>);
        (!authority.host().is_empty() && (rest.is_empty() || matches!(port, Some(Ok(p)) if p > 0)))
            .then_some(())
    });
    if parsed.is_none() {
        return problem(
            "endpoint must be a valid URL",
            "write https://host:port/path, with port and path as needed".to_owned(),
        );
    }
    Some(text)
}

fn proxy(section: &Section<'_>) -> Option<Redacted<String>> {
    let text = section.string("proxy_url").filter(|text| !text.is_empty())?;
    let known = ["http://", "https://", "socks5://", "socks5h://"];
    if !known.iter().any(|scheme| text.starts_with(scheme)) {
        // It may hold a password and is not repeated.
        let help = "write http://host:port, with user:password@ before the host if needed";
        section.error_help("proxy_url", "endpoint", "is no URL of a proxy", help);
    }
    Some(Redacted::new(text))
}
