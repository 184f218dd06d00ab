//! A YAML tree that remembers where each node was written.
//!
//! Scalars keep their text: typing happens where a value is used, as the Collector does
//! (contract 9.6). Aliases, merge keys and `${...}` are already resolved.

use crate::config::diagnostic::Span;

/// One node of the merged configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What it is.
    pub value: Value,
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
    /// The whole value came from `${...}`: any type its text parses to, and always a string too.
    Expanded,
    /// Written without quotes: typed by its text (bool, number, string).
    Plain,
    /// Written in quotes or as a block: a string.
    Quoted,
}
