//! What every request of one exporter has in common, made once.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::time::Instant;

use crate::aside::{Aside, Undone};
use crate::batch::{Batch, Rope};
use crate::coding::{self, Coding};
use crate::config::sections::GrpcExporter;
use crate::config::types::{Compression, Upstream};
use crate::exporter::upstream::{Proxy, Told};
use crate::exporter::{LoadError, margin, route, user_agent};
use crate::signal::Signal;

/// The unchanging part of requests. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// By [`Signal::index`].
    uris: [Uri; 4],
    headers: HeaderMap,
    coding: Option<Coding>,
    timeout: Option<Duration>,
    aside: Aside,
    /// As in Go, the environment may name one for TLS.
    pub(super) proxy: Option<Proxy>,
    /// What the workers said of the upstream.
    pub(super) told: Told,
}

impl Template {
    /// Warnings are about headers that have no effect.
    ///
    /// # Errors
    /// A header, the user agent or the authority cannot be sent, or the proxy that the environment
    /// names cannot be used.
    pub(crate) fn new(
        config: &GrpcExporter,
        aside: &Aside,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LoadError> {
        let coding = coding_of(config)?;
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(name) = coding.and_then(Coding::grpc_name) {
            headers.insert("grpc-encoding", HeaderValue::from_static(name));
        }
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
        let agent = config.user_agent.clone().unwrap_or_else(user_agent);
        let agent = HeaderValue::try_from(agent).map_err(|_invalid| {
            LoadError::setting(
                &config.key_path,
                "user_agent",
                "holds characters that a header cannot",
            )
        })?;
        headers.insert(USER_AGENT, agent);
        for (name, value) in &config.headers {
            add_header(&mut headers, &config.key_path, name, value.expose(), warnings)?;
        }
        let scheme = if config.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = authority(config)?;
        let uri = |signal: Signal| {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
            parts.path_and_query = Some(PathAndQuery::from_static(signal.grpc_path()));
            Uri::from_parts(parts).unwrap_or_default()
        };
        let timeout = (!config.timeout.is_zero()).then_some(config.timeout);
        let proxy = route::of_grpc(config)?;
        let (uris, aside) = (Signal::ALL.map(uri), aside.clone());
        Ok(Self { uris, headers, coding, timeout, aside, proxy, told: Told::default() })
    }

    /// When the answer must be there.
    pub(crate) fn deadline(&self, sender: Instant) -> Instant {
        margin::deadline(sender, self.timeout)
    }

    /// The bytes to send and whether they are compressed: those that came in, when they came in
    /// the same coding and nothing was changed.
    ///
    /// # Errors
    /// They could not be compressed, or not before the deadline.
    pub(crate) async fn body(
        &self,
        batch: &Batch,
        deadline: Instant,
    ) -> Result<(Rope, bool), Undone> {
        let Some(wanted) = self.coding else { return Ok((batch.decoded.clone(), false)) };
        if let Some(encoded) = &batch.encoded
            && encoded.coding == wanted
        {
            return Ok((encoded.body.clone(), true));
        }
        let decoded = batch.decoded.clone();
        let compress = move || coding::compress(wanted, None, &decoded);
        Ok((self.aside.on(batch.decoded.len(), deadline, compress).await?, true))
    }

    /// The head of one request.
    pub(crate) fn request(&self, signal: Signal, deadline: Instant) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        if let Some(uri) = self.uris.get(signal.index()) {
            *request.uri_mut() = uri.clone();
        }
        let mut headers = self.headers.clone();
        headers.insert(GRPC_TIMEOUT, grpc_timeout(deadline));
        *request.headers_mut() = headers;
        request
    }
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// At most eight digits and a unit.
fn grpc_timeout(deadline: Instant) -> HeaderValue {
    let left = deadline.saturating_duration_since(Instant::now());
    let (number, unit) = match left.as_millis() {
        // Zero would be refused before it is read.
        0 => (1, 'm'),
        millis @ 1..=99_999_999 => (millis, 'm'),
        _ => (u128::from(left.as_secs()).min(99_999_999), 'S'),
    };
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("1m"))
}

fn coding_of(config: &GrpcExporter) -> Result<Option<Coding>, LoadError> {
    match config.compression {
        Compression::None => Ok(None),
        Compression::Gzip => Ok(Some(Coding::Gzip)),
        Compression::Zstd => Ok(Some(Coding::Zstd)),
        Compression::Snappy => Ok(Some(Coding::SnappyFramed)),
        Compression::Deflate | Compression::Lz4 | Compression::SnappyFramed | Compression::Zlib => {
            Err(LoadError::setting(
                &config.key_path,
                "compression",
                "gRPC knows gzip, snappy, zstd and none; the others exist for otlp_http only",
            ))
        }
    }
}

fn add_header(
    headers: &mut HeaderMap,
    key_path: &str,
    name: &str,
    value: &str,
    warnings: &mut Vec<String>,
) -> Result<(), LoadError> {
    let key = format!("headers.{name}");
    let parsed = HeaderName::try_from(name)
        .map_err(|_invalid| LoadError::setting(key_path, &key, "is not a header name"))?;
    if parsed.as_str().starts_with("grpc-") || headers.contains_key(&parsed) || parsed == "host" {
        warnings.push(format!(
            "{key_path}.{key} has no effect: the exporter sets this header itself; remove it"
        ));
        return Ok(());
    }
    let value = if name.ends_with("-bin") {
        HeaderValue::try_from(STANDARD_NO_PAD.encode(value))
    } else {
        HeaderValue::try_from(value)
    };
    let mut value = value.map_err(|_invalid| {
        LoadError::setting(
            key_path,
            &key,
            "holds characters that a header cannot, such as a line break at its end",
        )
    })?;
    value.set_sensitive(true);
    headers.append(parsed, value);
    Ok(())
}

/// `authority`, else `server_name_override`, else the endpoint's host and port.
fn authority(config: &GrpcExporter) -> Result<Authority, LoadError> {
    let (key, text) = match (&config.authority, &config.tls, &config.upstream) {
        (Some(authority), _, _) => ("authority", authority.clone()),
        (None, Some(tls), _) if tls.server_name_override.is_some() => {
            ("tls.server_name_override", tls.server_name_override.clone().unwrap_or_default())
        }
        (None, _, Upstream::Tcp { host, port }) if host.contains(':') => {
            ("endpoint", format!("[{host}]:{port}"))
        }
        (None, _, Upstream::Tcp { host, port }) => ("endpoint", format!("{host}:{port}")),
        (None, _, Upstream::Unix(_)) => ("endpoint", "localhost".to_owned()),
    };
    Authority::try_from(text)
        .map_err(|error| LoadError::setting(&config.key_path, key, error.to_string()))
}
