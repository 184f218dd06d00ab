//! `proxy_url`: tunnels for `https://`, whole requests for `http://`, and proxies that fail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::backend::{Backend, Reply, Terms, h2, http1, page, read_http1, tls};
use super::log;
use super::ports;
use super::stage::{Expected, Stage};
use crate::support::pki::{TestPki, server_params};

/// A proxy that knows some names, and notes the heads that it was sent. It ends with the value.
pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Leads everything to one address.
    pub async fn to(upstream: SocketAddr) -> Self {
        Self::leading(&[("", upstream)]).await
    }

    /// Leads requests and tunnels to the address of the name that they begin with.
    pub async fn leading(names: &[(&'static str, SocketAddr)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noting = Arc::clone(&asked);
        let mut tasks = JoinSet::new();
        let names = names.to_vec();
        tasks.spawn(async move {
            let mut relaying = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                relaying.spawn(relay(client, names.clone(), Arc::clone(&noting)));
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    /// With a user and a password.
    pub fn url(&self) -> String {
        format!("http://me:pa55%20word@{}", self.address)
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// `me:pa55 word`.
pub const CREDENTIALS: &str = "Basic bWU6cGE1NSB3b3Jk";

async fn relay(
    mut client: TcpStream,
    names: Vec<(&'static str, SocketAddr)>,
    asked: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    asked.lock().unwrap().push(head.clone());
    let (_, place) = head.split_once(' ').unwrap();
    let place = place.trim_start_matches("http://");
    let (_, upstream) = names.iter().find(|(name, _)| place.starts_with(name))?;
    let mut upstream = TcpStream::connect(upstream).await.ok()?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n").await.ok()?;
    } else {
        // One request on each connection, in the form that servers are sent.
        let (method, rest) = head.split_once(" http://").unwrap();
        let (_, path) = rest.split_once('/').unwrap();
        let head = format!("{method} /{path}").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        upstream.write_all(head.as_bytes()).await.ok()?;
    }
    let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    Some(())
}

fn through(proxy: &str, endpoint: &str, keys: &str) -> (&'static str, String) {
    ("otlp_http", format!("{{ endpoint: '{endpoint}', proxy_url: '{proxy}', {keys} }}"))
}

/// Scenario: an upstream for HTTP/2 and one for HTTP/1.1, whose names only the proxy knows, and one
/// with a certificate for another name.
/// Guarantees: the proxy is asked for a tunnel, with its password; TLS goes through it to the upstream,
/// whose name is verified, and whoever fails that is told with the way it went; no password is shown.
#[tokio::test]
async fn tls_is_verified_through_a_tunnel() {
    let pki = TestPki::new();
    let leaf = pki.ca.issue(server_params(&["backend.example"]));
    let new = tls(&leaf, &Terms { alpn: &[b"h2"], ..Terms::default() });
    let new = Backend::start(Some(new), h2(|_| Reply::success())).await;
    let old = tls(&leaf, &Terms { alpn: &[b"http/1.1"], ..Terms::default() });
    let old = Backend::start(Some(old), http1(page("200 OK", "", ""), true)).await;
    let (to_new, to_old) = (Proxy::to(new.address).await, Proxy::to(old.address).await);
    let keys = format!("tls: {{ ca_file: {} }}", pki.path("ca.crt").display());
    let mut stage = Stage::start(&[
        through(&to_new.url(), "https://backend.example:4318", &keys),
        through(&to_old.url(), "https://backend.example", &keys),
        through(&to_old.url(), "https://other.example:4318", &keys),
    ])
    .await;
    for which in 0..2 {
        stage.expect_ok(which).await;
        stage.expect_ok(which).await;
    }
    let way = format!("other.example:4318 through proxy {}", to_old.address);
    let says = [&*way, "other.example", "backend.example"];
    stage.expect(2, &Expected::unavailable("upstream_name_mismatch", &says)).await;
    let told = stage.over_grpc(2).await.unwrap_err();
    let shown = format!("{told:?} {:?}", log::of(stage.id(2)));
    assert!(!shown.contains("pa55") && !shown.contains("bWU6"), "{shown}");
    stage.end().await;
    for (proxy, port) in [(&to_new, 4318), (&to_old, 443)] {
        let asked = &proxy.asked()[0];
        let line =
            format!("CONNECT backend.example:{port} HTTP/1.1\r\nHost: backend.example:{port}");
        assert!(asked.starts_with(&line), "{asked}");
        assert!(asked.contains(&format!("Proxy-Authorization: {CREDENTIALS}\r\n")), "{asked}");
    }
    let [asked, ..] = &new.seen.requests()[..] else { panic!("no request") };
    assert!(asked.headers.get("proxy-authorization").is_none(), "that is for the proxy alone");
    assert_eq!(asked.uri.authority().unwrap(), "backend.example:4318");
    assert_eq!((new.seen.requests().len(), old.seen.requests().len()), (4, 4));
}

/// Scenario: an upstream in the clear, whose name only the proxy knows.
/// Guarantees: the proxy is sent whole requests with the full URL and its password, as RFC 9112 3.2.2
/// has it; its own refusal is told as what it is.
#[tokio::test]
async fn requests_in_the_clear_are_sent_to_the_proxy_itself() {
    let backend = Backend::start(None, http1(page("200 OK", "", ""), true)).await;
    let proxy = Proxy::to(backend.address).await;
    let wants = page("407 Proxy Authentication Required", "proxy-authenticate: Basic\r\n", "");
    let strict = Backend::start(None, http1(wants, true)).await;
    let mut stage = Stage::start(&[
        through(&proxy.url(), "http://backend.example:4318/base", ""),
        through(&format!("http://{}", strict.address), "http://backend.example", ""),
    ])
    .await;
    stage.expect_ok(0).await;
    let expected = Expected::unknown(
        "upstream_http_407",
        &["407", "the proxy wants a user and a password", "http://USER:PASSWORD@HOST:PORT"],
    );
    stage.expect(1, &expected).await;
    stage.end().await;
    let asked = &proxy.asked()[0];
    let line = "POST http://backend.example:4318/base/v1/traces HTTP/1.1\r\n";
    assert!(asked.starts_with(line), "{asked}");
    let asked = asked.to_lowercase();
    assert!(asked.contains("host: backend.example:4318\r\n"), "{asked}");
    let credentials = format!("proxy-authorization: {CREDENTIALS}\r\n").to_lowercase();
    assert!(asked.contains(&credentials), "{asked}");
    assert_eq!(strict.seen.requests()[0].uri.to_string(), "http://backend.example/v1/traces");
    assert_eq!(backend.seen.requests().len(), 2);
}

/// Scenario: proxies that refuse, cannot reach the upstream, speak something else, tear off, are
/// not there, or have no address.
/// Guarantees: the sender may try again, and is told that it is the proxy, what it said and what to
/// do; no password is shown.
#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_told_with_what_it_said() {
    let answers = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it wants a user and a password"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\n<html>", "its rules forbid this way"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "it cannot reach the upstream"),
        ("HTTP/1.1 301 Moved\r\nlocation: /\r\n\r\n", "check proxy_url"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "check proxy_url"),
        ("HTTP/1.1 200 OK\r\n", "in a head without an end"),
        ("HTTP/1.1 200 OK\r\nx: y\r\n\r", "in a head without an end"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "which is not HTTP"),
        ("\x15\x03\x01\x00\x02\x02\x46", "which is not HTTP"),
        ("", "it hung up without an answer"),
    ];
    let mut proxies = Vec::new();
    let (closed, _held) = ports::closed();
    let mut urls = Vec::new();
    for (answer, _) in answers {
        let proxy = Backend::start(None, move |mut peer, seen| {
            Box::pin(async move {
                if let Some(asked) = read_http1(&mut peer).await {
                    seen.note(asked);
                    let _told = peer.write_all(answer.as_bytes()).await;
                }
            })
        })
        .await;
        urls.push(format!("http://me:pa55@{}", proxy.address));
        proxies.push(proxy);
    }
    urls.push(format!("http://me:pa55@{closed}"));
    // An empty label never gets as far as a name server.
    urls.push("http://me:pa55@no..such:3128".to_owned());
    let pki = TestPki::new();
    let keys = format!("tls: {{ ca_file: {} }}", pki.path("ca.crt").display());
    let exporters: Vec<_> =
        urls.iter().map(|url| through(url, "https://backend.example:4318", &keys)).collect();
    let mut stage = Stage::start(&exporters).await;
    let says = answers.iter().map(|(_, says)| *says);
    let says = says.chain(["refused", "the name no..such cannot be resolved"]);
    for (which, says) in says.enumerate() {
        let says = ["proxy ", "backend.example:4318", says];
        stage.expect(which, &Expected::unavailable("upstream_proxy", &says)).await;
        let told = stage.over_grpc(which).await.unwrap_err();
        let shown = format!("{told:?} {:?}", log::of(stage.id(which)));
        assert!(!shown.contains("pa55") && !shown.contains("bWU6"), "{shown}");
    }
    stage.end().await;
}

/// Scenario: a proxy that takes the connection and says nothing, one that never stops talking, and
/// one that is a black hole.
/// Guarantees: senders hear of it within `connect_timeout`.
#[tokio::test]
async fn a_proxy_that_hangs_costs_the_connect_timeout() {
    let mute = Backend::start(None, |mut peer, _| {
        Box::pin(async move { while let Ok(1..) = peer.read(&mut [0; 512]).await {} })
    })
    .await;
    let endless = Backend::start(None, |mut peer, _| {
        Box::pin(async move {
            let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
            while peer.write_all(&head).await.is_ok() {
                head = b"x-more: and more and more\r\n".repeat(100);
            }
        })
    })
    .await;
    let (hole, _full) = ports::full().await;
    let pki = TestPki::new();
    let keys = format!("connect_timeout: 1s, tls: {{ ca_file: {} }}", pki.path("ca.crt").display());
    let urls = [mute.address, endless.address, hole].map(|address| format!("http://{address}"));
    let exporters: Vec<_> =
        urls.iter().map(|url| through(url, "https://backend.example:4318", &keys)).collect();
    let mut stage = Stage::start(&exporters).await;
    let says = [
        ["did not open a tunnel to backend.example:4318", "no answer within connect_timeout"],
        ["did not open a tunnel to backend.example:4318", "in a head without an end"],
        ["leads to backend.example:4318, cannot be reached", "no answer within connect_timeout"],
    ];
    let expected =
        [&says[0], &says[1], &says[2]].map(|says| Expected::unavailable("upstream_proxy", says));
    stage.expect_at_once(&expected).await;
    stage.end().await;
}
