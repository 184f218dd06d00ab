//! One map of the configuration while it is read.
//!
//! Guarantees that every key is either asked for or reported as unknown, and that every problem
//! names the key it is about. Wrong values become problems, not early ends: all are found at once.

use std::cell::RefCell;

use crate::config::diagnostic::{Problem, Problems, Span};
use crate::config::node::{Key, Node, Origin, Value};
use crate::config::read::mend;

/// Collects problems while sections borrow each other.
#[derive(Debug, Default)]
pub(super) struct Sink(RefCell<Problems>);

impl Sink {
    pub(super) fn into_problems(self) -> Problems {
        self.0.into_inner()
    }

    pub(super) fn error(&self, problem: Problem) {
        self.0.borrow_mut().errors.push(problem);
    }

    pub(super) fn warn(&self, problem: Problem) {
        self.0.borrow_mut().warnings.push(problem);
    }
}

/// A map and what has been asked of it.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) path: String,
    pub(super) span: Span,
    entries: &'a [(Key, Node)],
    asked: RefCell<Vec<String>>,
    /// It is no map, which has been said: what is missing in it need not be.
    broken: bool,
    pub(super) sink: &'a Sink,
}

/// How an optional block behaves when its key has no value (contract 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    /// Off unless a map is there.
    None,
    /// Off unless the key is there.
    Default,
    /// On unless it is disabled.
    Some,
}

/// `endpoint:host` is one text, where a key and its value were meant.
fn glued_key(node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else { return None };
    let (key, value) = scalar.text.split_once(':')?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (is_key && !value.is_empty() && !value.starts_with("//"))
        .then(|| format!("a blank belongs behind the colon: {key}: {value}"))
}

impl<'a> Section<'a> {
    /// Reads a node as a map; a null is an empty one.
    pub(super) fn new(path: String, span: Span, node: Option<&'a Node>, sink: &'a Sink) -> Self {
        let mut broken = false;
        let entries: &[_] = match node.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries,
            None | Some(Value::Null) => &[],
            Some(Value::List(_) | Value::Scalar(_)) => {
                sink.error(Problem {
                    span: node.map_or_else(|| span.clone(), |node| node.span.clone()),
                    key_path: path.clone(),
                    message: "must be a map of keys and values".to_owned(),
                    help: node.and_then(glued_key),
                    reason: "wrong_type",
                });
                broken = true;
                &[]
            }
        };
        Self { path, span, entries, asked: RefCell::default(), broken, sink }
    }

    /// Every entry, for maps whose keys are free.
    pub(super) fn entries(&self) -> &'a [(Key, Node)] {
        self.entries
    }

    /// The full path of a key.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where a key is written; else where the section is.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.find(key).map_or_else(|| self.span.clone(), |(key, _)| key.span.clone())
    }

    fn find(&self, key: &str) -> Option<&'a (Key, Node)> {
        self.entries.iter().find(|(k, _)| k.text == key)
    }

    /// The value of a key, whatever it is; the key is known from now on.
    pub(super) fn raw(&self, key: &str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(key.to_owned());
        self.find(key).map(|(_, node)| node)
    }

    /// The value of a key unless it is a null that was written as one.
    pub(super) fn value(&self, key: &str) -> Option<&'a Node> {
        self.raw(key).filter(|node| node.value != Value::Null || node.origin != Origin::Written)
    }

    /// Whether a key is there with any value but null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(_, node)| node.value != Value::Null)
    }

    /// A sub-section that is always on; absent means empty.
    pub(super) fn section<T>(&self, key: &str, read: impl FnOnce(&Self) -> T) -> T {
        let node = self.raw(key);
        let section = Section::new(self.path_of(key), self.span_of(key), node, self.sink);
        let value = read(&section);
        section.finish();
        value
    }

    /// An optional block, by the truth table of contract 4.7.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        flavour: Flavour,
        read: impl FnOnce(&Section<'_>) -> T,
    ) -> Option<T> {
        let found = self.raw(key);
        let on = match (found.map(|node| &node.value), flavour) {
            (None, Flavour::None | Flavour::Default) | (Some(Value::Null), Flavour::None) => false,
            (Some(Value::Null), Flavour::Default | Flavour::Some)
            | (None, Flavour::Some)
            | (Some(Value::List(_) | Value::Map(_) | Value::Scalar(_)), _) => true,
        };
        if let Some(node) = found.filter(|n| n.value == Value::Null && n.origin != Origin::Written)
        {
            // An empty variable must not switch protection off.
            let what = match &node.origin {
                Origin::Unset(name) => format!("the environment variable {name} is not set"),
                Origin::Expanded(_) | Origin::Written => "its ${...} is empty".to_owned(),
            };
            self.error_help(
                key,
                "empty",
                format!("{what}, so this block would silently be off"),
                "set it, or remove the key to leave the block out",
            );
            return None;
        }
        if !on {
            return None;
        }
        let (path, span) = (self.path_of(key), self.span_of(key));
        let section = Section::new(path.clone(), span.clone(), found, self.sink);
        if section.boolean("enabled").unwrap_or(true) {
            let value = read(&section);
            section.finish();
            return Some(value);
        }
        // Switched off: names and types are still checked, values are not.
        let aside = Sink::default();
        let section = Section::new(path, span, found, &aside);
        section.raw("enabled");
        read(&section);
        section.finish();
        for problem in aside.into_problems().errors {
            if matches!(problem.reason, "unknown_key" | "wrong_type") {
                self.sink.error(problem);
            }
        }
        None
    }

    /// Reports a key that is wrong.
    pub(super) fn error(&self, key: &str, reason: &'static str, message: impl Into<String>) {
        if !self.broken {
            self.sink.error(self.problem(key, reason, message, None));
        }
    }

    /// Reports a key that is wrong and what to do.
    pub(super) fn error_help(
        &self,
        key: &str,
        reason: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if !self.broken {
            self.sink.error(self.problem(key, reason, message, Some(help.into())));
        }
    }

    /// Says what is questionable about a key.
    pub(super) fn warn(
        &self,
        key: &str,
        reason: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = help.into();
        let help = (!help.is_empty()).then_some(help);
        self.sink.warn(self.problem(key, reason, message, help));
    }

    /// A key that is read and has no effect: one warning that says why.
    pub(super) fn no_effect(&self, key: &str, why: &str) {
        if self.raw(key).is_some() {
            self.warn(key, "no_effect", format!("has no effect: {why}"), "");
        }
    }

    fn problem(
        &self,
        key: &str,
        reason: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Problem {
        let (key_path, span) = if key.is_empty() {
            (self.path.clone(), self.span.clone())
        } else {
            (self.path_of(key), self.span_of(key))
        };
        Problem { span, key_path, message: message.into(), help, reason }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries {
            if !asked.contains(&key.text) {
                let help = mend::unknown(&self.path, &key.text, &asked);
                self.error_help(&key.text, "unknown_key", "unknown key", help);
            }
        }
    }
}
