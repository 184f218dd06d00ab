//! What is wrong with a configuration, said so that it can be mended.
//!
//! Problems are collected, never thrown one by one: an operator sees all of them at once.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use crate::escape::push_line;

/// Where a piece of configuration was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The file as named on the command line, or `--set`, `env:X`, `yaml:`.
    pub file: Option<Arc<str>>,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column, from 1; 0 when unknown.
    pub column: u32,
}

/// The reason of the warning that a variable of `${env:...}` has no value.
pub(super) const ENV_UNSET: &str = "env_unset";

/// One thing that is wrong, or that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub span: Span,
    /// The key it is about, such as `receivers.otlp.protocols.grpc.tls.cert_file`; may be empty.
    pub key_path: String,
    /// What is wrong, one clause.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Stable reason code, such as `unknown_key`.
    pub reason: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.span.file {
            write!(f, "{file}")?;
            if self.span.line > 0 {
                write!(f, ":{}:{}", self.span.line, self.span.column)?;
            }
            f.write_str(": ")?;
        }
        if !self.key_path.is_empty() {
            write_line(f, &self.key_path)?;
            f.write_str(": ")?;
        }
        write!(f, "{} [{}]", Shown(&self.message), self.reason)?;
        if let Some(help) = &self.help {
            write!(f, "\n    help: {}", Shown(help))?;
        }
        Ok(())
    }
}

/// Without characters that a terminal obeys or that turn the order of a line: what is quoted of a text
/// may hold any.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.0.split('\n').enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            write_line(f, line)?;
        }
        Ok(())
    }
}

/// What has no line of its own to end.
fn write_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut line = String::with_capacity(text.len());
    push_line(&mut line, text);
    f.write_str(&line)
}

/// The problems and warnings found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// Each makes the configuration unusable.
    pub errors: Vec<Problem>,
    /// Each is logged once at start.
    pub warnings: Vec<Problem>,
}

impl Problems {
    /// A value is wrong because an environment variable is not set: then setting it is what mends it,
    /// and one problem says so.
    pub(super) fn blame_what_is_unset(&mut self) {
        let Self { errors, warnings } = self;
        warnings.retain(|warning| {
            let blames = |error: &&mut Problem| {
                warning.reason == ENV_UNSET && error.key_path == warning.key_path
            };
            let Some(error) = errors.iter_mut().find(blames) else { return true };
            error.help = Some(format!(
                "{}: {}",
                warning.message,
                warning.help.as_deref().unwrap_or("set it")
            ));
            false
        });
    }

    /// Puts problems in the order of the text they are about; each is there once.
    pub(super) fn sort(&mut self) {
        for list in [&mut self.errors, &mut self.warnings] {
            list.sort_by(|a, b| {
                let key = |p: &Problem| (p.span.file.clone(), p.span.line, p.span.column);
                key(a).cmp(&key(b))
            });
            list.dedup();
        }
    }
}

/// All errors, then all warnings, one a paragraph.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.errors.iter().map(|problem| ("error", problem));
        let warnings = self.warnings.iter().map(|problem| ("warning", problem));
        for (index, (kind, problem)) in errors.chain(warnings).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{kind}: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::{Problem, Span};

    /// Threat: a key that forges a line, colours it, or turns it round.
    #[test]
    fn a_quoted_key_stays_in_its_line_and_in_order() {
        let problem = Problem {
            span: Span::default(),
            key_path: "a.\nerror: b\u{1b}[2J".to_owned(),
            message: "is \u{202e}wrong".to_owned(),
            help: Some("first\nsecond".to_owned()),
            reason: "unknown_key",
        };
        assert_eq!(
            problem.to_string(),
            "a.\\nerror: b\\u001b[2J: is \\u202ewrong [unknown_key]\n    help: first\nsecond"
        );
    }
}
