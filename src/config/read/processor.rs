//! `batch`, `memory_limiter`, `resource` and `attributes` (contract 8.1, 8.2).

use crate::config::node::{Node, Scalar, Style, Value};
use crate::config::read::delivery::unique_keys;
use crate::config::read::section::Section;
use crate::config::read::values::MAX;
use crate::config::scalar;
use crate::config::sections::{
    AttributeAction, AttributeEdit, AttributeLevel, LiteralValue, Processor,
};

/// `batch`.
pub(super) fn batch(section: &Section<'_>) -> Processor {
    section.duration("timeout");
    let size = section.number::<u64>("send_batch_size", 0..=MAX).unwrap_or(8192);
    let max = section.number::<u64>("send_batch_max_size", 0..=MAX).unwrap_or(0);
    if max > 0 && max < size {
        section.error(
            "send_batch_max_size",
            "out_of_range",
            "send_batch_max_size must be greater or equal to send_batch_size",
        );
    }
    unique_keys(section, "metadata_keys");
    section.number::<u64>("metadata_cardinality_limit", 0..=MAX);
    section.warn(
        "",
        "no_effect",
        "has no effect: batches pass as they come, and their senders are not kept waiting",
        "",
    );
    Processor::Batch
}

/// `memory_limiter`.
pub(super) fn memory_limiter(section: &Section<'_>) -> Processor {
    let interval = section.duration("check_interval").unwrap_or_default();
    if interval.is_zero() {
        let message = "'check_interval' must be greater than zero";
        section.error_help("check_interval", "out_of_range", message, "add check_interval: 1s");
    }
    let gc = |key| section.duration(key);
    let (soft, hard) =
        (gc("min_gc_interval_when_soft_limited"), gc("min_gc_interval_when_hard_limited"));
    let soft = soft.unwrap_or(std::time::Duration::from_secs(10));
    if soft < hard.unwrap_or_default() {
        section.error(
            "min_gc_interval_when_soft_limited",
            "out_of_range",
            "'min_gc_interval_when_soft_limited' should be larger than \
             'min_gc_interval_when_hard_limited'",
        );
    }
    gc("max_gc_interval_when_soft_limited");
    gc("max_gc_interval_when_hard_limited");
    let number = |key| section.number::<u32>(key, 0..=u32::MAX.into()).unwrap_or(0);
    let (limit, spike) = (number("limit_mib"), number("spike_limit_mib"));
    let (percent, spike_percent) = (number("limit_percentage"), number("spike_limit_percentage"));
    if limit == 0 && percent == 0 {
        let message = "'limit_mib' or 'limit_percentage' must be greater than zero";
        section.error_help("", "missing_key", message, "add limit_percentage: 80");
    }
    if percent > 100 || spike_percent > 100 {
        section.error(
            if percent > 100 { "limit_percentage" } else { "spike_limit_percentage" },
            "out_of_range",
            "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less \
             than or equal to hundred",
        );
    }
    let help = "the limit is what is left when the spike is taken away: make the spike smaller";
    if limit > 0 && spike >= limit {
        let message = "'spike_limit_mib' must be smaller than 'limit_mib'";
        section.error_help("spike_limit_mib", "out_of_range", message, help);
    }
    if percent > 0 && spike_percent >= percent {
        let message = "'spike_limit_percentage' must be smaller than 'limit_percentage'";
        section.error_help("spike_limit_percentage", "out_of_range", message, help);
    }
    let why = "has no effect: memory is bounded by max_in_flight_bytes of each listener";
    section.warn("", "no_effect", why, "");
    Processor::MemoryLimiter
}

/// `resource`.
pub(super) fn resource(section: &Section<'_>) -> Processor {
    actions(section, "attributes", AttributeLevel::Resource)
}

/// `attributes`.
pub(super) fn attributes(section: &Section<'_>) -> Processor {
    for key in ["include", "exclude"] {
        if section.raw(key).is_some_and(|node| node.value != Value::Null) {
            let message = format!("{key} is not supported: every item would be edited");
            section.error_help(key, "unsupported", message, "remove it to edit every item");
        }
    }
    actions(section, "actions", AttributeLevel::Item)
}

fn actions(section: &Section<'_>, key: &str, level: AttributeLevel) -> Processor {
    let items = section.list(key).unwrap_or_default();
    if items.is_empty() {
        let message = format!("missing required field \"{key}\"");
        section.error_help(key, "missing_key", message, "add at least one action");
    }
    let mut edits = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{}[{index}]", section.path_of(key));
        let entry = Section::new(path, item.span.clone(), Some(item), section.sink);
        action(&entry, level, &mut edits);
        entry.finish();
    }
    Processor::Attributes(edits)
}

fn action(entry: &Section<'_>, level: AttributeLevel, edits: &mut Vec<AttributeEdit>) {
    let key = entry.string("key").unwrap_or_default();
    let verb = entry.string("action").unwrap_or_default().to_lowercase();
    let pattern = entry.string("pattern").filter(|text| !text.is_empty());
    let converted = entry.string("converted_type").filter(|text| !text.is_empty());
    if entry.raw("from_context").is_some_and(|node| node.value != Value::Null) {
        let message = "from_context is not supported: a sender could claim anything there";
        entry.error_help("from_context", "unsupported", message, "use value or from_attribute");
        return;
    }
    let from = entry.string("from_attribute").filter(|text| !text.is_empty());
    let value = entry.value("value").and_then(|node| {
        let found = literal(node);
        if found.is_none() {
            entry.error("value", "wrong_type", "must be a text, a number, a boolean or a list");
        }
        found
    });
    if let Some(pattern) = &pattern
        && let Err(error) = regex::Regex::new(pattern)
    {
        let why = error.to_string().lines().last().unwrap_or_default().to_owned();
        entry.error("pattern", "pattern", format!("is no regular expression: {why}"));
        return;
    }
    if key.is_empty() && !(verb == "delete" && pattern.is_some()) {
        entry.error("key", "missing_key", "missing field \"key\"");
        return;
    }
    let edit = |action| AttributeEdit { level, key: key.clone(), action };
    match verb.as_str() {
        "insert" | "update" | "upsert" => {
            if let Some(action) = setting(entry, &verb, value, from) {
                edits.push(edit(action));
            }
        }
        "delete" => {
            if !key.is_empty() {
                edits.push(edit(AttributeAction::Delete));
            }
            edits.extend(pattern.map(|pattern| AttributeEdit {
                level,
                key: String::new(),
                action: AttributeAction::DeletePattern(pattern),
            }));
        }
        "hash" if pattern.is_none() => edits.push(edit(AttributeAction::Hash)),
        "hash" => entry.error_help(
            "pattern",
            "unsupported",
            "hash with a pattern is not supported",
            "write one action for each key",
        ),
        "extract" => extraction(entry, pattern, |pattern| {
            edits.push(edit(AttributeAction::Extract(pattern)));
        }),
        "convert" => match converted.as_deref() {
            Some("int" | "double" | "string") => {
                edits.push(edit(AttributeAction::Convert(converted.unwrap_or_default())));
            }
            _ => entry.error("converted_type", "unknown_value", "must be int, double or string"),
        },
        _ => entry.error_help(
            "action",
            "unknown_value",
            format!("unsupported action {verb:?}"),
            "use one of: insert, update, upsert, delete, hash, extract, convert",
        ),
    }
}

fn setting(
    entry: &Section<'_>,
    verb: &str,
    value: Option<LiteralValue>,
    from: Option<String>,
) -> Option<AttributeAction> {
    Some(match (verb, value, from) {
        ("insert", Some(value), None) => AttributeAction::Insert(value),
        ("insert", None, Some(from)) => AttributeAction::InsertFrom(from),
        ("update", Some(value), None) => AttributeAction::Update(value),
        ("update", None, Some(from)) => AttributeAction::UpdateFrom(from),
        (_, Some(value), None) => AttributeAction::Upsert(value),
        (_, None, Some(from)) => AttributeAction::UpsertFrom(from),
        (_, Some(_), Some(_)) => {
            entry.error(
                "value",
                "contradiction",
                "only one of value and from_attribute can be set",
            );
            return None;
        }
        (_, None, None) => {
            if !entry.has("value") {
                let message = format!("{verb} needs value or from_attribute");
                entry.error("", "missing_key", message);
            }
            return None;
        }
    })
}

fn extraction(entry: &Section<'_>, pattern: Option<String>, push: impl FnOnce(String)) {
    let names = |pattern: &String| {
        regex::Regex::new(pattern)
            .is_ok_and(|r| r.capture_names().skip(1).all(|n| n.is_some()) && r.captures_len() > 1)
    };
    match pattern {
        Some(pattern) if names(&pattern) => push(pattern),
        _ => entry.error_help(
            "pattern",
            "pattern",
            "extract needs a pattern whose groups all have names",
            "such as ^(?P<host>[^:]+):(?P<port>\\d+)$",
        ),
    }
}

/// A literal as YAML types it.
pub(super) fn literal(node: &Node) -> Option<LiteralValue> {
    match &node.value {
        Value::List(items) => {
            items.iter().map(literal).collect::<Option<_>>().map(LiteralValue::List)
        }
        Value::Map(_) => None,
        // From a variable that is unset or empty.
        Value::Null => Some(LiteralValue::String(String::new())),
        Value::Scalar(Scalar { text, style: Style::Quoted }) => {
            Some(LiteralValue::String(text.clone()))
        }
        Value::Scalar(Scalar { text, style: Style::Plain }) => {
            Some(if let Some(b) = scalar::boolean(text) {
                LiteralValue::Bool(b)
            } else if let Some(n) = scalar::integer(text).and_then(|n| i64::try_from(n).ok()) {
                LiteralValue::Int(n)
            } else if let Some(n) = scalar::float(text) {
                LiteralValue::Double(n)
            } else {
                LiteralValue::String(text.clone())
            })
        }
    }
}
