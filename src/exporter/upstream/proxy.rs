//! HTTP proxies on the way to an upstream.
//!
//! Guarantees that a proxy's credentials appear in no message.

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::config::types::Upstream;
use crate::exporter::upstream::ConnectError;

/// A proxy for one upstream.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// Where the proxy listens.
    pub(super) at: Upstream,
    /// For messages.
    name: String,
    /// Sent to the proxy.
    authorization: Option<HeaderValue>,
    /// What to ask a tunnel to; `None` sends it requests with full URLs.
    tunnel: Option<String>,
}

/// Longest answer to `CONNECT` that is read.
const MAX_ANSWER: usize = 8 * 1024;

impl Proxy {
    /// The proxy for a target as the environment names it (`HTTPS_PROXY`, `HTTP_PROXY`,
    /// `NO_PROXY`). As in Go, this host itself is never reached through one.
    ///
    /// # Errors
    /// The proxy cannot be used.
    pub(crate) fn from_environment(target: &Uri, tunnel: bool) -> Result<Option<Self>, String> {
        let host = target.host().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if here {
            return Ok(None);
        }
        Self::from_matcher(&Matcher::from_env(), target, tunnel)
    }

    /// The proxy that the configuration names, for every target.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) fn from_url(url: &str, target: &Uri, tunnel: bool) -> Result<Self, String> {
        let matcher = Matcher::builder().all(url.to_owned()).build();
        Self::from_matcher(&matcher, target, tunnel)?
            .ok_or_else(|| "is not the URL of an http:// proxy".to_owned())
    }

    fn from_matcher(matcher: &Matcher, target: &Uri, tunnel: bool) -> Result<Option<Self>, String> {
        let Some(found) = matcher.intercept(target) else { return Ok(None) };
        Self::new(&found, target, tunnel).map(Some)
    }

    fn new(found: &Intercept, target: &Uri, tunnel: bool) -> Result<Self, String> {
        let uri = found.uri();
        if uri.scheme_str() != Some("http") {
            let scheme = uri.scheme_str().unwrap_or("none");
            return Err(format!(
                "names a proxy of scheme {scheme:?}; only http:// proxies are served"
            ));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(80);
        let tunnel = tunnel.then(|| target.authority().map(ToString::to_string)).flatten();
        Ok(Self {
            name: format!("proxy {host}:{port}"),
            at: Upstream::Tcp { host, port },
            authorization: found.basic_auth().cloned(),
            tunnel,
        })
    }

    /// Where it listens.
    pub(crate) fn at(&self) -> &Upstream {
        &self.at
    }

    /// Whether requests are sent to the proxy itself.
    pub(crate) fn takes_requests(&self) -> bool {
        self.tunnel.is_none()
    }

    /// For requests that are sent to the proxy itself.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref().filter(|_| self.takes_requests())
    }

    /// Asks for a tunnel, where one is wanted.
    ///
    /// # Errors
    /// The proxy did not open it in time.
    pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
        deadline: Instant,
    ) -> Result<(), ConnectError> {
        let Some(target) = &self.tunnel else { return Ok(()) };
        let failed = |why: String| {
            let text = format!(
                "{} did not open a tunnel to {target}: {why}; check proxy_url or HTTPS_PROXY, and the proxy's rules",
                self.name
            );
            ConnectError::new("upstream_proxy", text)
        };
        let asked = timeout_at(deadline, self.ask(socket, target)).await;
        let head = match asked {
            Err(_) => return Err(failed("no answer within connect_timeout".to_owned())),
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Ok(Ok(head)) => head,
        };
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        match line.split(' ').nth(1) {
            Some("200") if line.starts_with("HTTP/1.") => Ok(()),
            _ => Err(failed(format!("it answered {line:?}"))),
        }
    }

    /// The head of the proxy's answer.
    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
        target: &str,
    ) -> std::io::Result<Vec<u8>> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        socket.write_all(&request).await?;
        let mut head = Vec::new();
        // One byte at a time: what follows the head belongs to the upstream.
        while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_ANSWER {
            head.push(socket.read_u8().await?);
        }
        Ok(head)
    }
}
