//! The command line: the Collector's commands and flags, and a few of our own.
//!
//! Guarantees that every way to end has a documented [exit code](ExitStatus) and that every error
//! is printed with its causes. The only part of the program that prints.

mod args;
mod certs;
mod components;
mod doctor;
mod flags;
mod healthcheck;
mod print_config;
mod quickstart;
mod run;
mod usage;
mod validate;

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::args::{Cli, Command};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: done as asked; for the gateway, everything that was accepted has been answered.
    Success,
    /// 1: the configuration or a file is unusable, or the gateway could not run.
    Failure,
    /// 2: the command line was not understood.
    Usage,
    /// 3: the gateway ended with requests still unanswered when `shutdown_timeout` was over.
    LeftBehind,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Success => Self::SUCCESS,
            ExitStatus::Failure => Self::FAILURE,
            ExitStatus::Usage => Self::from(2),
            ExitStatus::LeftBehind => Self::from(3),
        }
    }
}

/// Where a command writes: results to `out`, all else to `err`.
pub struct Console<'a> {
    /// Standard output.
    pub out: &'a mut (dyn Write + Send),
    /// Standard error.
    pub err: &'a mut (dyn Write + Send),
}

/// Runs one command line; the first argument is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> ExitStatus {
    let cli = match Cli::try_parse_from(flags::in_two_dashes(args)) {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error, console),
    };
    match &cli.command {
        Some(Command::Certs(args)) => match certs::run(&args.command, console.out) {
            Ok(true) => ExitStatus::Success,
            Ok(false) => ExitStatus::Failure,
            Err(error) => fail_output(&error, console),
        },
        Some(Command::Components) => match components::list(console.out) {
            Ok(()) => ExitStatus::Success,
            Err(error) => fail_output(&error, console),
        },
        Some(Command::Doctor(args)) => doctor::run(args, console),
        Some(Command::Healthcheck(args)) => match healthcheck::run(args, console.out) {
            Ok(()) => ExitStatus::Success,
            Err(error) => fail(&error, console),
        },
        Some(Command::Quickstart(args)) => quickstart::run(args, console),
        Some(Command::PrintConfig(args)) => args.source.outcome(print_config::run(args, console)),
        Some(Command::Validate(args)) => args.source.outcome(validate::run(args, console)),
        None => run::run(&cli.source, console),
    }
}

/// The output could not be written. Whoever reads it has gone (`| head`) when the pipe is broken:
/// that is no news to them.
fn fail_output(error: &(dyn Error + 'static), console: &mut Console<'_>) -> ExitStatus {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::BrokenPipe) {
            return ExitStatus::Failure;
        }
        cause = error.source();
    }
    fail(error, console)
}

/// Prints an error and its causes, and says that the command failed.
fn fail(error: &dyn Error, console: &mut Console<'_>) -> ExitStatus {
    // Nobody is left to tell when standard error is gone.
    let _unheard = writeln!(console.err, "error: {}", with_causes(error));
    ExitStatus::Failure
}

/// An error and its causes on one line, without repetitions.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// `--help` and `--version` arrive as errors of the parser, too.
fn explain_usage(error: &clap::Error, console: &mut Console<'_>) -> ExitStatus {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let (sink, status) = if asked_for {
        (&mut console.out, ExitStatus::Success)
    } else {
        (&mut console.err, ExitStatus::Usage)
    };
    let _unheard = write!(sink, "{error}");
    if let Some(tip) = usage::tip(error) {
        let _unheard = write!(console.err, "\n{tip}");
    }
    status
}

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod tests;
