//! Component and pipeline ids (contract 9.1).

use crate::config::diagnostic::{Problem, Span};
use crate::config::node::{Node, Value};
use crate::config::read::section::Section;
use crate::config::read::values::text_of;
use crate::config::sections::PipelineId;
use crate::config::types::ComponentId;
use crate::signal::Signal;

/// Reads the id that is the value of a key.
pub(super) fn component(section: &Section<'_>, key: &str, text: &str) -> Option<ComponentId> {
    match parse(text) {
        Ok(id) => Some(id),
        Err(why) => {
            section.error(key, "component_id", why);
            None
        }
    }
}

/// An id in a list, with its place.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) id: ComponentId,
    pub(super) span: Span,
    pub(super) path: String,
}

/// A list of ids.
pub(super) fn references(section: &Section<'_>, key: &str) -> Vec<Reference> {
    let items: &[Node] = section.list(key).unwrap_or_default();
    let mut references = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{}[{index}]", section.path_of(key));
        let text = match text_of(item) {
            Ok(text) if item.value != Value::Null => text,
            _ => String::new(),
        };
        match parse(&text) {
            Ok(id) => references.push(Reference { id, span: item.span.clone(), path }),
            Err(message) => section.sink.error(Problem {
                span: item.span.clone(),
                key_path: path,
                message,
                help: Some("an id is a type, or a type and a name: otlp, otlp/2".to_owned()),
                reason: "component_id",
            }),
        }
    }
    references
}

/// `type` or `type/name`.
pub(super) fn parse(text: &str) -> Result<ComponentId, String> {
    if text.is_empty() {
        return Err("id must not be empty".to_owned());
    }
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) => (kind.trim(), Some(name.trim())),
        None => (text.trim(), None),
    };
    if kind.is_empty() {
        return Err(format!("in {text:?} id: the part before / should not be empty"));
    }
    let fits = kind.len() <= 63
        && kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        return Err(format!("invalid character(s) in type {kind:?}"));
    }
    let name = name.map(|name| check_name(text, name)).transpose()?;
    Ok(ComponentId { kind: kind.to_owned(), name })
}

/// `traces`, `metrics/name` and so on.
pub(super) fn pipeline(text: &str) -> Result<PipelineId, String> {
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) => (kind.trim(), Some(name.trim())),
        None => (text.trim(), None),
    };
    let signal =
        Signal::from_name(kind).ok_or_else(|| format!("unknown pipeline signal: {kind:?}"))?;
    let name = name.map(|name| check_name(text, name)).transpose()?;
    Ok(PipelineId { signal, name })
}

fn check_name(text: &str, name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err(format!("in {text:?} id: the part after / should not be empty"));
    }
    let symbol = |c: char| c.is_whitespace() || c.is_control() || "$+<=>^`|~".contains(c);
    if name.chars().count() > 1024 || name.chars().any(symbol) {
        return Err(format!("invalid character(s) in name {name:?}"));
    }
    Ok(name.to_owned())
}
