//! A YAML tree that remembers where each node was written.
//!
//! Scalars keep their text: typing happens where a value is used, as the Collector does
//! (contract 9.6). Aliases, merge keys and `${...}` are already resolved.

use std::sync::Arc;

use crate::config::diagnostic::Span;

/// One node of the merged configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What it is.
    pub value: Value,
    /// Whether the operator wrote it as it is.
    pub origin: Origin,
}

/// How a node came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Written as it is.
    Written,
    /// The whole value came from `${...}`; a string gets this very text, whatever it parses to.
    Expanded(Arc<str>),
    /// The whole value came from an environment variable that is not set.
    Unset(Arc<str>),
}

/// The kinds of node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Absent value, `null`, `~`.
    Null,
    /// A scalar.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// A scalar's text and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text, after `${...}` and `$$`.
    pub text: String,
    /// How the text may be understood.
    pub style: Style,
}

/// How a scalar may be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Written without quotes: typed by its text (bool, number, string).
    Plain,
    /// Written in quotes or as a block, or put together from pieces: a string.
    Quoted,
}

impl Node {
    /// A node as it was written.
    pub(super) fn new(span: Span, value: Value) -> Self {
        Self { span, value, origin: Origin::Written }
    }

    /// A string.
    pub(super) fn text(span: Span, text: String) -> Self {
        Self::new(span, Value::Scalar(Scalar { text, style: Style::Quoted }))
    }

    /// How many nodes it holds, itself included.
    pub(super) fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, n)| n.size()).sum::<usize>(),
        }
    }
}
