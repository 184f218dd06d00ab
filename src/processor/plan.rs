//! The edits of a pipeline, compiled: which messages to walk into, and what to do there.
//!
//! Guarantees that nothing is walked that holds nothing to edit. Knows nothing of bytes.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use prost::Message as _;
use regex::Regex;

use crate::config::sections::{AttributeAction, AttributeEdit, AttributeLevel, LiteralValue};
use crate::otlp::schema::{self, Kind, Message};
use crate::processor::ProcessorError;
use crate::signal::Signal;

/// A message type that has attributes to edit in it or below it.
#[derive(Debug)]
pub(super) struct Node {
    /// What to do with its own attributes.
    pub(super) own: Option<Own>,
    /// The fields to walk into.
    pub(super) children: Vec<Child>,
}

/// What to do with the attributes of a message.
#[derive(Debug)]
pub(super) struct Own {
    /// The number of the field that holds them.
    pub(super) attributes: u32,
    /// In the order in which they are to be made.
    pub(super) edits: Vec<Arc<Edit>>,
}

/// A field of message type.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) number: u32,
    /// Whether it is singular and has attributes: a decoder merges repetitions of such a field, so
    /// they are edited as one.
    pub(super) merged: bool,
    pub(super) node: Node,
}

/// One edit of an attribute list.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) key: String,
    pub(super) action: Action,
}

/// An edit and the attributes it is for.
pub(super) type Leveled = (AttributeLevel, Arc<Edit>);

/// What an edit does.
#[derive(Debug)]
pub(super) enum Action {
    /// Another type for the value.
    Convert(Target),
    /// Away with the key.
    Delete,
    /// Away with every key that matches.
    DeletePattern(Regex),
    /// Named groups, by number, as attributes of their own.
    Extract(Regex, Vec<(usize, String)>),
    /// The value's SHA-256.
    Hash,
    /// A value.
    Put(When, Origin),
}

/// The type to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// 64-bit floating point.
    Double,
    /// 64-bit integer.
    Int,
    /// Text.
    String,
}

/// When a value is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The key is not there yet.
    Absent,
    /// In any case.
    Always,
    /// The key is there.
    Present,
}

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// Another attribute of the same list.
    Key(String),
    /// The configuration: an encoded `AnyValue`.
    Literal(Vec<u8>),
}

/// The edits with their level, compiled.
pub(super) fn compile(edits: &[&AttributeEdit]) -> Result<Vec<Leveled>, ProcessorError> {
    edits
        .iter()
        .map(|edit| {
            let action = action(&edit.key, &edit.action)?;
            Ok((edit.level, Arc::new(Edit { key: edit.key.clone(), action })))
        })
        .collect()
}

fn action(key: &str, action: &AttributeAction) -> Result<Action, ProcessorError> {
    let literal = |value| Origin::Literal(any_value(value).encode_to_vec());
    let from = |key: &String| Origin::Key(key.clone());
    Ok(match action {
        AttributeAction::Convert(target) => Action::Convert(match target.as_str() {
            "double" => Target::Double,
            "int" => Target::Int,
            "string" => Target::String,
            other => {
                return Err(ProcessorError::Convert { key: key.to_owned(), to: other.to_owned() });
            }
        }),
        AttributeAction::Delete => Action::Delete,
        AttributeAction::DeletePattern(text) => Action::DeletePattern(pattern(key, text)?),
        AttributeAction::Extract(text) => {
            let regex = pattern(key, text)?;
            let groups = regex.capture_names().enumerate().skip(1);
            let groups = groups
                .map(|(index, name)| Some((index, name?.to_owned())))
                .collect::<Option<Vec<_>>>()
                .filter(|groups| !groups.is_empty())
                .ok_or_else(|| ProcessorError::Groups {
                    key: key.to_owned(),
                    pattern: text.clone(),
                })?;
            Action::Extract(regex, groups)
        }
        AttributeAction::Hash => Action::Hash,
        AttributeAction::Insert(value) => Action::Put(When::Absent, literal(value)),
        AttributeAction::InsertFrom(key) => Action::Put(When::Absent, from(key)),
        AttributeAction::Update(value) => Action::Put(When::Present, literal(value)),
        AttributeAction::UpdateFrom(key) => Action::Put(When::Present, from(key)),
        AttributeAction::Upsert(value) => Action::Put(When::Always, literal(value)),
        AttributeAction::UpsertFrom(key) => Action::Put(When::Always, from(key)),
    })
}

fn pattern(key: &str, text: &str) -> Result<Regex, ProcessorError> {
    Regex::new(text).map_err(|source| ProcessorError::Pattern { key: key.to_owned(), source })
}

fn any_value(literal: &LiteralValue) -> AnyValue {
    AnyValue {
        value: Some(match literal {
            LiteralValue::Bool(flag) => Value::BoolValue(*flag),
            LiteralValue::Double(number) => Value::DoubleValue(*number),
            LiteralValue::Int(number) => Value::IntValue(*number),
            LiteralValue::List(values) => {
                Value::ArrayValue(ArrayValue { values: values.iter().map(any_value).collect() })
            }
            LiteralValue::String(text) => Value::StringValue(text.clone()),
        }),
    }
}

/// The tree for a signal, or nothing when its requests hold nothing to edit.
pub(super) fn tree(signal: Signal, edits: &[Leveled]) -> Option<Node> {
    node(signal, schema::request(signal), edits)
}

fn node(signal: Signal, message: &'static Message, edits: &[Leveled]) -> Option<Node> {
    // Values nest without end, and hold no attributes of their own.
    if message.name == "AnyValue" {
        return None;
    }
    let edits_here: Vec<_> = edits
        .iter()
        .filter(|(level, _)| is_at(*level, signal, message.name))
        .map(|(_, edit)| Arc::clone(edit))
        .collect();
    let own = message
        .field_named("attributes")
        .filter(|_| !edits_here.is_empty())
        .map(|field| Own { attributes: field.number, edits: edits_here });
    let children: Vec<_> = message
        .fields
        .iter()
        .filter_map(|field| {
            let Kind::Message(inner) = field.kind else { return None };
            let node = node(signal, inner, edits)?;
            let merged = !field.repeated && node.own.is_some();
            Some(Child { number: field.number, merged, node })
        })
        .collect();
    (own.is_some() || !children.is_empty()).then_some(Node { own, children })
}

fn is_at(level: AttributeLevel, signal: Signal, message: &str) -> bool {
    match (level, signal) {
        (AttributeLevel::Resource, _) => message == "Resource",
        (AttributeLevel::Scope, _) => message == "InstrumentationScope",
        (AttributeLevel::SpanEvent, _) => message == "Span.Event",
        (AttributeLevel::Span, _) | (AttributeLevel::Item, Signal::Traces) => message == "Span",
        (AttributeLevel::DataPoint, _) | (AttributeLevel::Item, Signal::Metrics) => {
            message.ends_with("DataPoint")
        }
        (AttributeLevel::LogRecord, _) | (AttributeLevel::Item, Signal::Logs) => {
            message == "LogRecord"
        }
        // Profiles refer to their attributes by number.
        (AttributeLevel::Item, Signal::Profiles) => false,
    }
}
