//! What to say of a command line that was not understood, beside what the parser says.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A further hint for the mistakes that people bring along from other programs.
pub(super) fn tip(error: &clap::Error) -> Option<String> {
    let context = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return None,
    };
    let Some(ContextValue::String(text)) = error.get(context) else { return None };
    let is_yaml = Path::new(text).extension().is_some_and(|ending| {
        ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
    });
    if is_yaml {
        return Some(format!("  tip: a configuration is named by --config: --config {text}\n"));
    }
    match text.as_str() {
        "-c" | "-f" => Some("  tip: a configuration is named by --config\n".to_owned()),
        "run" | "serve" | "start" => Some(
            "  tip: `portcullis --config gateway.yaml` runs it; there is no word for that\n".into(),
        ),
        "version" => Some("  tip: `portcullis --version`\n".to_owned()),
        _ => None,
    }
}
