//! The arguments of `portcullis doctor` and the text that teaches them.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{ReportFormat, Source};

/// Arguments of `portcullis doctor`.
#[derive(Clone, Debug, Args)]
#[command(long_about = LONG_ABOUT, after_help = AFTER_HELP)]
pub(crate) struct DoctorArgs {
    /// The configuration to examine.
    #[command(flatten)]
    pub(super) source: Source,
    /// A client's certificate (its chain, as the client shows it): would each receiver admit it?
    #[arg(long, value_name = "CERT")]
    pub(super) client: Option<PathBuf>,
    /// A bundle of client CAs to change to: which clients of the running gateway would break?
    #[arg(long, value_name = "FILE")]
    pub(super) new_ca: Option<PathBuf>,
    /// Where the zpages extension of the running gateway answers, for --new-ca. Without it, the
    /// configuration's own zpages extension is asked.
    #[arg(long, value_name = "URL", requires = "new_ca")]
    pub(super) status: Option<String>,
    /// Connect to every exporter's upstream and explain step by step how far it gets. Sends no
    /// telemetry.
    #[arg(long)]
    pub(super) upstream: bool,
    /// How the findings are written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(super) format: ReportFormat,
}

const LONG_ABOUT: &str = "\
Judge every certificate, key and CA of a configuration, and say what to do about what is wrong.

The judge is the code that verifies handshakes in the gateway: what the doctor says of a
certificate is what the gateway does with it. The gateway need not run, and nothing is changed.";

const AFTER_HELP: &str = "\
Examples:
  Are all files in order?
    portcullis doctor --config gateway.yaml

  Why is this client refused, and how is it mended?
    portcullis doctor --config gateway.yaml --client shop.crt

  Why does nothing arrive at the backend?
    portcullis doctor --config gateway.yaml --upstream

  Which clients lose access when this CA bundle takes effect?
    portcullis doctor --config gateway.yaml --new-ca new-ca.crt

Each line is one of:
  ok       as it should be
  warning  works here and now, but not everywhere or not for long
  problem  does not work; the line below says what to do

With --format json the same is one object; docs/doctor.md lists its keys. Reason codes, in brackets
in the text, stay the same from version to version.

Exit codes:
  0  no problem was found; there may be warnings
  1  at least one problem was found
  2  the command line was not understood";
