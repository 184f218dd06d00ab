//! What every request of one exporter has in common, made once.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, USER_AGENT,
};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::time::Instant;

use crate::aside::Aside;
use crate::batch::{Batch, Room, Rope};
use crate::coding::{self, Coding};
use crate::config::sections::HttpExporter;
use crate::config::types::{Compression, Upstream};
use crate::exporter::http::body::Body;
use crate::exporter::upstream::{Dialer, Proxy};
use crate::exporter::{EncodeError, LoadError, route, user_agent};
use crate::otlp::json;
use crate::signal::Signal;
use crate::tls::ClientSnapshot;
use crate::tls::store::Watch;

/// The unchanging part of requests.
#[derive(Debug)]
pub(crate) struct Template {
    /// By [`Signal::index`].
    targets: [Option<Target>; 4],
    json: bool,
    coding: Option<Coding>,
    level: Option<i32>,
    pub(super) timeout: Option<Duration>,
    aside: Aside,
    /// For what becomes JSON.
    room: Room,
    pub(super) pooling: Pooling,
}

/// How connections are kept.
#[derive(Clone, Debug)]
pub(super) struct Pooling {
    pub(super) max_idle_per_host: usize,
    pub(super) max_conns_per_host: usize,
    pub(super) idle_conn_timeout: Option<Duration>,
    pub(super) ping_after: Option<Duration>,
    pub(super) ping_timeout: Duration,
}

/// Where one signal goes.
#[derive(Clone)]
pub(crate) struct Target {
    /// Without credentials, for messages and labels.
    pub(crate) shown: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
    https: bool,
    uri: Uri,
    headers: HeaderMap,
    pub(super) dialer: Dialer,
    /// Requests are sent to a proxy and carry the full URL.
    pub(super) to_proxy: bool,
}

impl Target {
    /// Whether connections to one lead to the other.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a key.
        f.debug_struct("Target").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Template {
    /// # Errors
    /// A URL, a header or the proxy cannot be used.
    pub(crate) fn new(
        config: &HttpExporter,
        aside: &Aside,
        room: &Room,
        snapshots: Option<&Watch<ClientSnapshot>>,
    ) -> Result<Self, LoadError> {
        let coding = coding_of(config.compression);
        let headers = headers(config, coding)?;
        let mut targets = [const { None }; 4];
        for ((slot, url), signal) in targets.iter_mut().zip(&config.urls).zip(Signal::ALL) {
            if let Some(url) = url {
                let key = format!("{signal}_endpoint");
                *slot = Some(target(config, &key, url, &headers, snapshots)?);
            }
        }
        let max_idle = match (config.max_idle_conns, config.max_idle_conns_per_host) {
            (_, _) if config.disable_keep_alives => 0,
            (0, per_host) => per_host,
            (all, per_host) => per_host.min(all),
        };
        let some = |duration: Duration| (!duration.is_zero()).then_some(duration);
        Ok(Self {
            targets,
            json: config.json,
            coding,
            level: config.compression_level,
            timeout: some(config.timeout),
            aside: aside.clone(),
            room: room.clone(),
            pooling: Pooling {
                max_idle_per_host: max_idle,
                max_conns_per_host: config.max_conns_per_host,
                idle_conn_timeout: some(config.idle_conn_timeout),
                ping_after: some(config.http2_read_idle_timeout),
                ping_timeout: config.http2_ping_timeout,
            },
        })
    }

    /// Where the signal with this index goes.
    pub(crate) fn target(&self, index: usize) -> Option<&Target> {
        self.targets.get(index)?.as_ref()
    }

    /// The bytes to send: those that came in, when they came in the same coding and nothing was
    /// changed.
    ///
    /// # Errors
    /// They could not be encoded, or not before the deadline.
    pub(super) async fn body(&self, batch: &Batch, deadline: Instant) -> Result<Rope, EncodeError> {
        let length = batch.decoded.len();
        let plain = if self.json {
            let (signal, decoded) = (batch.signal, batch.decoded.clone());
            let room = self.room.clone();
            let encode = move || {
                let most = room.limit();
                let text = json::encode_up_to(signal, &decoded, most);
                let text = text.ok_or(EncodeError::TooLarge { most })?;
                room.hold(text).map(Rope::from).ok_or(EncodeError::NoRoom { most })
            };
            self.aside.on(length, deadline, encode).await??
        } else {
            batch.decoded.clone()
        };
        let Some(wanted) = self.coding else { return Ok(plain) };
        match &batch.encoded {
            Some(encoded) if encoded.coding == wanted && !self.json => Ok(encoded.body.clone()),
            _ => {
                let level = self.level;
                let compress = move || coding::compress(wanted, level, &plain);
                Ok(self.aside.on(length, deadline, compress).await?)
            }
        }
    }

    pub(super) fn request(&self, target: &Target, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri.clone();
        *request.headers_mut() = target.headers.clone();
        request
    }
}

/// Our own headers, then the configured ones over them.
fn headers(config: &HttpExporter, coding: Option<Coding>) -> Result<HeaderMap, LoadError> {
    let mut headers = HeaderMap::new();
    let content_type = if config.json { "application/json" } else { "application/x-protobuf" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.http_name()));
    }
    if let Ok(agent) = HeaderValue::try_from(user_agent()) {
        headers.insert(USER_AGENT, agent);
    }
    if config.disable_keep_alives {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in &config.headers {
        let key = format!("headers.{name}");
        let wrong = |why: &str| LoadError::setting(&config.key_path, &key, why);
        let name = HeaderName::try_from(name).map_err(|_bad| wrong("is not a header name"))?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_bad| {
            wrong("holds characters that a header cannot, such as a line break at its end")
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn target(
    config: &HttpExporter,
    key: &str,
    url: &str,
    headers: &HeaderMap,
    snapshots: Option<&Watch<ClientSnapshot>>,
) -> Result<Target, LoadError> {
    let wrong = |why: String| LoadError::setting(&config.key_path, key, why);
    let uri = Uri::try_from(url).map_err(|error| wrong(format!("is not a URL: {error}")))?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(wrong("must begin with https:// or http://".to_owned())),
    };
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place.to_owned()),
        None => (None, authority.to_owned()),
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        return Err(wrong("names no host".to_owned()));
    }
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let with_port =
        if uri.port_u16().is_some() { place.clone() } else { format!("{place}:{port}") };
    let uri = with_authority(uri, &place).map_err(|error| wrong(error.to_string()))?;
    let routed = with_authority(uri.clone(), &with_port).map_err(|e| wrong(e.to_string()))?;
    let proxy = route::of_url(config, &routed, https)?;
    let mut headers = headers.clone();
    if let Some(user) = user
        && let Ok(mut value) = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user)))
    {
        value.set_sensitive(true);
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    let to_proxy = proxy.as_ref().is_some_and(Proxy::takes_requests);
    if let Some(value) = proxy.as_ref().and_then(Proxy::authorization) {
        headers.insert(PROXY_AUTHORIZATION, value.clone());
    }
    let shown = shown(&uri);
    let path = uri.path().to_owned();
    let uri = match headers.get(HOST).and_then(|value| value.to_str().ok()) {
        // HTTP/2 has no Host header; connections do not depend on the URL here.
        Some(wanted) if !to_proxy => {
            let uri = with_authority(uri, wanted).map_err(|error| {
                LoadError::setting(&config.key_path, "headers.Host", error.to_string())
            })?;
            headers.remove(HOST);
            uri
        }
        _ => uri,
    };
    let upstream = Upstream::Tcp { host: host.clone(), port };
    let snapshots = snapshots.filter(|_| https).cloned();
    let dialer = Dialer::new(upstream, snapshots, config.connect_timeout).through(proxy);
    Ok(Target { shown, host, port, path, https, uri, headers, dialer, to_proxy })
}

/// Without what follows the path: some backends take their key there.
fn shown(uri: &Uri) -> String {
    let mut text = uri.to_string();
    if let Some(at) = text.find('?') {
        text.truncate(at + 1);
        text.push_str("...");
    }
    text
}

fn with_authority(uri: Uri, authority: &str) -> Result<Uri, http::Error> {
    let mut parts = uri.into_parts();
    parts.authority =
        Some(Authority::from_maybe_shared(Bytes::copy_from_slice(authority.as_bytes()))?);
    parts.scheme.get_or_insert(Scheme::HTTP);
    Ok(Uri::from_parts(parts)?)
}

fn coding_of(compression: Compression) -> Option<Coding> {
    match compression {
        Compression::Deflate => Some(Coding::Deflate),
        Compression::Gzip => Some(Coding::Gzip),
        Compression::Lz4 => Some(Coding::Lz4),
        Compression::None => None,
        Compression::Snappy => Some(Coding::Snappy),
        Compression::SnappyFramed => Some(Coding::SnappyFramed),
        Compression::Zlib => Some(Coding::Zlib),
        Compression::Zstd => Some(Coding::Zstd),
    }
}
