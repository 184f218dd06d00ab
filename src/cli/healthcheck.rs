//! `portcullis healthcheck`: asks a running gateway's `health_check` extension.
//!
//! Images without a shell have no curl; the binary itself is the probe. One deadline holds for all of
//! it. Over TLS the gateway is held to `--ca-file` and its name, as an upstream is.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::config::sections::{ClientTls, TlsCommon};
use crate::config::types::{Pem, PemSource};
use crate::tls::store::Store;
use crate::tls::{Connector, CredentialsError, UpstreamTlsError, client};

/// Arguments of `portcullis healthcheck`.
#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// Where the health_check extension listens and the path it answers; https:// where it has a
    /// `tls` block.
    #[arg(long, default_value = "http://localhost:13133/", value_name = "URL")]
    endpoint: String,
    /// The CA of the certificate that the health_check shows, or that certificate itself; without
    /// it the system's CAs count.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The name in that certificate, where it is not the host of the endpoint.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// A client certificate, where the health_check demands one (`client_ca_file`).
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Longest time to wait, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

/// Why the gateway is not known to be ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthcheckError {
    /// Not a URL that can be asked.
    #[error(
        "--endpoint {endpoint}: write it as http://host:port/path, or https:// for a `tls` block"
    )]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// They would have no effect.
    #[error("--ca-file, --server-name and --cert-file are for an --endpoint that is https://")]
    Unused,
    /// The files of the options cannot be used.
    #[error(transparent)]
    Files(#[from] CredentialsError),
    /// No handshake.
    #[error(
        "{endpoint} cannot be asked over TLS (the health_check is the upstream here, and its `tls` \
         keys are --ca-file, --server-name, --cert-file and --key-file)"
    )]
    Tls {
        /// As given.
        endpoint: String,
        /// Why.
        #[source]
        source: UpstreamTlsError,
    },
    /// Nobody answered.
    #[error("no answer from {endpoint}; is the gateway running, with the health_check extension?")]
    Unreachable {
        /// As given.
        endpoint: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An answer other than 200.
    #[error("{endpoint} answered: {status}; {}", next_step(.status))]
    NotReady {
        /// As given.
        endpoint: String,
        /// The status line.
        status: String,
    },
    /// The terminal is gone.
    #[error("cannot write the result")]
    Report(#[from] io::Error),
}

/// Succeeds if the answer is 200.
pub(super) fn run(args: &HealthcheckArgs, out: &mut dyn Write) -> Result<(), HealthcheckError> {
    let endpoint = || args.endpoint.clone();
    let target = Target::of(&args.endpoint)
        .ok_or_else(|| HealthcheckError::Endpoint { endpoint: endpoint() })?;
    let connector = if target.secured { Some(args.connector(&target)?) } else { None };
    let options = (&args.ca_file, &args.server_name, &args.cert_file);
    if !target.secured && options != (&None, &None, &None) {
        return Err(HealthcheckError::Unused);
    }
    let deadline = Duration::from_secs(args.timeout);
    let asked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Unasked::from)
        .and_then(|runtime| runtime.block_on(target.ask(connector, deadline)));
    let status = asked.map_err(|why| match why {
        Unasked::Io(source) => HealthcheckError::Unreachable { endpoint: endpoint(), source },
        Unasked::Tls(source) => HealthcheckError::Tls { endpoint: endpoint(), source },
    })?;
    if code(&status) == Some("200") {
        writeln!(out, "ready")?;
        return Ok(());
    }
    Err(HealthcheckError::NotReady { endpoint: endpoint(), status })
}

/// What to do about an answer that is no success.
fn next_step(status: &str) -> &'static str {
    match code(status) {
        Some("503") => "the gateway starts or ends, or its log says what it lacks",
        _ => "is that the endpoint and path of the gateway's health_check extension?",
    }
}

fn code(status: &str) -> Option<&str> {
    status.split(' ').nth(1)
}

impl HealthcheckArgs {
    /// Blocks on the file system.
    fn connector(&self, target: &Target<'_>) -> Result<Connector, CredentialsError> {
        let file = |option: &str, path: &Option<PathBuf>| {
            let source = PemSource::File(path.clone()?);
            Some(Pem { source, key_path: Arc::from(option) })
        };
        let tls = ClientTls {
            common: TlsCommon {
                ca: file("--ca-file", &self.ca_file),
                cert: file("--cert-file", &self.cert_file),
                key: file("--key-file", &self.key_file),
                ..TlsCommon::default()
            },
            server_name_override: self.server_name.clone(),
            ..ClientTls::default()
        };
        let (_store, watch) = Store::new(client::load(&tls, &[b"http/1.1"])?.snapshot);
        Ok(Connector::new(watch, target.host.to_owned()))
    }
}

/// A URL, taken apart.
struct Target<'a> {
    secured: bool,
    authority: &'a str,
    /// Without the brackets of an IPv6 address.
    host: &'a str,
    port: u16,
    path: &'a str,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Unasked {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Tls(#[from] UpstreamTlsError),
}

impl<'a> Target<'a> {
    fn of(endpoint: &'a str) -> Option<Self> {
        let (scheme, rest) = endpoint.split_once("://")?;
        let secured = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let with_port = authority.rsplit_once(':');
        let with_port = with_port.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = with_port.unwrap_or((authority, if secured { 443 } else { 80 }));
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { secured, authority, host, port, path })
    }

    /// The status line of a GET.
    async fn ask(&self, tls: Option<Connector>, timeout: Duration) -> Result<String, Unasked> {
        let deadline = Instant::now() + timeout;
        let late = |_elapsed| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        let stream = timeout_at(deadline, self.connect()).await.map_err(late)??;
        let Some(tls) = tls else {
            return Ok(timeout_at(deadline, self.exchange(stream)).await.map_err(late)??);
        };
        let stream = tls.connect(stream, self.authority, deadline).await?;
        let (answered, diagnosis) = (self.exchange(stream.io), stream.diagnosis);
        match timeout_at(deadline, answered).await.map_err(late)? {
            // With TLS 1.3 a refused certificate of ours shows after the handshake.
            Err(error) => Err(diagnosis.get().map_or_else(|| error.into(), Unasked::from)),
            Ok(status) => Ok(status),
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let mut addresses: Vec<SocketAddr> = lookup_host((self.host, self.port)).await?.collect();
        // The gateway prefers IPv4 for localhost, too.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn exchange(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<String> {
        let Self { path, authority, .. } = self;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut line = Vec::new();
        BufReader::new(stream).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        Ok(if line.is_empty() { "an empty answer".to_owned() } else { line })
    }
}

/// More than any status line.
const MAX_LINE_BYTES: u64 = 4 << 10;
