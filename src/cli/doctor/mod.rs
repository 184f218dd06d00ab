//! `portcullis doctor`: what is wrong with certificates, keys and CAs, and what to do about it.
//!
//! Guarantees that the verdicts are those of the gateway itself: the same loaders, the same
//! verifiers, the same handshakes. Changes nothing and sends no telemetry.

mod args;
mod client;
mod domains;
mod files;
mod http;
mod new_ca;
mod report;
mod steps;
mod upstream;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::cli::args::ReportFormat;
use crate::cli::doctor::files::Block;
use crate::cli::doctor::report::{Level, Report};
use crate::cli::{Console, ExitStatus, fail_output};
use crate::config;
use crate::config::types::{Pem, PemSource};

pub(crate) use args::DoctorArgs;

/// Examines, and tells what was found.
pub(super) fn run(args: &DoctorArgs, console: &mut Console<'_>) -> ExitStatus {
    let report = examine(args);
    let written = match args.format {
        ReportFormat::Text => report.text(console.out),
        ReportFormat::Json => writeln!(console.out, "{}", report.json()),
    };
    match written {
        Err(error) => fail_output(&error, console),
        Ok(()) if report.count(Level::Problem) > 0 => args.source.outcome(ExitStatus::Failure),
        Ok(()) => ExitStatus::Success,
    }
}

fn examine(args: &DoctorArgs) -> Report {
    let mut report = Report::default();
    let config = match config::load(&args.source.for_config()) {
        Ok((config, problems)) => {
            if !problems.warnings.is_empty() {
                report.section("files", "configuration");
            }
            problems.warnings.iter().for_each(|p| report.of_loader(Level::Warning, p));
            config
        }
        Err(problems) => {
            report.section("files", "configuration");
            problems.errors.iter().for_each(|p| report.of_loader(Level::Problem, p));
            problems.warnings.iter().for_each(|p| report.of_loader(Level::Warning, p));
            return report;
        }
    };
    let blocks = Block::all(&config);
    files::examine(&blocks, &mut report);
    domains::examine(&config, &mut report);
    if let Some(file) = &args.client {
        client::examine(&blocks, file, &mut report);
    }
    if let Some(file) = &args.new_ca {
        new_ca::examine(&config, &blocks, file, args.status.as_deref(), &mut report);
    }
    if args.upstream {
        upstream::examine(&config, &mut report);
    }
    report
}

/// A file named on the command line.
fn named(option: &str, path: &Path) -> Pem {
    Pem { source: PemSource::File(path.to_owned()), key_path: Arc::from(option) }
}
