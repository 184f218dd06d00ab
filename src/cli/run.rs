//! `portcullis --config ...`: the gateway in the foreground until it is told to end.

use std::net::SocketAddr;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use crate::cli::args::Source;
use crate::cli::{Console, ExitStatus, fail};
use crate::config::{self, Config, Problem, Problems};
use crate::extension::ListenerLine;
use crate::gateway::{Ended, Gateway, Loaded};
use crate::metrics::Metrics;
use crate::shutdown::SystemRequests;
use crate::telemetry::Telemetry;

/// Runs the gateway that `source` describes.
pub(super) fn run(source: &Source, console: &mut Console<'_>) -> ExitStatus {
    if source.config.is_empty() {
        let _unheard = writeln!(console.err, "{NO_CONFIG}");
        return ExitStatus::Usage;
    }
    harden();
    let (config, problems) = match load(source) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, console),
    };
    let telemetry = match Telemetry::install(&config.service.telemetry.logs) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error, console),
    };
    log_panics();
    problems.warnings.iter().for_each(log_warning);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let status = runtime.block_on(serve(config, &telemetry, console));
            runtime.shutdown_background();
            telemetry.flush();
            status
        }
        Err(error) => fail(&error, console),
    }
}

async fn serve(config: Config, telemetry: &Telemetry, console: &mut Console<'_>) -> ExitStatus {
    // Before anything else: a request to end that arrives while starting must not be lost.
    let system = match SystemRequests::install() {
        Ok(system) => system,
        Err(error) => return fail(&error, console),
    };
    let metrics = Metrics::new(&config.service.telemetry.resource);
    telemetry.report_to(&metrics);
    let gateway = match Loaded::load(config, metrics) {
        Ok(loaded) => Gateway::bind(loaded, telemetry.recent()).await,
        Err(error) => Err(error),
    };
    let gateway = match gateway {
        Ok(gateway) => gateway,
        Err(error) => {
            telemetry.flush();
            return fail(&error, console);
        }
    };
    info!(
        version = env!("CARGO_PKG_VERSION"),
        listeners = listeners(gateway.lines()),
        pages = pages(&gateway.pages()),
        "portcullis started"
    );
    let (requests, inbox) = mpsc::channel(4);
    let forwarding = tokio::spawn(system.forward(requests));
    let ended = gateway.run(inbox).await;
    forwarding.abort();
    match ended {
        Ok(Ended { unanswered: 0 }) => ExitStatus::Success,
        Ok(Ended { .. }) => ExitStatus::LeftBehind,
        Err(failure) => {
            telemetry.flush();
            fail(&failure, console)
        }
    }
}

/// Reads, merges and checks the configuration.
pub(super) fn load(source: &Source) -> Result<(Config, Problems), Problems> {
    config::load(&source.for_config())
}

pub(super) fn refuse(problems: &Problems, console: &mut Console<'_>) -> ExitStatus {
    let count = problems.errors.len();
    for problem in &problems.errors {
        let _unheard = writeln!(console.err, "error: {problem}");
    }
    for problem in &problems.warnings {
        let _unheard = writeln!(console.err, "warning: {problem}");
    }
    let noun = if count == 1 { "problem" } else { "problems" };
    let _unheard =
        writeln!(console.err, "the configuration has {count} {noun}; nothing was started");
    ExitStatus::Failure
}

fn log_warning(problem: &Problem) {
    warn!(
        key = %problem.key_path,
        file = problem.span.file.as_deref(),
        line = problem.span.line,
        reason = problem.reason,
        help = problem.help.as_deref(),
        "{}", problem.message
    );
}

fn listeners(lines: &[ListenerLine]) -> String {
    let shown = lines.iter().map(|l| format!("{} {} ({})", l.key_path, l.address, l.security));
    shown.collect::<Vec<_>>().join(", ")
}

/// Where whoever is on call looks.
fn pages(pages: &[(String, SocketAddr)]) -> String {
    let shown = pages.iter().map(|(key, address)| {
        let path = match key.strip_prefix("extensions.").unwrap_or("metrics") {
            "metrics" => "/metrics",
            kind if kind.starts_with("zpages") => "/debug/servicez",
            _ => "",
        };
        format!("{key} {address}{path}")
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    if shown.is_empty() {
        "none (the extensions zpages and health_check have them)".to_owned()
    } else {
        shown
    }
}

/// A panic belongs in the log, with its place, like any other fault.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        error!(
            error = text,
            place,
            reason = "panicked",
            help = "this is a fault of the program: please report it",
            "a part of the program panicked"
        );
    }));
}

/// Private keys are in this memory: no core dump and no other process of the same user may show
/// them. And as many connections as the system's administrator allows.
fn harden() {
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    let _best_effort = setrlimit(Resource::Core, no_core);
    let _best_effort = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let files = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: files.maximum, maximum: files.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        debug!(%error, "cannot raise the limit of open files");
    }
}

const NO_CONFIG: &str = "\
portcullis: which configuration? None was given.

  See it work first, with certificates, a backend and a batch made for you:
    portcullis quickstart

  Run a configuration:
    portcullis --config gateway.yaml

  The smallest one: OTLP in over mTLS, OTLP out over mTLS:
    receivers:
      otlp:
        protocols:
          grpc:
            endpoint: 0.0.0.0:4317
            tls: { cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt }
    exporters:
      otlp_grpc:
        endpoint: backend.example.com:4317
        tls: { ca_file: backend-ca.crt, cert_file: gateway.crt, key_file: gateway.key }
    service:
      pipelines:
        traces: { receivers: [otlp], exporters: [otlp_grpc] }

  Make the certificates:    portcullis certs --help
  Everything else:          portcullis --help";
