//! Where configuration comes from, and how several sources become one tree.
//!
//! Every `--config` in order, then every `--set`; maps merge, lists and scalars replace, an
//! explicit null replaces too (contract 9.5, 9.6).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::config::diagnostic::{Problem, Problems, Span};
use crate::config::expand::Expander;
use crate::config::node::{Key, Node, Value};
use crate::config::{file, yaml};

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `--config`, each a path, `file:`, `env:` or `yaml:`.
    pub configs: Vec<String>,
    /// `--set`, each `a.b=value`.
    pub sets: Vec<String>,
    /// Where `${env:X}` is looked up.
    pub env: Environment,
}

/// Looks up environment variables. Passed in, so that nothing here depends on the process.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// The variables of the process.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Any other lookup.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

/// No variable is set.
impl Default for Environment {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// Reads, merges and expands everything; `None` when a source is unusable.
pub(super) fn resolve(source: &Source, problems: &mut Problems) -> Option<Node> {
    if source.configs.is_empty() {
        problems.errors.push(Problem {
            span: Span::default(),
            key_path: String::new(),
            message: "no configuration is given".to_owned(),
            help: Some(
                "name one with --config FILE; `portcullis quickstart` writes one".to_owned(),
            ),
            reason: "no_config",
        });
        return None;
    }
    let mut root: Option<Node> = None;
    for location in &source.configs {
        if let Some(node) = read(location, source, problems) {
            match &mut root {
                // An empty file adds nothing.
                Some(_) if node.value == Value::Null => {}
                Some(root) => merge(root, node),
                None => root = Some(node),
            }
        }
    }
    let mut root = root?;
    for text in &source.sets {
        match assignment(text) {
            Ok((path, node)) => set(&mut root, &path, node, text, problems),
            Err(problem) => problems.errors.push(problem),
        }
    }
    Expander::new(&source.env, problems).expand(&mut root);
    problems.errors.is_empty().then_some(root)
}

fn read(location: &str, source: &Source, problems: &mut Problems) -> Option<Node> {
    match fetch(location, source).and_then(|(name, text)| yaml::parse(&text, &name)) {
        Ok((mut node, more)) => {
            if let Some(span) = more {
                problems.warnings.push(Problem {
                    span,
                    key_path: String::new(),
                    message: "a second YAML document starts here and is not read".to_owned(),
                    help: Some("put it in a file of its own with another --config".to_owned()),
                    reason: "second_document",
                });
            }
            split_keys(&mut node);
            Some(node)
        }
        Err(problem) => {
            problems.errors.push(problem);
            None
        }
    }
}

/// The text at a location and the name it has in messages.
fn fetch(location: &str, source: &Source) -> Result<(Arc<str>, String), Problem> {
    let (scheme, rest) = split_scheme(location).unwrap_or(("file", location));
    match scheme {
        "file" => {
            let name = Arc::from(rest);
            match file::read(Path::new(rest)) {
                Ok(text) => Ok((name, text)),
                Err(error) => {
                    let help = where_to_look(rest, &error);
                    Err(unusable(&name, format!("the file {error}"), help))
                }
            }
        }
        "env" => {
            let name = Arc::from(location);
            match source.env.get(rest) {
                Some(text) => Ok((name, text)),
                None => Err(unusable(
                    &name,
                    format!("the environment variable {rest} is not set"),
                    Some("set it to the YAML of the configuration".to_owned()),
                )),
            }
        }
        "yaml" => Ok((Arc::from("yaml"), rest.to_owned())),
        "http" | "https" => Err(unusable(
            &Arc::from(location),
            "a configuration is not fetched over the network: whoever answers would decide \
             who may send"
                .to_owned(),
            Some("fetch it to a file first and name the file".to_owned()),
        )),
        other => Err(unusable(
            &Arc::from(location),
            format!("unsupported scheme {other:?}"),
            Some("use a path, file:PATH, env:NAME or yaml:TEXT".to_owned()),
        )),
    }
}

fn where_to_look(path: &str, error: &file::ReadError) -> Option<String> {
    Some(match error {
        file::ReadError::NotRegular => "name the file itself; /dev/stdin is read, too".to_owned(),
        _ if path == "-" => "standard input is called /dev/stdin here".to_owned(),
        file::ReadError::Io(_) if Path::new(path).is_relative() => {
            let here = std::env::current_dir().unwrap_or_default();
            format!("relative paths begin at {}, where this was started", here.display())
        }
        file::ReadError::Io(_) | file::ReadError::NotText(_) | file::ReadError::TooLarge => {
            return None;
        }
    })
}

fn unusable(name: &Arc<str>, message: String, help: Option<String>) -> Problem {
    Problem {
        span: Span { file: Some(Arc::clone(name)), line: 0, column: 0 },
        key_path: String::new(),
        message,
        help,
        reason: "config_unreadable",
    }
}

/// `scheme:rest`. A scheme has two characters at least, so that `c:` is none.
pub(super) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut chars = scheme.chars();
    let fits = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && scheme.len() >= 2
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'));
    fits.then_some((scheme, rest))
}

/// Maps merge; everything else replaces.
pub(super) fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(entries), Value::Map(more)) => {
            for (key, value) in more {
                match entries.iter_mut().find(|(k, _)| k.text == key.text) {
                    Some((place, old)) => {
                        let joined =
                            matches!((&old.value, &value.value), (Value::Map(_), Value::Map(_)));
                        // Problems shall point to where the value that holds was written.
                        if !joined {
                            *place = key;
                        }
                        merge(old, value);
                    }
                    None => entries.push((key, value)),
                }
            }
        }
        (_, value) => *base = Node { span: over.span, value, origin: over.origin },
    }
}

/// `a::b: v` means `a: {b: v}`, everywhere.
pub(super) fn split_keys(node: &mut Node) {
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(split_keys),
        Value::Map(entries) => {
            for (_, value) in entries.iter_mut() {
                split_keys(value);
            }
            if !entries.iter().any(|(key, _)| key.text.contains("::")) {
                return;
            }
            let mut whole = Node::new(node.span.clone(), Value::Map(Vec::new()));
            for (key, value) in std::mem::take(entries) {
                // A long chain of parts would nest as deeply.
                let mut value = value;
                let parts: Vec<&str> = key.text.splitn(yaml::MAX_DEPTH, "::").collect();
                for part in parts.iter().rev() {
                    let key = Key { text: (*part).to_owned(), span: key.span.clone() };
                    value = Node::new(key.span.clone(), Value::Map(vec![(key, value)]));
                }
                merge(&mut whole, value);
            }
            node.value = whole.value;
        }
    }
}

/// `a.b=text`: the path and the value.
fn assignment(text: &str) -> Result<(Vec<String>, Node), Problem> {
    let problem = |message: String, help: &str| Problem {
        span: Span { file: Some(Arc::from("--set")), line: 0, column: 0 },
        key_path: String::new(),
        message,
        help: Some(help.to_owned()),
        reason: "set",
    };
    let (path, value) = text.split_once('=').ok_or_else(|| {
        problem(
            format!("{text:?} has no equal sign"),
            "write it as KEY=VALUE, such as exporters.otlp_grpc.timeout=10s",
        )
    })?;
    let path: Vec<String> = path
        .replace("::", ".")
        .splitn(yaml::MAX_DEPTH, '.')
        .map(|part| part.trim().to_owned())
        .collect();
    if path.iter().any(String::is_empty) {
        return Err(problem(
            format!("a part of the key in {text:?} is empty"),
            "write it as KEY=VALUE, such as exporters.otlp_grpc.timeout=10s",
        ));
    }
    let file = Arc::from("--set");
    let mut node = match yaml::parse(value, &file) {
        Ok((node, _)) => node,
        // What is no YAML is a text, as in the Collector: [::]:4317 is an address.
        Err(_) => Node::text(Span { file: Some(file), line: 1, column: 1 }, value.to_owned()),
    };
    split_keys(&mut node);
    Ok((path, node))
}

fn set(root: &mut Node, path: &[String], node: Node, text: &str, problems: &mut Problems) {
    if let Some(id) = dotted_key(root, path) {
        problems.errors.push(Problem {
            span: Span { file: Some(Arc::from("--set")), line: 0, column: 0 },
            key_path: id.clone(),
            message: format!("{text:?} cannot reach {id:?}: dots separate keys"),
            help: Some(format!("use another --config 'yaml:...' that names {id:?}")),
            reason: "set",
        });
        return;
    }
    let mut value = node;
    for part in path.iter().rev() {
        let key = Key { text: part.clone(), span: value.span.clone() };
        value = Node::new(value.span.clone(), Value::Map(vec![(key, value)]));
    }
    merge(root, value);
}

/// A key with dots that the path may have meant.
fn dotted_key(root: &Node, path: &[String]) -> Option<String> {
    let mut node = root;
    for (index, part) in path.iter().enumerate() {
        let Value::Map(entries) = &node.value else { return None };
        let rest = path.get(index..).unwrap_or_default().join(".");
        if let Some((key, _)) = entries.iter().find(|(key, _)| {
            key.text.contains('.')
                && (rest == key.text || rest.starts_with(&format!("{}.", key.text)))
        }) {
            return Some(key.text.clone());
        }
        node = entries.iter().find(|(key, _)| key.text == *part).map(|(_, node)| node)?;
    }
    None
}
