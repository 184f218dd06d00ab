//! `portcullis validate`: a configuration and every file that it names, checked.

use serde_json::json;

use crate::cli::args::{ReportFormat, ValidateArgs};
use crate::cli::{Console, ExitStatus, fail};
use crate::config::{self, Problem, Problems, Span};
use crate::gateway::{BuildError, BuildProblem, Loaded, Warning};
use crate::metrics::Metrics;
use crate::pipeline;

/// Checks; says nothing when all is well.
pub(super) fn run(args: &ValidateArgs, console: &mut Console<'_>) -> ExitStatus {
    let problems = check(&args.source.for_config());
    match args.format {
        ReportFormat::Text => refuse(&problems, console),
        ReportFormat::Json => {
            if let Err(error) = writeln!(console.out, "{}", report(&problems)) {
                return fail(&error, console);
            }
            status(&problems)
        }
    }
}

/// Writes every problem to standard error.
pub(super) fn refuse(problems: &Problems, console: &mut Console<'_>) -> ExitStatus {
    if !problems.errors.is_empty() || !problems.warnings.is_empty() {
        // Nobody is left to tell when standard error is gone.
        let _unheard = writeln!(console.err, "{problems}");
    }
    status(problems)
}

fn status(problems: &Problems) -> ExitStatus {
    if problems.errors.is_empty() { ExitStatus::Success } else { ExitStatus::Failure }
}

fn check(source: &config::Source) -> Problems {
    let (config, mut problems) = match config::load(source) {
        Ok(loaded) => loaded,
        Err(problems) => return problems,
    };
    let metrics = Metrics::new(&config.service.telemetry.resource);
    match Loaded::load(config, metrics) {
        Ok(loaded) => problems.warnings.extend(loaded.warnings.into_iter().map(warning)),
        Err(BuildError(found)) => problems.errors.extend(found.into_iter().flat_map(of_build)),
    }
    problems
}

/// Problems of certificates and keys keep their file and key.
fn of_build(problem: BuildProblem) -> Vec<Problem> {
    match problem {
        BuildProblem::Credentials(error) => error.problems,
        BuildProblem::Pipeline(pipeline::BuildError::Exporter { id, source }) => match source {
            crate::exporter::LoadError::Credentials(error) => error.problems,
            other => vec![plain(format!("exporters.{id}"), &other)],
        },
        other => vec![plain(String::new(), &other)],
    }
}

fn plain(key_path: String, error: &dyn std::error::Error) -> Problem {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    Problem { span: Span::default(), key_path, message, help: None, reason: "unusable" }
}

fn warning(warning: Warning) -> Problem {
    match warning {
        Warning::Credentials(problem) => problem,
        Warning::Exporter(message) => Problem {
            span: Span::default(),
            key_path: String::new(),
            message,
            help: None,
            reason: "exporter",
        },
    }
}

fn report(problems: &Problems) -> serde_json::Value {
    json!({
        "valid": problems.errors.is_empty(),
        "errors": problems.errors.iter().map(one).collect::<Vec<_>>(),
        "warnings": problems.warnings.iter().map(one).collect::<Vec<_>>(),
    })
}

fn one(problem: &Problem) -> serde_json::Value {
    json!({
        "file": problem.span.file.as_deref(),
        "line": problem.span.line,
        "column": problem.span.column,
        "key": problem.key_path,
        "message": problem.message,
        "help": problem.help,
        "reason": problem.reason,
    })
}
