//! `${env:X}`, `${file:PATH}`, `${yaml:TEXT}` and `$$` in the values of a tree (contract 9.6).
//!
//! What comes out of a variable or a file is a value and never read as a template again: a
//! password may hold `$`. Only lists and maps of a file, being configuration, are expanded.

use std::path::Path;
use std::sync::Arc;

use crate::config::diagnostic::{ENV_UNSET, Problem, Problems, Span};
use crate::config::node::{Node, Origin, Value};
use crate::config::source::{Environment, split_keys, split_scheme};
use crate::config::{file, yaml};

/// Expands one configuration.
pub(super) struct Expander<'a> {
    env: &'a Environment,
    problems: &'a mut Problems,
    files: usize,
    bytes: usize,
}

/// What a reference stands for.
enum Found {
    /// A text; whether lists and maps in it are templates themselves.
    Text(String, bool),
    /// A variable that is not set.
    Unset(String),
}

impl<'a> Expander<'a> {
    /// Starts with nothing read.
    pub(super) fn new(env: &'a Environment, problems: &'a mut Problems) -> Self {
        Self { env, problems, files: 0, bytes: 0 }
    }

    /// Expands every value.
    pub(super) fn expand(&mut self, root: &mut Node) {
        self.walk(root, "", 0);
    }

    fn walk(&mut self, node: &mut Node, path: &str, included: usize) {
        match &mut node.value {
            Value::Null => {}
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"), included);
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    let path = if path.is_empty() {
                        key.text.clone()
                    } else {
                        format!("{path}.{}", key.text)
                    };
                    self.walk(value, &path, included);
                }
            }
            Value::Scalar(scalar) => {
                if scalar.text.contains('$') {
                    let text = std::mem::take(&mut scalar.text);
                    match self.scalar(&text, &node.span, path, included) {
                        Ok(Some(new)) => *node = new,
                        Ok(None) => scalar.text = text,
                        Err(problem) => self.problems.errors.push(problem),
                    }
                }
            }
        }
    }

    /// The node that a text with dollars becomes.
    fn scalar(
        &mut self,
        text: &str,
        span: &Span,
        path: &str,
        included: usize,
    ) -> Result<Option<Node>, Problem> {
        let at = Place { span, path };
        if let Some(reference) = whole_reference(text) {
            let reference = self.text(reference, &at, 1)?;
            return match self.find(&reference, &at)? {
                Found::Text(text, template) => self.value(text, template, &at, included).map(Some),
                Found::Unset(name) => {
                    self.warn_unset(&name, &at);
                    let mut node = Node::new(span.clone(), Value::Null);
                    node.origin = Origin::Unset(Arc::from(name));
                    Ok(Some(node))
                }
            };
        }
        let text = self.text(text, &at, 0)?;
        Ok(Some(Node::text(span.clone(), text)))
    }

    /// A whole value: typed by its text, and a string when a string is wanted.
    fn value(
        &mut self,
        text: String,
        template: bool,
        at: &Place<'_>,
        included: usize,
    ) -> Result<Node, Problem> {
        let parsed = yaml::parse(&text, &Arc::from(at.file())).map(|(node, _)| node);
        let mut node = match parsed {
            Ok(node) => node,
            Err(_not_yaml) => Node::text(at.span.clone(), text.clone()),
        };
        if template && matches!(node.value, Value::List(_) | Value::Map(_)) {
            if included >= MAX_INCLUDED {
                return Err(at.problem(
                    "expansion",
                    format!("files include each other more than {MAX_INCLUDED} deep"),
                    "a file must not include itself",
                ));
            }
            split_keys(&mut node);
            self.walk(&mut node, at.path, included + 1);
        } else {
            place(&mut node, at.span);
        }
        node.span = at.span.clone();
        node.origin = Origin::Expanded(Arc::from(text));
        Ok(node)
    }

    /// A text with everything in it put in place.
    fn text(&mut self, text: &str, at: &Place<'_>, depth: usize) -> Result<String, Problem> {
        if depth > MAX_NESTED {
            return Err(at.problem(
                "expansion",
                format!("${{...}} is nested more than {MAX_NESTED} deep"),
                "name the value directly",
            ));
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
            } else if let Some(inside) = after.strip_prefix('{') {
                let Some(end) = closing(inside) else {
                    return Err(at.problem(
                        "expansion",
                        "a ${ has no closing brace".to_owned(),
                        "close it, or write $${ for the characters themselves",
                    ));
                };
                let (reference, tail) = inside.split_at(end);
                let reference = self.text(reference, at, depth + 1)?;
                match self.find(&reference, at)? {
                    Found::Text(text, _) => out.push_str(&text),
                    Found::Unset(name) => self.warn_unset(&name, at),
                }
                rest = tail.get(1..).unwrap_or_default();
            } else {
                self.check_bare(after, at)?;
                out.push('$');
                rest = after;
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// `$VAR` is no reference here; in a path it surely was meant as one.
    fn check_bare(&mut self, after: &str, at: &Place<'_>) -> Result<(), Problem> {
        let name: String =
            after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Ok(());
        }
        let key = at.path.rsplit('.').next().unwrap_or_default();
        if key.ends_with("_file") || key.ends_with("endpoint") || key == "directory" {
            return Err(at.problem(
                "bare_variable",
                format!("${name} is not expanded"),
                &format!("did you mean ${{env:{name}}}? Write $${name} for a dollar sign"),
            ));
        }
        // The text may be a password: it is not repeated.
        self.problems.warnings.push(at.problem(
            "bare_variable",
            "a dollar sign before a name is not expanded".to_owned(),
            "write ${env:NAME} for a variable, or $$ for a dollar sign",
        ));
        Ok(())
    }

    fn find(&mut self, reference: &str, at: &Place<'_>) -> Result<Found, Problem> {
        let (scheme, rest) = match split_scheme(reference) {
            Some((scheme, rest)) if !rest.starts_with('-') => (scheme, rest),
            _ => {
                if reference.contains(":-") {
                    self.problems.warnings.push(at.problem(
                        "expansion",
                        "the Collector accepts a default only behind env:".to_owned(),
                        &format!("write ${{env:{reference}}} if it shall read this file, too"),
                    ));
                }
                ("env", reference)
            }
        };
        let found = match scheme {
            "env" => self.variable(rest, at)?,
            "file" => Found::Text(self.file(rest, at)?, true),
            "yaml" => Found::Text(rest.to_owned(), true),
            "http" | "https" => {
                return Err(at.problem(
                    "expansion",
                    "a value is not fetched over the network".to_owned(),
                    "fetch it to a file and use ${file:PATH}",
                ));
            }
            other => {
                return Err(at.problem(
                    "expansion",
                    format!("unsupported scheme {other:?} in ${{...}}"),
                    "use ${env:NAME}, ${file:PATH} or ${yaml:TEXT}; write $$ for a dollar sign",
                ));
            }
        };
        if let Found::Text(text, _) = &found {
            self.bytes = self.bytes.saturating_add(text.len());
            if self.bytes > MAX_BYTES {
                return Err(at.problem(
                    "expansion",
                    format!("all ${{...}} together are longer than {MAX_BYTES} bytes"),
                    "look for a file that is included again and again",
                ));
            }
        }
        Ok(found)
    }

    fn variable(&self, text: &str, at: &Place<'_>) -> Result<Found, Problem> {
        let (name, default) = match text.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (text, None),
        };
        let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fits {
            return Err(at.problem(
                "expansion",
                format!("environment variable {name:?} has an invalid name"),
                "letters, digits and _ only; write $$ for a dollar sign",
            ));
        }
        Ok(match (self.env.get(name), default) {
            (Some(value), _) => Found::Text(value, false),
            (None, Some(default)) => Found::Text(default.to_owned(), false),
            (None, None) => Found::Unset(name.to_owned()),
        })
    }

    fn file(&mut self, path: &str, at: &Place<'_>) -> Result<String, Problem> {
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(at.problem(
                "expansion",
                format!("more than {MAX_FILES} files are included"),
                "look for a file that is included again and again",
            ));
        }
        let mut text = file::read(Path::new(path)).map_err(|error| {
            at.problem(
                "file_unreadable",
                format!("the file {path:?} of ${{file:...}} {error}"),
                "relative paths start at the directory where the gateway was started",
            )
        })?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }

    fn warn_unset(&mut self, name: &str, at: &Place<'_>) {
        self.problems.warnings.push(at.problem(
            ENV_UNSET,
            format!("the environment variable {name} is not set; the value is empty"),
            &format!("set it, or give a default: ${{env:{name}:-default}}"),
        ));
    }
}

/// Where a text stands.
struct Place<'a> {
    span: &'a Span,
    path: &'a str,
}

impl Place<'_> {
    fn file(&self) -> &str {
        self.span.file.as_deref().unwrap_or_default()
    }

    fn problem(&self, reason: &'static str, message: String, help: &str) -> Problem {
        Problem {
            span: self.span.clone(),
            key_path: self.path.to_owned(),
            message,
            help: Some(help.to_owned()),
            reason,
        }
    }
}

/// What stands between the braces, if the text is one reference and nothing else.
fn whole_reference(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("${")?;
    let end = closing(inside)?;
    (end + 1 == inside.len()).then(|| inside.get(..end)).flatten()
}

/// The position of the brace that closes a reference whose inside starts the text.
fn closing(inside: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut dollar = false;
    for (index, c) in inside.char_indices() {
        match c {
            '{' if dollar => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
        dollar = c == '$';
    }
    None
}

/// Gives every node the place where the reference was written.
fn place(node: &mut Node, span: &Span) {
    node.span = span.clone();
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| place(item, span)),
        Value::Map(entries) => {
            for (key, value) in entries {
                key.span = span.clone();
                place(value, span);
            }
        }
    }
}

/// Deepest `${file:...}` in files that were included.
const MAX_INCLUDED: usize = 10;

/// Deepest `${...${...}...}`.
const MAX_NESTED: usize = 50;

/// Most files read.
const MAX_FILES: usize = 1000;

/// Most bytes that references may stand for.
const MAX_BYTES: usize = 16 << 20;
