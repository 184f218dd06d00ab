//! How a record looks: `console` for people, `json` for machines (contract 9.2).
//!
//! Console lines follow zap's: time, level, target, message and the fields as one JSON object,
//! separated by tabs. JSON lines have the Collector's keys `level`, `ts`, `msg`, and `target` for
//! zap's `caller`.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::config::sections::LogEncoding;
use crate::escape::{cut, push_block, push_json_string, push_line};
use crate::telemetry::BLOCK_FIELD;

/// Turns records into lines of one encoding.
#[derive(Debug)]
pub(super) struct Formatter {
    encoding: LogEncoding,
    initial_fields: Vec<(String, String)>,
}

/// One record, its texts as they came.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) time: OffsetDateTime,
    pub(super) level: &'static str,
    pub(super) target: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: &'a [(&'static str, Value)],
    pub(super) block: Option<&'a str>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A boolean.
    Bool(bool),
    /// A number with a fraction.
    Float(f64),
    /// A whole number.
    Int(i128),
    /// Anything else.
    Text(String),
}

impl Formatter {
    pub(super) fn new(encoding: LogEncoding, initial_fields: &BTreeMap<String, String>) -> Self {
        let initial_fields = initial_fields.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { encoding, initial_fields }
    }

    /// The line of a record, line feed included.
    pub(super) fn line(&self, record: &Record<'_>) -> String {
        let mut out = String::with_capacity(256);
        match self.encoding {
            LogEncoding::Console => self.console(&mut out, record),
            LogEncoding::Json => self.json(&mut out, record),
        }
        out.push('\n');
        out
    }

    fn console(&self, out: &mut String, record: &Record<'_>) {
        out.push_str(&record.timestamp());
        out.push('\t');
        out.push_str(record.level);
        out.push('\t');
        push_line(out, record.short_target());
        out.push('\t');
        push_line(out, record.message);
        if !self.initial_fields.is_empty() || !record.fields.is_empty() {
            out.push_str("\t{");
            self.push_fields(out, record, true);
            out.push('}');
        }
        if let Some(block) = record.block {
            push_block(out, block);
        }
    }

    fn json(&self, out: &mut String, record: &Record<'_>) {
        out.push_str("{\"level\":\"");
        out.push_str(record.level);
        out.push_str("\",\"ts\":\"");
        out.push_str(&record.timestamp());
        out.push_str("\",\"target\":");
        push_json_string(out, record.short_target());
        out.push_str(",\"msg\":");
        push_json_string(out, record.message);
        self.push_fields(out, record, false);
        if let Some(block) = record.block {
            push_field(out, BLOCK_FIELD, false, |out| push_json_string(out, block));
        }
        out.push('}');
    }

    fn push_fields(&self, out: &mut String, record: &Record<'_>, mut first: bool) {
        for (name, value) in &self.initial_fields {
            push_field(out, name, first, |out| push_json_string(out, value));
            first = false;
        }
        for (name, value) in record.fields {
            push_field(out, name, first, |out| value.push(out));
            first = false;
        }
    }
}

impl Record<'_> {
    /// RFC 3339 in UTC with milliseconds.
    pub(super) fn timestamp(&self) -> String {
        self.time.format(TIMESTAMP).unwrap_or_default()
    }

    /// Message and fields on one line, without time and level.
    pub(super) fn summary(&self) -> String {
        let mut out = String::new();
        push_line(&mut out, self.message);
        for (name, value) in self.fields {
            out.push(' ');
            out.push_str(name);
            out.push('=');
            value.push(&mut out);
        }
        out
    }

    /// The target without the name of the crate, which every one of ours begins with.
    fn short_target(&self) -> &str {
        let crate_name = env!("CARGO_PKG_NAME");
        match self.target.strip_prefix(crate_name) {
            Some("") | None => self.target,
            Some(rest) => rest.strip_prefix("::").unwrap_or(self.target),
        }
    }
}

impl Value {
    /// The text that it is, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn push(&self, out: &mut String) {
        match self {
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Float(value) if value.is_finite() => out.push_str(&value.to_string()),
            // JSON has no spelling for these.
            Self::Float(value) => push_json_string(out, &value.to_string()),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Text(text) => {
                let (head, was_cut) = cut(text, MAX_TEXT_BYTES);
                if was_cut {
                    push_json_string(out, &format!("{head}... (shortened)"));
                } else {
                    push_json_string(out, head);
                }
            }
        }
    }
}

fn push_field(out: &mut String, name: &str, first: bool, push: impl FnOnce(&mut String)) {
    if !first {
        out.push_str(", ");
    }
    push_json_string(out, name);
    out.push_str(": ");
    push(out);
}

/// Longest text of one field; a peer's words must not fill a disk.
const MAX_TEXT_BYTES: usize = 8 << 10;

const TIMESTAMP: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
