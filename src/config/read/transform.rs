//! The `transform` processor: `set` with a literal and `delete_key`, on attributes.
//!
//! Any other statement is refused by name: leaving one out would let data pass that it was
//! written to change.

use crate::config::node::{Node, Value};
use crate::config::read::section::Section;
use crate::config::read::statement;
use crate::config::read::values::{describe, text_of};
use crate::config::sections::{AttributeEdit, AttributeLevel, Processor};
use crate::signal::Signal;

/// `transform`.
pub(super) fn transform(section: &Section<'_>) -> Processor {
    error_mode(section);
    section.boolean("flatten_data").is_some_and(|flatten| flatten).then(|| {
        let message = "flatten_data is not supported";
        section.error_help("flatten_data", "unsupported", message, "remove it");
    });
    let mut edits: [Vec<AttributeEdit>; 4] = Default::default();
    for (signal, key) in [
        (Signal::Traces, "trace_statements"),
        (Signal::Metrics, "metric_statements"),
        (Signal::Logs, "log_statements"),
        (Signal::Profiles, "profile_statements"),
    ] {
        let Some(slot) = edits.get_mut(signal.index()) else { continue };
        statements(section, key, signal, slot);
    }
    Processor::Transform(edits)
}

fn error_mode(section: &Section<'_>) {
    section.word("error_mode", &[("ignore", ()), ("silent", ()), ("propagate", ())]);
}

fn statements(section: &Section<'_>, key: &str, signal: Signal, edits: &mut Vec<AttributeEdit>) {
    for (index, item) in section.list(key).unwrap_or_default().iter().enumerate() {
        let path = format!("{}[{index}]", section.path_of(key));
        if let Value::Map(_) = &item.value {
            let group = Section::new(path, item.span.clone(), Some(item), section.sink);
            group_of(&group, signal, edits);
            group.finish();
        } else {
            let at = Section::new(path, item.span.clone(), None, section.sink);
            one(&at, item, signal, None, edits);
        }
    }
}

/// `{context: ..., statements: [...]}`.
fn group_of(group: &Section<'_>, signal: Signal, edits: &mut Vec<AttributeEdit>) {
    error_mode(group);
    let items = group.list("statements").unwrap_or_default();
    if group.list("conditions").is_some_and(|conditions| !conditions.is_empty()) {
        let message = "conditions are not supported: the statements would always apply";
        group.error_help(
            "conditions",
            "unsupported",
            message,
            "remove the group or its conditions",
        );
    }
    let context = group.string("context").filter(|text| !text.is_empty());
    let context = match context {
        None => None,
        Some(text) => match level(&text, signal) {
            Some(level) => Some(level),
            None => {
                let known: Vec<_> = contexts(signal).iter().map(|(name, _)| *name).collect();
                group.error_help(
                    "context",
                    "unknown_value",
                    format!("the context {text:?} has no attributes here"),
                    format!("use one of: {}", known.join(", ")),
                );
                return;
            }
        },
    };
    for (index, item) in items.iter().enumerate() {
        let path = format!("{}[{index}]", group.path_of("statements"));
        let at = Section::new(path, item.span.clone(), None, group.sink);
        one(&at, item, signal, context, edits);
    }
}

fn one(
    at: &Section<'_>,
    item: &Node,
    signal: Signal,
    context: Option<AttributeLevel>,
    edits: &mut Vec<AttributeEdit>,
) {
    let Ok(text) = text_of(item) else {
        at.mistyped("", &describe(item), "a statement");
        return;
    };
    match statement::parse(&text) {
        Err(why) => at.error_help("", "statement", format!("{text:?}: {why}"), SUPPORTED),
        Ok(parsed) => {
            let level = match (parsed.context.as_deref(), context) {
                (None, Some(context)) => Some(context),
                (Some(name), _) => level(name, signal),
                (None, None) => {
                    let message = format!("{text:?}: attributes of what?");
                    let first = contexts(signal).first().map_or("resource", |(name, _)| *name);
                    let help = format!("write {first}.attributes[...], or add context: {first}");
                    at.error_help("", "statement", message, help);
                    return;
                }
            };
            match level {
                Some(level) => {
                    edits.push(AttributeEdit { level, key: parsed.key, action: parsed.action });
                }
                None => {
                    let known: Vec<_> = contexts(signal).iter().map(|(name, _)| *name).collect();
                    let message = format!("{text:?}: there are no such attributes in {signal}");
                    at.error_help("", "statement", message, format!("here: {}", known.join(", ")));
                }
            }
        }
    }
}

fn level(name: &str, signal: Signal) -> Option<AttributeLevel> {
    let name = if name == "instrumentation_scope" { "scope" } else { name };
    contexts(signal).iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
}

/// The contexts that have attributes, the items first.
fn contexts(signal: Signal) -> &'static [(&'static str, AttributeLevel)] {
    use AttributeLevel::{DataPoint, LogRecord, Resource, Scope, Span, SpanEvent};
    match signal {
        Signal::Traces => {
            &[("span", Span), ("spanevent", SpanEvent), ("scope", Scope), ("resource", Resource)]
        }
        Signal::Metrics => &[("datapoint", DataPoint), ("scope", Scope), ("resource", Resource)],
        Signal::Logs => &[("log", LogRecord), ("scope", Scope), ("resource", Resource)],
        Signal::Profiles => &[("scope", Scope), ("resource", Resource)],
    }
}

const SUPPORTED: &str = "supported are set(attributes[\"key\"], literal) and \
                         delete_key(attributes, \"key\"), with span., spanevent., datapoint., log., \
                         scope. or resource. before attributes";
