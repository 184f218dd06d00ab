//! `portcullis healthcheck`: asks a running gateway's `health_check` extension.
//!
//! Images without a shell have no curl; the binary itself is the probe. Uses blocking sockets with
//! deadlines: there is nothing else to do meanwhile.

use std::io::{self, Read as _, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;

/// Arguments of `portcullis healthcheck`.
#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// Where the health_check extension listens and the path it answers.
    #[arg(long, default_value = "http://localhost:13133/", value_name = "URL")]
    endpoint: String,
    /// Longest time to wait, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

/// Why the gateway is not known to be ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthcheckError {
    /// Not a URL that can be asked.
    #[error(
        "--endpoint {endpoint}: write it as http://host:port/path; a health_check with a `tls` block \
         is asked with `curl --cacert`"
    )]
    Endpoint {
        /// As given.
        endpoint: String,
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
    #[error("{endpoint} answered: {status}")]
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
    let (authority, path) =
        split(&args.endpoint).ok_or_else(|| HealthcheckError::Endpoint { endpoint: endpoint() })?;
    let status = ask(authority, path, Duration::from_secs(args.timeout))
        .map_err(|source| HealthcheckError::Unreachable { endpoint: endpoint(), source })?;
    if status.split(' ').nth(1) == Some("200") {
        writeln!(out, "ready")?;
        return Ok(());
    }
    Err(HealthcheckError::NotReady { endpoint: endpoint(), status })
}

fn split(endpoint: &str) -> Option<(&str, &str)> {
    let rest = endpoint.strip_prefix("http://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let clean = !authority.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
    clean.then_some((authority, if path.is_empty() { "/" } else { path }))
}

/// The status line of a GET.
fn ask(authority: &str, path: &str, timeout: Duration) -> io::Result<String> {
    let with_port;
    let target = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        authority
    } else {
        with_port = format!("{authority}:80");
        &with_port
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses: Vec<SocketAddr> = target.to_socket_addrs()?.collect();
    // The gateway prefers IPv4 for localhost, too.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return exchange(stream, authority, path, timeout),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(
    mut stream: TcpStream,
    authority: &str,
    path: &str,
    timeout: Duration,
) -> io::Result<String> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or("an empty answer").to_owned())
}

/// The status line and a short body.
const MAX_ANSWER_BYTES: u64 = 16 << 10;
