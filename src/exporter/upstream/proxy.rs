//! HTTP proxies on the way to an upstream.
//!
//! Guarantees that a proxy's credentials appear in no message.

use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::types::Upstream;
use crate::exporter::upstream::ConnectError;
use crate::exporter::upstream::environment::Environment;
use crate::tls::LastWords;

/// A proxy for one upstream.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// Where the proxy listens.
    pub(super) at: Upstream,
    /// For messages.
    name: String,
    /// Sent to the proxy.
    authorization: Option<HeaderValue>,
    /// Host and port of the upstream.
    target: String,
    /// Whether to ask for a tunnel to it; else requests are sent to the proxy, with full URLs.
    tunnels: bool,
}

/// How an answer to `CONNECT` begins, and how long it may be.
const HTTP1: &[u8] = b"HTTP/1.";
const MAX_ANSWER: usize = 8 * 1024;
/// How much is shown of one that is not HTTP, and how long that is waited for.
const SHOWN: u64 = 80;
const MORE: Duration = Duration::from_millis(100);

impl Proxy {
    /// The proxy for a target with a port as the environment names it (`HTTPS_PROXY`,
    /// `HTTP_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// The proxy cannot be used.
    pub(crate) fn from_environment(target: &Uri, tunnels: bool) -> Result<Option<Self>, String> {
        let environment = Environment::of_process();
        let Some((variable, url)) = environment.proxy_for(target) else { return Ok(None) };
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let proxy = Self::from_url(&url, target, tunnels);
        proxy.map(Some).map_err(|why| format!("variable {variable} {why}"))
    }

    /// The proxy that the configuration names, for every target.
    ///
    /// # Errors
    /// It cannot be used. The text does not repeat it, for it may hold a password.
    pub(crate) fn from_url(url: &str, target: &Uri, tunnels: bool) -> Result<Self, String> {
        let matcher = Matcher::builder().all(url.to_owned()).build();
        let found = matcher
            .intercept(target)
            .ok_or_else(|| "is not the URL of an http:// proxy".to_owned())?;
        let uri = found.uri();
        if uri.scheme_str() != Some("http") {
            let scheme = uri.scheme_str().unwrap_or("none");
            return Err(format!(
                "names a proxy of scheme {scheme:?}; only http:// proxies are served"
            ));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(80);
        let target = target.authority().map(ToString::to_string).unwrap_or_default();
        Ok(Self {
            name: format!("proxy {host}:{port}"),
            at: Upstream::Tcp { host, port },
            authorization: found.basic_auth().cloned(),
            target,
            tunnels,
        })
    }

    /// Where it listens.
    pub(crate) fn at(&self) -> &Upstream {
        &self.at
    }

    /// Whether requests are sent to the proxy itself.
    pub(crate) fn takes_requests(&self) -> bool {
        !self.tunnels
    }

    /// For requests that are sent to the proxy itself.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref().filter(|_| self.takes_requests())
    }

    /// The upstream and the way to it, for messages.
    pub(super) fn place(&self) -> String {
        format!("{} through {}", self.target, self.name)
    }

    /// There is no connection to the proxy.
    pub(super) fn unreachable(&self, why: &str) -> ConnectError {
        let text = format!(
            "{}, which leads to {}, cannot be reached: {why}; start it, or correct {SOURCES}",
            self.name, self.target
        );
        ConnectError::new("upstream_proxy", text)
    }

    /// There is no connection yet, and no more time.
    pub(super) fn still_waiting(&self) -> ConnectError {
        let text = format!(
            "the connection to {} was not up in time: check that the proxy answers, and that it reaches the upstream",
            self.place()
        );
        ConnectError::new("upstream_timeout", text)
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
        if !self.tunnels {
            return Ok(());
        }
        let Self { name, target, .. } = self;
        let failed = |why: &str, next: &str| {
            let text = format!("{name} did not open a tunnel to {target}: {why}{next}");
            ConnectError::new("upstream_proxy", text)
        };
        // A proxy that wants nothing of us may have said so and hung up before it is asked.
        let asked = timeout_at(deadline, self.ask(&mut LastWords::new(socket))).await;
        let head = match asked {
            Err(_) => return Err(failed("no answer within connect_timeout", CHECK)),
            Ok(Err(error)) => return Err(failed(&error.to_string(), CHECK)),
            Ok(Ok(head)) => head,
        };
        let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
        let line: String = String::from_utf8_lossy(line).chars().take(100).collect();
        if !head.starts_with(HTTP1) {
            return Err(failed(&format!("it answered {line:?}, which is not HTTP"), CHECK));
        }
        let is_whole = head.ends_with(b"\r\n\r\n");
        let next = match line.split(' ').nth(1) {
            Some("200") if is_whole => return Ok(()),
            Some("200") => " in a head without an end",
            Some("407") => {
                "; it wants a user and a password: write them into its URL, as http://USER:PASSWORD@HOST:PORT"
            }
            Some("403") => "; its rules forbid this way: ask whoever runs it",
            Some("502" | "503" | "504") => {
                "; it cannot reach the upstream: is that up, and known to it?"
            }
            _ => CHECK,
        };
        Err(failed(&format!("it answered {line:?}"), next))
    }

    /// The head of the proxy's answer.
    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
    ) -> std::io::Result<Vec<u8>> {
        let target = &self.target;
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
            if !head.iter().zip(HTTP1).all(|(came, wanted)| came == wanted) {
                // Who answers at all says who it is in its first words.
                let _quiet = timeout(MORE, socket.take(SHOWN).read_to_end(&mut head)).await;
                break;
            }
            match socket.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_ended) if !head.is_empty() => break,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(std::io::Error::new(error.kind(), "it hung up without an answer"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(head)
    }
}

const SOURCES: &str = "proxy_url, HTTPS_PROXY or HTTP_PROXY";
const CHECK: &str = "; check proxy_url or HTTPS_PROXY, and the proxy's rules";

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Scenario: a proxy tells whoever connects to go away, and resets the connection unasked.
    /// Guarantees: its words are told, and not that the request could not be written.
    #[tokio::test]
    async fn what_a_proxy_says_before_it_is_asked_is_heard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Uri::from_static("https://backend.example:4318");
        let proxy = Proxy::from_url(&format!("http://{address}"), &target, true).unwrap();
        let mut near = TcpStream::connect(address).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        far.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        while SockRef::from(&near).send(&[]).is_ok() {
            tokio::task::yield_now().await;
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        let error = proxy.open(&mut near, deadline).await.unwrap_err().to_string();
        assert!(error.contains("HTTP/1.1 403 Forbidden") && error.contains("its rules"), "{error}");
    }
}
