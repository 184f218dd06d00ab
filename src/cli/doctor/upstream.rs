//! A connection to every upstream, one step after the other, with the first that fails explained.
//!
//! Guarantees a deadline for all steps of one upstream, and that no telemetry is sent: HTTP/2 is
//! greeted with its preface, HTTP/1.1 with a HEAD request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::cli::doctor::files::{GRPC, HTTP, describe, is_https, what};
use crate::cli::doctor::report::{Finding, Level, Report};
use crate::cli::doctor::steps::{Stopped, answered, failed, identity, late, refused, unconnected};
use crate::config::Config;
use crate::config::sections::{ClientTls, Exporter, GrpcExporter, HttpExporter};
use crate::config::types::Upstream;
use crate::exporter::{LoadError, Proxy, route};
use crate::tls::client::{self, UpstreamStream};
use crate::tls::store::Store;
use crate::tls::{Alpn, Connector};

/// Probes the upstreams of all exporters.
pub(super) fn examine(config: &Config, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            report.section("upstream", "upstreams");
            let help = "raise the limits of open files and of processes (ulimit -n, ulimit -u)";
            return report.add(failed("start", "runtime", error.to_string(), help));
        }
    };
    let probes: Vec<_> = config.exporters.values().flat_map(Probe::of).collect();
    if probes.is_empty() {
        report.section("upstream", "upstreams");
        return report.fine("", "no exporter has an upstream to connect to");
    }
    for probe in probes {
        report.section("upstream", format!("{} -> {}", probe.key_path, probe.shown()));
        runtime.block_on(probe.run(report));
    }
}

/// One upstream of one exporter.
struct Probe<'a> {
    key_path: &'a str,
    upstream: Upstream,
    tls: Option<&'a ClientTls>,
    alpn: &'static [&'static [u8]],
    timeout: Duration,
    proxy: Result<Option<Proxy>, LoadError>,
}

impl<'a> Probe<'a> {
    fn of(exporter: &'a Exporter) -> Vec<Self> {
        match exporter {
            Exporter::Grpc(grpc) => vec![Self::grpc(grpc)],
            Exporter::Http(http) => Self::http(http),
            Exporter::Debug(_) | Exporter::Nop => Vec::new(),
        }
    }

    fn grpc(config: &'a GrpcExporter) -> Self {
        Self {
            key_path: &config.key_path,
            upstream: config.upstream.clone(),
            tls: config.tls.as_ref(),
            alpn: GRPC,
            timeout: config.connect_timeout,
            proxy: route::of_grpc(config),
        }
    }

    /// One for each host and port among the URLs.
    fn http(config: &'a HttpExporter) -> Vec<Self> {
        let mut probes: Vec<Self> = Vec::new();
        for url in config.urls.iter().flatten() {
            let Ok(uri) = url.parse::<Uri>() else { continue };
            let tls = is_https(url).then_some(&config.tls);
            let port = uri.port_u16().unwrap_or_else(|| if tls.is_some() { 443 } else { 80 });
            let bracketed = uri.host().unwrap_or_default();
            let scheme = if tls.is_some() { "https" } else { "http" };
            let Ok(origin) = format!("{scheme}://{bracketed}:{port}/").parse::<Uri>() else {
                continue;
            };
            let host = bracketed.trim_matches(['[', ']']).to_owned();
            let upstream = Upstream::Tcp { host, port };
            if probes.iter().any(|probe| probe.upstream == upstream) {
                continue;
            }
            probes.push(Self {
                key_path: &config.key_path,
                upstream,
                tls,
                alpn: HTTP,
                timeout: config.connect_timeout,
                proxy: route::of_url(config, &origin, tls.is_some()),
            });
        }
        probes
    }

    fn shown(&self) -> String {
        match &self.upstream {
            Upstream::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Upstream::Tcp { host, port } => format!("{host}:{port}"),
            Upstream::Unix(path) => path.display().to_string(),
        }
    }

    async fn run(&self, report: &mut Report) {
        let proxy = match &self.proxy {
            Ok(proxy) => proxy.as_ref(),
            Err(error) => {
                let help = "mend proxy_url, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY";
                return report.add(failed("proxy", "upstream_proxy", error.to_string(), help));
            }
        };
        let deadline = Instant::now() + self.timeout;
        // Both only say whether there is more to report.
        let _done_or_stopped: Result<(), Stopped> = match &self.upstream {
            Upstream::Unix(path) => match timeout_at(deadline, UnixStream::connect(path)).await {
                Ok(Ok(stream)) => self.speak(stream, &self.shown(), deadline, report).await,
                Ok(Err(error)) => Err(unconnected(&self.shown(), &error, UPSTREAM_DOWN, report)),
                Err(_elapsed) => Err(unconnected(&self.shown(), &late(), UPSTREAM_DOWN, report)),
            },
            Upstream::Tcp { host, port } => match proxy {
                None => self.directly(host, *port, deadline, report).await,
                Some(proxy) => self.through(proxy, deadline, report).await,
            },
        };
    }

    async fn directly(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let addresses = resolve(host, port, deadline, report).await?;
        let (stream, address) = connect(&addresses, UPSTREAM_DOWN, deadline, report).await?;
        self.speak(stream, &address.to_string(), deadline, report).await
    }

    /// What is resolved and connected to is the proxy then; the rest goes through its tunnel.
    async fn through(
        &self,
        proxy: &Proxy,
        deadline: Instant,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let Upstream::Tcp { host, port } = proxy.at() else { return Err(Stopped) };
        report.fine("proxy", format!("{host}:{port} is on the way"));
        let addresses = resolve(host, *port, deadline, report).await?;
        let (mut stream, address) = connect(&addresses, PROXY_DOWN, deadline, report).await?;
        if proxy.takes_requests() {
            report.add(Finding {
                level: Level::Warning,
                what: "proxy".to_owned(),
                reason: "proxy_not_probed",
                message: "plaintext requests are given to the proxy, which connects to the \
                          upstream itself: how far it gets is not tried"
                    .to_owned(),
                help: "send something: the log of the gateway and the answer to the sender say \
                       what came of it"
                    .to_owned(),
            });
            return Ok(());
        }
        if let Err(error) = proxy.open(&mut stream, deadline).await {
            report.add(failed("proxy", error.reason(), error.to_string(), ""));
            return Err(Stopped);
        }
        report.fine("proxy", format!("opened a tunnel to {}", self.shown()));
        self.speak(stream, &address.to_string(), deadline, report).await
    }

    /// From the connection to the first answer.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        address: &str,
        deadline: Instant,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let Some(tls) = self.tls else {
            report.fine("tls", "not used: plaintext, which whoever is on the way can read");
            let is_h2 = self.alpn == GRPC;
            let answer = timeout_at(deadline, self.greet(&mut stream, is_h2)).await;
            return answered(answer.unwrap_or_else(|_elapsed| Err(late())), is_h2, report);
        };
        let loaded = client::load(tls, self.alpn).map_err(|_reported| {
            let message = "cannot be tried: the exporter's own files have problems".to_owned();
            report.add(failed("tls", "not_probed", message, "mend its `tls` block above first"));
            Stopped
        })?;
        let (_store, snapshots) = Store::new(loaded.snapshot);
        let host = match &self.upstream {
            Upstream::Tcp { host, .. } => host.clone(),
            Upstream::Unix(_) => "localhost".to_owned(),
        };
        let name = tls.server_name_override.clone().unwrap_or_else(|| host.clone());
        let connected = Connector::new(snapshots, host).connect(stream, address, deadline).await;
        let mut connected = connected.map_err(|error| refused(&error, report))?;
        let is_h2 = connected.alpn == Alpn::H2;
        self.presented(tls, &name, &connected.io, report);
        report.fine("alpn", if is_h2 { "h2" } else { "HTTP/1.1" });
        let greeted = timeout_at(deadline, self.greet(&mut connected.io, is_h2)).await;
        if let Some(error) = connected.diagnosis.get() {
            return Err(refused(&error, report));
        }
        let greeted = greeted.unwrap_or_else(|_elapsed| Err(late()));
        if greeted.as_ref().is_ok_and(|answer| !answer.is_empty()) {
            identity(tls, connected.io.was_asked(), report);
        }
        answered(greeted, is_h2, report)
    }

    /// What is known of the upstream's certificate after a handshake.
    fn presented<S>(
        &self,
        tls: &ClientTls,
        name: &str,
        io: &UpstreamStream<S>,
        report: &mut Report,
    ) {
        report.fine("tls", "the handshake is done");
        let leaf = io.presented().map(|leaf| describe(&leaf)).unwrap_or_default();
        if tls.insecure_skip_verify {
            report.add(Finding {
                level: Level::Warning,
                what: "chain".to_owned(),
                reason: "upstream_unverified",
                message: format!("not verified (insecure_skip_verify); it presented {leaf}"),
                help: "name the upstream's CA in `ca_file` and leave this key out".to_owned(),
            });
            return;
        }
        let anchors = tls.common.ca.as_ref().map_or_else(|| "the system's roots".to_owned(), what);
        report.fine("chain", format!("{leaf}; trusted by {anchors}"));
        report.fine("name", format!("the certificate is for {name}"));
    }

    /// Says the least that makes the other side answer, and returns the start of its answer.
    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        is_h2: bool,
    ) -> io::Result<Vec<u8>> {
        if is_h2 {
            stream.write_all(H2_PREFACE).await?;
        } else {
            let request =
                format!("HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.shown());
            stream.write_all(request.as_bytes()).await?;
        }
        stream.flush().await?;
        let mut answer = vec![0; 64];
        let length = stream.read(&mut answer).await?;
        answer.truncate(length);
        Ok(answer)
    }
}

/// The first address that takes a connection.
async fn connect(
    addresses: &[SocketAddr],
    help: &'static str,
    deadline: Instant,
    report: &mut Report,
) -> Result<(TcpStream, SocketAddr), Stopped> {
    let mut last = None;
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                report.fine("connect", format!("{address} takes the connection"));
                return Ok((stream, *address));
            }
            Ok(Err(error)) => last = Some((address, error)),
            Err(_elapsed) => last = Some((address, late())),
        }
    }
    let (address, error) = last.ok_or(Stopped)?;
    Err(unconnected(&address.to_string(), &error, help, report))
}

async fn resolve(
    host: &str,
    port: u16,
    deadline: Instant,
    report: &mut Report,
) -> Result<Vec<SocketAddr>, Stopped> {
    let found = timeout_at(deadline, lookup_host((host, port))).await;
    let found = found.unwrap_or_else(|_elapsed| Err(late())).map(Iterator::collect::<Vec<_>>);
    match found {
        Ok(addresses) if !addresses.is_empty() => {
            let shown: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
            report.fine("resolve", format!("{host} is {}", shown.join(", ")));
            Ok(addresses)
        }
        outcome => {
            let why =
                outcome.err().map_or_else(|| "it has no address".to_owned(), |e| e.to_string());
            let message = format!("the name {host} cannot be resolved: {why}");
            let help = "check the endpoint's spelling and the DNS settings of this host";
            report.add(failed("resolve", "upstream_unresolvable", message, help));
            Err(Stopped)
        }
    }
}

/// The client's preface with empty SETTINGS.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// When nothing listens.
const UPSTREAM_DOWN: &str = "nothing listens there: start the upstream or correct the endpoint";
const PROXY_DOWN: &str = "nothing listens there: is the proxy up, and are proxy_url, or HTTPS_PROXY, \
                          HTTP_PROXY and NO_PROXY, as they should be?";

/// Of one name.
const MAX_ADDRESSES: usize = 4;
