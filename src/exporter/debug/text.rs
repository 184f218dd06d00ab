//! Lines for people.
//!
//! Guarantees that one call makes one line, whatever is in the values, and that the text does not
//! grow without end. Knows nothing of signals.

use std::fmt::{self, Write as _};

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::escape::push_line;
use crate::otlp::value::{as_string, type_name};

/// Longer texts are cut.
const MOST_TEXT: usize = 8 << 20;

/// Lines in the making.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    line: String,
    cut: bool,
}

impl Text {
    /// Adds a line; line feeds and controls in it become visible.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        if self.out.len() > MOST_TEXT {
            self.cut = true;
            return;
        }
        self.line.clear();
        let _infallible = self.line.write_fmt(line);
        push_line(&mut self.out, &self.line);
        self.out.push('\n');
    }

    /// Adds `    Name           : value`.
    pub(super) fn entry(&mut self, name: &str, value: impl fmt::Display) {
        self.line(format_args!("    {name:<15}: {value}"));
    }

    /// Adds a heading and a line for each attribute, if there are any.
    pub(super) fn attributes(&mut self, indent: &str, heading: &str, attributes: &[KeyValue]) {
        if attributes.is_empty() {
            return;
        }
        self.line(format_args!("{indent}{heading}:"));
        for attribute in attributes {
            let key = &attribute.key;
            match &attribute.value {
                Some(value) => self.line(format_args!("{indent}     -> {key}: {}", typed(value))),
                None => self.line(format_args!("{indent}     -> {key}: Empty()")),
            }
        }
    }

    /// Adds a scope.
    pub(super) fn scope(&mut self, scope: Option<&InstrumentationScope>) {
        let Some(scope) = scope else { return self.line(format_args!("InstrumentationScope")) };
        self.line(format_args!("InstrumentationScope {} {}", scope.name, scope.version));
        self.attributes("", "InstrumentationScope attributes", &scope.attributes);
        self.dropped("InstrumentationScope dropped attributes", scope.dropped_attributes_count);
    }

    /// Adds a count of what the sender left out, unless that is nothing.
    pub(super) fn dropped(&mut self, name: &str, count: u32) {
        if count > 0 {
            self.line(format_args!("{name}: {count}"));
        }
    }

    /// The text, without the last line feed.
    pub(super) fn finish(mut self) -> String {
        if self.cut {
            self.out.push_str("... (shortened)");
        } else {
            self.out.pop();
        }
        self.out
    }
}

/// `Str(text)`
pub(super) fn typed(value: &AnyValue) -> String {
    format!("{}({})", type_name(value), as_string(value))
}

/// ` key=value` for each attribute.
pub(super) fn pairs(attributes: &[KeyValue], separator: &str) -> String {
    let pairs: Vec<_> = attributes
        .iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().map(as_string).unwrap_or_default();
            format!("{}={value}", attribute.key)
        })
        .collect();
    pairs.join(separator)
}

/// An id in hexadecimal.
pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `2026-01-02 03:04:05.6 +0000 UTC`
pub(super) fn timestamp(nanoseconds: u64) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let whole = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanoseconds))
        .ok()
        .and_then(|time| time.format(FORMAT).ok())
        .unwrap_or_default();
    let fraction = format!("{:09}", nanoseconds % 1_000_000_000);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole} +0000 UTC"),
        fraction => format!("{whole}.{fraction} +0000 UTC"),
    }
}

/// `SPAN_KIND_SERVER` without its prefix as `Server`; the number when it has no name.
pub(super) fn name(known: Option<&'static str>, prefix: &str, number: i32) -> String {
    let Some(name) = known.and_then(|name| name.strip_prefix(prefix)) else {
        return number.to_string();
    };
    let mut letters = name.chars();
    letters.next().into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}
