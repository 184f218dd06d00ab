//! `portcullis quickstart`: from nothing to a batch that went through, in one command.
//!
//! Makes certificates under two authorities, starts a backend that demands one of them, the
//! gateway between, and sends a first batch as a client with the other. Then shows what arrives
//! until it is interrupted.

mod backend;
mod folder;
mod ports;
mod sender;
mod show;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use crate::cli::args::Source;
use crate::cli::quickstart::backend::{Backend, BackendError};
use crate::cli::quickstart::folder::{Folder, FolderError};
use crate::cli::quickstart::ports::{Ports, USUAL};
use crate::cli::quickstart::sender::SendError;
use crate::cli::run::{load, refuse};
use crate::cli::{Console, ExitStatus, fail, fail_output};
use crate::config::Config;
use crate::config::sections::LogLevel;
use crate::gateway::{BuildError, Ended, Gateway, Loaded, RunError};
use crate::metrics::Metrics;
use crate::shutdown::{Drain, Request, SystemRequests};
use crate::telemetry::{InstallError, Telemetry};

/// See it work: certificates, a backend, the gateway between, and a first batch through all of it.
#[derive(Debug, Args)]
pub(super) struct QuickstartArgs {
    /// The folder for certificates and configuration; made if it is missing.
    #[arg(long, default_value = "./portcullis-quickstart", value_name = "DIR")]
    dir: PathBuf,
    /// End after the first batch; exit code 0 only if it arrived.
    #[arg(long)]
    once: bool,
    /// Make all certificates of the folder anew and write over its gateway.yaml.
    #[arg(long)]
    force: bool,
}

/// Why the quickstart failed.
#[derive(Debug, thiserror::Error)]
enum QuickstartError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("no port is free on localhost")]
    Ports(#[source] io::Error),
    #[error("the terminal or the system failed")]
    System(#[from] io::Error),
    #[error("the log cannot be opened")]
    Log(#[from] InstallError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("the gateway cannot start")]
    Build(#[from] BuildError),
    #[error("the gateway ended")]
    Run(#[from] RunError),
    #[error("the gateway ended by a panic")]
    Panicked(#[from] JoinError),
    #[error("the first batch did not get through")]
    Send(#[from] SendError),
    #[error("the gateway said OK and the batch did not arrive at the backend; please report this")]
    NotArrived,
    #[error("interrupted before the first batch arrived")]
    Interrupted,
}

/// Runs it; prints progress to `out`.
pub(super) fn run(args: &QuickstartArgs, console: &mut Console<'_>) -> ExitStatus {
    let (folder, ports) = match prepare(args, console) {
        Ok(prepared) => prepared,
        Err(error) => return failed(&error, console),
    };
    let source = Source {
        config: vec![folder.config().to_string_lossy().into_owned()],
        ..Source::default()
    };
    let config = match load(&source) {
        Ok((config, _no_warnings)) => config,
        Err(problems) => return refuse(&problems, console),
    };
    let lived = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
        let lived = runtime.block_on(live(args, &folder, &ports, config, console));
        runtime.shutdown_background();
        lived
    });
    match lived {
        Ok(Ok(())) => ExitStatus::Success,
        Ok(Err(error)) => failed(&error, console),
        Err(error) => fail(&error, console),
    }
}

fn failed(error: &QuickstartError, console: &mut Console<'_>) -> ExitStatus {
    match error {
        QuickstartError::System(_) => fail_output(error, console),
        _ => fail(error, console),
    }
}

fn prepare(
    args: &QuickstartArgs,
    console: &mut Console<'_>,
) -> Result<(Folder, Ports), QuickstartError> {
    let folder = Folder::open(&args.dir)?;
    let (ports, taken) = Ports::choose(USUAL).map_err(QuickstartError::Ports)?;
    // Before any key is made anew: a refusal must leave the folder as it was.
    folder.write_config(&ports, args.force)?;
    let made = folder.certificates(args.force)?;
    let verb = if made { "made" } else { "kept" };
    let out = &mut console.out;
    writeln!(out, "[1/4] {verb} two authorities and four certificates in {}", args.dir.display())?;
    for port in taken {
        writeln!(out, "      port {} is taken; using {} instead", port.wanted, port.chosen)?;
    }
    Ok((folder, ports))
}

/// Everything that runs.
struct Stage {
    arrived: mpsc::Receiver<String>,
    requests: mpsc::Sender<Request>,
    gateway: JoinSet<Result<Ended, RunError>>,
    backend: JoinSet<()>,
    drain_backend: Drain,
    system: SystemRequests,
    telemetry: Telemetry,
}

async fn live(
    args: &QuickstartArgs,
    folder: &Folder,
    ports: &Ports,
    config: Config,
    console: &mut Console<'_>,
) -> Result<(), QuickstartError> {
    let mut stage = Stage::set(folder, ports, config, console).await?;
    let first = stage.first_batch(folder, ports, console).await;
    if let (Ok(()), false) = (&first, args.once) {
        explain(folder, ports, console)?;
        stage.show_until_told(console).await?;
    }
    stage.end().await?;
    first
}

impl Stage {
    async fn set(
        folder: &Folder,
        ports: &Ports,
        config: Config,
        console: &mut Console<'_>,
    ) -> Result<Self, QuickstartError> {
        let system = SystemRequests::install()?;
        let mut logs = config.service.telemetry.logs.clone();
        // What is refused shall be seen; the rest is told by the steps.
        logs.level = LogLevel::Warn;
        let telemetry = Telemetry::install(&logs)?;
        let (sender, arrived) = mpsc::channel(64);
        let (drain_backend, draining) = Drain::new();
        let backend_bound = Backend::bind(folder, ports.backend, sender).await?;
        let mut backend = JoinSet::new();
        backend.spawn(backend_bound.run(draining));
        writeln!(
            console.out,
            "[2/4] backend on localhost:{}: demands certificates of its own authority",
            ports.backend
        )?;
        let loaded = Loaded::load(config, Metrics::default())?;
        let bound = Gateway::bind(loaded, telemetry.recent()).await?;
        let (requests, inbox) = mpsc::channel(4);
        let mut gateway = JoinSet::new();
        gateway.spawn(bound.run(inbox));
        writeln!(
            console.out,
            "[3/4] gateway on localhost:{} (gRPC) and localhost:{} (HTTP): demands certificates \
             of the senders' authority",
            ports.grpc, ports.http
        )?;
        Ok(Self { arrived, requests, gateway, backend, drain_backend, system, telemetry })
    }

    async fn first_batch(
        &mut self,
        folder: &Folder,
        ports: &Ports,
        console: &mut Console<'_>,
    ) -> Result<(), QuickstartError> {
        // All branches are cancel-safe, or the end.
        tokio::select! {
            sent = sender::send_first(folder, ports.grpc) => sent?,
            _ = self.system.next() => return Err(QuickstartError::Interrupted),
            ended = self.gateway.join_next() => return Err(early(ended)),
        }
        writeln!(console.out, "[4/4] a sender with a certificate sent a batch and got OK")?;
        match timeout(ARRIVAL, self.arrived.recv()).await {
            Ok(Some(text)) => writeln!(console.out, "\n{text}")?,
            Ok(None) | Err(_) => return Err(QuickstartError::NotArrived),
        }
        Ok(())
    }

    async fn show_until_told(&mut self, console: &mut Console<'_>) -> Result<(), QuickstartError> {
        loop {
            console.out.flush()?;
            // All branches are cancel-safe.
            tokio::select! {
                Some(text) = self.arrived.recv() => writeln!(console.out, "{text}")?,
                request = self.system.next() => if request == Request::Drain {
                    writeln!(console.out, "\nending")?;
                    return Ok(());
                },
                ended = self.gateway.join_next() => return Err(early(ended)),
            }
        }
    }

    async fn end(mut self) -> Result<(), QuickstartError> {
        let _ended_already = self.requests.send(Request::Drain).await;
        while let Some(ended) = self.gateway.join_next().await {
            let _nothing_is_left = ended??;
        }
        self.drain_backend.begin(Instant::now());
        while self.backend.join_next().await.is_some() {}
        self.telemetry.flush();
        Ok(())
    }
}

/// The gateway ended though nobody asked it to.
fn early(ended: Option<Result<Result<Ended, RunError>, JoinError>>) -> QuickstartError {
    match ended {
        Some(Err(panic)) => panic.into(),
        Some(Ok(Err(error))) => error.into(),
        Some(Ok(Ok(_))) | None => QuickstartError::Interrupted,
    }
}

/// What to try next.
fn explain(folder: &Folder, ports: &Ports, console: &mut Console<'_>) -> io::Result<()> {
    let ca = for_shell(&folder.senders_ca.cert);
    let (cert, key) = (for_shell(&folder.sender.cert), for_shell(&folder.sender.key));
    let Ports { grpc, http, .. } = ports;
    writeln!(
        console.out,
        "Send your own: paste this where an OpenTelemetry SDK runs.

  export OTEL_EXPORTER_OTLP_ENDPOINT=https://localhost:{grpc}
  export OTEL_EXPORTER_OTLP_PROTOCOL=grpc
  export OTEL_EXPORTER_OTLP_CERTIFICATE={ca}
  export OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE={cert}
  export OTEL_EXPORTER_OTLP_CLIENT_KEY={key}

  (HTTP: https://localhost:{http} and http/protobuf.)

Get in by hand, with the certificate:

  curl --cacert {ca} --cert {cert} --key {key} \\
    -H 'content-type: application/json' -d '{HELLO}' https://localhost:{http}/v1/logs

Get refused, without one:

  curl --cacert {ca} \\
    -H 'content-type: application/json' -d '{HELLO}' https://localhost:{http}/v1/logs
  openssl s_client -connect localhost:{grpc} -alpn h2 -CAfile {ca}

The gateway's configuration: {config}
What arrives at the backend is shown here; Ctrl-C ends.
",
        config = folder.config().display()
    )
}

/// A path as a shell takes it.
fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@%".contains(c)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

const HELLO: &str =
    r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}"#;
const ARRIVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_to_paste_survives_the_shell() {
        assert_eq!(for_shell(Path::new("/home/me/qs/ca.crt")), "/home/me/qs/ca.crt");
        assert_eq!(for_shell(Path::new("/a b/$x/it's")), r"'/a b/$x/it'\''s'");
    }
}
