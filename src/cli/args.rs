//! The arguments of the program and the help text that teaches them.

use clap::{Args, Parser, Subcommand};

use crate::cli::ExitStatus;
use crate::cli::certs::CertsArgs;
use crate::cli::doctor::DoctorArgs;
use crate::cli::healthcheck::HealthcheckArgs;
use crate::cli::quickstart::QuickstartArgs;
use crate::config;

/// An mTLS-terminating gateway for OpenTelemetry (OTLP).
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    about,
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    disable_version_flag = true,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub(super) struct Cli {
    /// Which configuration to run.
    #[command(flatten)]
    pub(super) source: Source,
    /// Print the version.
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// Another thing to do than to run.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Where configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Source {
    /// A configuration: a file, `file:PATH`, `env:NAME` or `yaml:TEXT`. Repeat it to merge
    /// several, from left to right.
    #[arg(long, value_name = "LOCATION")]
    pub(super) config: Vec<String>,
    /// A value to set after all files, such as exporters.otlp_grpc.timeout=10s.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Accepted for the Collector's sake; there are no gates here.
    #[arg(long, value_name = "GATES")]
    pub(super) feature_gates: Vec<String>,
}

impl Source {
    /// What the reader of configurations wants to know.
    pub(super) fn for_config(&self) -> config::Source {
        config::Source {
            configs: self.config.clone(),
            sets: self.set.clone(),
            env: config::Environment::process(),
        }
    }

    /// How a command ends that has said what it found: where no configuration is named, it is the
    /// command line that is wrong, whatever was asked for.
    pub(super) fn outcome(&self, found: ExitStatus) -> ExitStatus {
        if self.config.is_empty() { ExitStatus::Usage } else { found }
    }
}

/// Arguments of `portcullis validate`.
#[derive(Clone, Debug, Args)]
pub(super) struct ValidateArgs {
    /// What to check.
    #[command(flatten)]
    pub(super) source: Source,
    /// How problems are written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(super) format: ReportFormat,
}

/// How `validate` and `doctor` report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ReportFormat {
    /// For programs: one JSON object, also when all is well.
    Json,
    /// For people.
    Text,
}

/// Arguments of `portcullis print-config`.
#[derive(Clone, Debug, Args)]
pub(super) struct PrintConfigArgs {
    /// What to print.
    #[command(flatten)]
    pub(super) source: Source,
    /// Whether secrets are shown.
    #[arg(long, value_enum, default_value_t = PrintMode::Redacted)]
    pub(super) mode: PrintMode,
    /// The language.
    #[arg(long, value_enum, default_value_t = PrintFormat::Yaml)]
    pub(super) format: PrintFormat,
    /// Whether to check it first; a faulty configuration is then not printed.
    #[arg(
        long,
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) validate: bool,
}

/// Whether secrets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PrintMode {
    /// As `[REDACTED]`.
    Redacted,
    /// As they are.
    Unredacted,
}

/// What a configuration is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PrintFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make and inspect certificates.
    Certs(CertsArgs),
    /// List the components that a configuration can use, as YAML.
    Components,
    /// Judge certificates, keys, CAs, clients and upstreams, and say what to do.
    Doctor(DoctorArgs),
    /// Ask a running gateway whether it is ready; exit code 0 if so. For Docker's HEALTHCHECK.
    Healthcheck(HealthcheckArgs),
    /// Print the configuration as it is read: merged, expanded, without secrets.
    #[command(alias = "print-initial-config")]
    PrintConfig(PrintConfigArgs),
    /// See it work in one command: certificates, a backend, the gateway and a first batch.
    Quickstart(QuickstartArgs),
    /// Check a configuration and every file that it names; silent when all is well.
    Validate(ValidateArgs),
}

const LONG_ABOUT: &str = "\
An mTLS-terminating gateway for OpenTelemetry (OTLP).

Proves who every sender is by its certificate, checks every batch, and forwards it to a backend
over a second TLS connection with an identity of its own. It reads the Collector's YAML.";

const AFTER_HELP: &str = "\
Examples:
  See it work in one command: certificates, a backend, the gateway and a first batch:
    portcullis quickstart

  Run, check and show a configuration:
    portcullis --config gateway.yaml
    portcullis --config base.yaml --config prod.yaml --set service.telemetry.logs.level=debug
    portcullis validate --config gateway.yaml
    portcullis print-config --config gateway.yaml

  Find out what is wrong with certificates, with a client, with a backend:
    portcullis doctor --config gateway.yaml
    portcullis doctor --config gateway.yaml --client shop.crt
    portcullis doctor --config gateway.yaml --upstream

  Make certificates:
    portcullis certs ca --dir certs
    portcullis certs server --dir certs --san otel.example.com
    portcullis certs client --dir certs --name shop

Exit codes:
  0  done as asked; the gateway answered everything that it had accepted
  1  the configuration or a file is unusable, or the gateway could not run
  2  the command line was not understood
  3  the gateway was stopped and requests were still unanswered after service.shutdown_timeout

Signals:
  SIGTERM, SIGINT  stop taking requests, finish those under way, end; a second one ends at once
  SIGHUP           look at all certificate files now";
