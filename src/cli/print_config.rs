//! `portcullis print-config`: the configuration as it is read.

use crate::cli::args::{PrintConfigArgs, PrintFormat, PrintMode};
use crate::cli::{Console, ExitStatus, fail_output, validate};
use crate::config;

/// Prints it; a faulty one is explained instead.
pub(super) fn run(args: &PrintConfigArgs, console: &mut Console<'_>) -> ExitStatus {
    let source = args.source.for_config();
    let tree = match config::resolve(&source) {
        Ok((tree, _)) => tree,
        Err(problems) => return validate::refuse(&problems, console),
    };
    if args.validate
        && let Err(problems) = config::load(&source)
    {
        return validate::refuse(&problems, console);
    }
    let secrets = args.mode == PrintMode::Unredacted;
    let text = match args.format {
        PrintFormat::Json => config::to_json(&tree, secrets),
        PrintFormat::Yaml => config::to_yaml(&tree, secrets),
    };
    match console.out.write_all(text.as_bytes()) {
        Ok(()) => ExitStatus::Success,
        Err(error) => fail_output(&error, console),
    }
}
