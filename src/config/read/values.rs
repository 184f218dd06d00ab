//! The values of a [`Section`]: strictly typed, as the Collector's (contract 4.8, 9.6).
//!
//! A null that was written leaves the default; a variable that is unset or empty is the zero
//! value of the key's type.

use std::time::Duration;

use crate::config::diagnostic::Problem;
use crate::config::node::{Node, Origin, Scalar, Style, Value};
use crate::config::read::section::Section;
use crate::config::scalar;
use crate::config::types::{Headers, Redacted};

impl<'a> Section<'a> {
    /// A text.
    pub(super) fn string(&self, key: &str) -> Option<String> {
        let node = self.value(key)?;
        text_of(node).map_or_else(
            |why| {
                self.mistyped(key, &why, "a string");
                None
            },
            Some,
        )
    }

    /// A text that must not be empty when it is there.
    pub(super) fn filled(&self, key: &str) -> Option<String> {
        let text = self.string(key)?;
        if text.is_empty() {
            self.error(key, "empty", "must not be empty");
            return None;
        }
        Some(text)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let list: Vec<&str> =
            words.iter().map(|(word, _)| *word).filter(|w| !w.is_empty()).collect();
        self.error_help(
            key,
            "unknown_value",
            format!("{text:?} is not known"),
            format!("use one of: {}", list.join(", ")),
        );
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        let node = self.value(key)?;
        let found = match &node.value {
            Value::Null => Some(false),
            Value::Scalar(Scalar { text, style: Style::Plain }) => scalar::boolean(text),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => None,
        };
        if found.is_none() {
            self.mistyped(key, &describe(node), "true or false, without quotes");
        }
        found
    }

    fn int(&self, key: &str, sizes: bool) -> Option<i128> {
        let node = self.value(key)?;
        let found = match &node.value {
            Value::Null => Some(0),
            Value::Scalar(Scalar { text, style: Style::Plain }) => scalar::integer(text)
                .or_else(|| sizes.then(|| scalar::bytes(text)).flatten())
                .or_else(|| self.truncated(key, text)),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => None,
        };
        if found.is_none() {
            let wanted = if sizes { "a size such as 64MiB, or bytes" } else { "a whole number" };
            self.mistyped(key, &describe(node), wanted);
        }
        found
    }

    /// The Collector takes `1e6` and `1.5` for whole numbers and cuts off what is behind the point.
    fn truncated(&self, key: &str, text: &str) -> Option<i128> {
        let number = scalar::float(text).filter(|n| n.is_finite() && n.abs() < 9e18)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded above, and meant to be cut")]
        let whole = number.trunc() as i64;
        if number.fract() != 0.0 {
            self.warn(key, "truncated", format!("{text} is read as {whole}"), "write that number");
        }
        Some(whole.into())
    }

    /// A whole number of a range.
    pub(super) fn number<T: TryFrom<i128>>(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<i128>,
    ) -> Option<T> {
        let value = self.int(key, false)?;
        self.ranged(key, value, &range)
    }

    /// A size in bytes, with or without a unit.
    pub(super) fn bytes(&self, key: &str, range: std::ops::RangeInclusive<i128>) -> Option<usize> {
        let value = self.int(key, true)?;
        self.ranged(key, value, &range)
    }

    fn ranged<T: TryFrom<i128>>(
        &self,
        key: &str,
        value: i128,
        range: &std::ops::RangeInclusive<i128>,
    ) -> Option<T> {
        if let Some(value) = range.contains(&value).then(|| T::try_from(value).ok()).flatten() {
            return Some(value);
        }
        let message = if *range.end() >= LARGE {
            format!("must be at least {}, found {value}", range.start())
        } else {
            format!("must be between {} and {}, found {value}", range.start(), range.end())
        };
        self.error(key, "out_of_range", message);
        None
    }

    /// Any number.
    pub(super) fn float(&self, key: &str) -> Option<f64> {
        let node = self.value(key)?;
        let found = match &node.value {
            Value::Null => Some(0.0),
            Value::Scalar(Scalar { text, style: Style::Plain }) => number_of(text),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => None,
        };
        if found.is_none() {
            self.mistyped(key, &describe(node), "a number");
        }
        found
    }

    /// A Go duration. A bare number is nanoseconds, as in the Collector, which nobody means.
    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        let node = self.value(key)?;
        let Value::Scalar(Scalar { text, style }) = &node.value else {
            if node.value == Value::Null {
                return Some(Duration::ZERO);
            }
            self.mistyped(key, &describe(node), DURATION);
            return None;
        };
        if text.is_empty() && node.origin != Origin::Written {
            return Some(Duration::ZERO);
        }
        if text.starts_with('-') {
            self.error(key, "out_of_range", format!("must not be negative, found {text}"));
            return None;
        }
        if let Some(duration) = scalar::duration(text) {
            return Some(duration);
        }
        let bare = (*style == Style::Plain).then(|| number_of(text)).flatten();
        if let Some(number) = bare.filter(|n| (0.0..9e18).contains(n)) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bounded by the filter"
            )]
            let nanoseconds = number as u64;
            if nanoseconds > 0 {
                self.warn(
                    key,
                    "no_unit",
                    format!("{text} has no unit and is read as {nanoseconds} nanoseconds"),
                    format!("write {text}s for seconds or {text}ms for milliseconds"),
                );
            }
            return Some(Duration::from_nanos(nanoseconds));
        }
        self.error_help(key, "wrong_type", format!("{text:?} is no duration"), DURATION);
        None
    }

    /// A list of texts.
    pub(super) fn strings(&self, key: &str) -> Option<Vec<String>> {
        let node = self.value(key)?;
        let items = match &node.value {
            Value::Null => return Some(Vec::new()),
            Value::List(items) => items,
            Value::Scalar(_) | Value::Map(_) => {
                self.mistyped(key, &describe(node), "a list of strings, such as [a, b]");
                return None;
            }
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match text_of(item) {
                Ok(text) => texts.push(text),
                Err(found) => {
                    self.sink.error(Problem {
                        span: item.span.clone(),
                        key_path: format!("{}[{index}]", self.path_of(key)),
                        message: format!("must be a string, found {found}"),
                        help: Some("write it in quotes".to_owned()),
                        reason: "wrong_type",
                    });
                }
            }
        }
        Some(texts)
    }

    /// The items of a list.
    pub(super) fn list(&self, key: &str) -> Option<&'a [Node]> {
        let node = self.value(key)?;
        match &node.value {
            Value::Null => Some(&[]),
            Value::List(items) => Some(items),
            Value::Scalar(_) | Value::Map(_) => {
                self.mistyped(key, &describe(node), "a list");
                None
            }
        }
    }

    /// A map of any scalars to text, such as resource attributes; `None` removes a key.
    pub(super) fn free_texts(&self, key: &str) -> Vec<(String, Option<String>)> {
        let Some(node) = self.value(key) else { return Vec::new() };
        let section = Section::new(self.path_of(key), self.span_of(key), Some(node), self.sink);
        let mut texts = Vec::new();
        for (name, node) in section.entries() {
            match &node.value {
                Value::Null => texts.push((name.text.clone(), None)),
                Value::Scalar(scalar) => {
                    texts.push((name.text.clone(), Some(original(node, scalar))));
                }
                Value::List(_) | Value::Map(_) => {
                    section.mistyped(&name.text, &describe(node), "a string");
                }
            }
        }
        texts
    }

    /// Headers, as a map or as a list of `name` and `value` (contract 4.3).
    pub(super) fn headers(&self, key: &str) -> Headers {
        let Some(node) = self.value(key) else { return Vec::new() };
        let mut headers = Headers::new();
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{}[{index}]", self.path_of(key));
                    let entry = Section::new(path, item.span.clone(), Some(item), self.sink);
                    let (name, value) = (entry.filled("name"), entry.string("value"));
                    entry.finish();
                    let Some(name) = name else {
                        if !entry.has("name") {
                            entry.error("", "missing_key", "a header needs a name");
                        }
                        continue;
                    };
                    if headers.iter().any(|(old, _)| *old == name) {
                        entry.error("name", "duplicate_key", format!("{name:?} is there twice"));
                    }
                    entry.push_header(&mut headers, "value", name, value.unwrap_or_default());
                }
            }
            Value::Null | Value::Map(_) | Value::Scalar(_) => {
                let section =
                    Section::new(self.path_of(key), self.span_of(key), Some(node), self.sink);
                for (name, _) in section.entries() {
                    let value = section.string(&name.text).unwrap_or_default();
                    section.push_header(&mut headers, &name.text, name.text.clone(), value);
                }
            }
        }
        headers
    }

    /// What cannot be sent is found here, not at the first request.
    fn push_header(&self, headers: &mut Headers, key: &str, name: String, value: String) {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            self.error(key, "header", format!("{name:?} is no header name"));
        } else if http::HeaderValue::from_str(&value).is_err() {
            // The value is a secret and stays out of the message.
            let message = format!("the value of {name:?} holds characters no header may hold");
            let help = "look for a line break, such as the last one of a file";
            self.error_help(key, "header", message, help);
        } else {
            headers.push((name, Redacted::new(value)));
        }
    }

    /// Reports a value of another type.
    pub(super) fn mistyped(&self, key: &str, found: &str, wanted: &str) {
        self.error(key, "wrong_type", format!("must be {wanted}; found {found}"));
    }
}

/// The text of a string value, or what else it is.
pub(super) fn text_of(node: &Node) -> Result<String, String> {
    if let Origin::Expanded(text) = &node.origin {
        return Ok(text.as_ref().to_owned());
    }
    match &node.value {
        Value::Null => Ok(String::new()),
        Value::Scalar(Scalar { text, style: Style::Quoted }) => Ok(text.clone()),
        Value::Scalar(Scalar { text, style: Style::Plain }) => {
            match scalar::other_than_string(text) {
                None => Ok(text.clone()),
                Some(kind) => Err(format!("{kind} ({text}); write it in quotes")),
            }
        }
        Value::List(_) | Value::Map(_) => Err(describe(node)),
    }
}

fn original(node: &Node, scalar: &Scalar) -> String {
    match &node.origin {
        Origin::Expanded(text) => text.as_ref().to_owned(),
        Origin::Unset(_) | Origin::Written => scalar.text.clone(),
    }
}

fn number_of(text: &str) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a float is wanted")]
    scalar::integer(text).map(|n| n as f64).or_else(|| scalar::float(text))
}

/// What a value is. Strings are not repeated: they may be secret.
pub(super) fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Scalar(Scalar { style: Style::Quoted, .. }) => "a string".to_owned(),
        Value::Scalar(Scalar { text, style: Style::Plain }) => {
            scalar::other_than_string(text).unwrap_or("a string").to_owned()
        }
    }
}

const DURATION: &str = "a duration such as 300ms, 10s, 1h30m";

/// A range that ends beyond this has no end worth naming.
const LARGE: i128 = 1 << 31;

/// Numbers that fit everywhere.
pub(super) const MAX: i128 = (1 << 62) - 1;
