//! A tree written as YAML or JSON that is read as the same tree again.
//!
//! Guarantees that no secret is written unless asked for, and that a dollar sign stays one.

use std::fmt::Write as _;

use crate::config::node::{Node, Origin, Scalar, Style, Value};
use crate::config::scalar;
use crate::escape::push_json_string;

/// As YAML.
pub(crate) fn to_yaml(root: &Node, secrets: bool) -> String {
    let mut out = String::new();
    match &root.value {
        Value::Map(entries) if !entries.is_empty() => yaml(root, &Keys::top(secrets), 0, &mut out),
        _ => {
            let _infallible = writeln!(out, "{}", flow(root, &Keys::top(secrets)));
        }
    }
    out
}

/// As JSON, which is YAML, too.
pub(crate) fn to_json(root: &Node, secrets: bool) -> String {
    let mut out = flow(root, &Keys::top(secrets));
    out.push('\n');
    out
}

/// What the keys above a value say about it.
#[derive(Clone, Copy)]
struct Keys {
    secrets: bool,
    secret: bool,
    text: bool,
}

impl Keys {
    fn top(secrets: bool) -> Self {
        Self { secrets, secret: false, text: false }
    }

    fn below(self, key: &str) -> Self {
        let opaque = matches!(
            key,
            "headers"
                | "response_headers"
                | "proxy_url"
                | "owner_auth"
                | "ca_pem"
                | "cert_pem"
                | "key_pem"
        );
        // In the list form of headers the names are no secret.
        let secret = (self.secret && key != "name") || opaque;
        let text = self.text
            || opaque
            || matches!(
                key,
                "attributes"
                    | "authority"
                    | "directory"
                    | "endpoint"
                    | "host"
                    | "id"
                    | "initial_fields"
                    | "max_version"
                    | "min_version"
                    | "path"
                    | "resource"
                    | "server_name_override"
                    | "user_agent"
            )
            || key.ends_with("_file")
            || key.ends_with("_endpoint")
            || key.ends_with("_url_path");
        Self { secret, text, ..self }
    }
}

/// Block style: an entry a line.
fn yaml(node: &Node, keys: &Keys, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let below = keys.below(&key.text);
                let text = key_text(&key.text);
                // YAML reads longer keys only where they are marked as such.
                let _infallible = if text.len() > MAX_SIMPLE_KEY {
                    write!(out, "{pad}? {text}\n{pad}:")
                } else {
                    write!(out, "{pad}{text}:")
                };
                nested(value, &below, indent, out);
            }
        }
        Value::List(items) => {
            for item in items {
                let _infallible = write!(out, "{pad}-");
                nested(item, keys, indent, out);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

/// What stands behind `key:` or `-`.
fn nested(node: &Node, keys: &Keys, indent: usize, out: &mut String) {
    let opens = match &node.value {
        Value::Map(entries) => !entries.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Null | Value::Scalar(_) => false,
    };
    if opens && indent < MAX_INDENT {
        out.push('\n');
        yaml(node, keys, indent + 2, out);
    } else {
        let _infallible = writeln!(out, " {}", flow(node, keys));
    }
}

/// On one line, as JSON.
fn flow(node: &Node, keys: &Keys) -> String {
    match &node.value {
        Value::Map(entries) => {
            let parts = entries.iter().map(|(key, value)| {
                format!("{}: {}", quoted_key(&key.text), flow(value, &keys.below(&key.text)))
            });
            format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
        }
        Value::List(items) => {
            let parts: Vec<_> = items.iter().map(|item| flow(item, keys)).collect();
            format!("[{}]", parts.join(", "))
        }
        // An empty variable is not the same as a null that was written.
        Value::Null if node.origin != Origin::Written => "\"${yaml:}\"".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Scalar(_) if keys.secret && !keys.secrets => "\"[REDACTED]\"".to_owned(),
        Value::Scalar(scalar) => scalar_text(scalar, &node.origin, keys.text),
    }
}

fn scalar_text(scalar: &Scalar, origin: &Origin, text_wanted: bool) -> String {
    let text = match origin {
        Origin::Expanded(text) if text_wanted || scalar.style == Style::Quoted => text.as_ref(),
        Origin::Expanded(_) | Origin::Unset(_) | Origin::Written => &scalar.text,
    };
    let expanded = *origin != Origin::Written;
    if scalar.style == Style::Plain && !(expanded && text_wanted) {
        if scalar::boolean(text).is_some() {
            return text.to_lowercase();
        }
        // JSON knows decimal numbers without leading zeros only.
        if let Some(number) = scalar::integer(text) {
            return number.to_string();
        }
        if let Some(number) = scalar::float(text).filter(|n| n.is_finite()) {
            return format!("{number:?}");
        }
        if scalar::float(text).is_some() {
            return text.to_owned();
        }
    }
    quoted(text)
}

/// In double quotes, with `$` doubled.
fn quoted(text: &str) -> String {
    quoted_key(text).replace('$', "$$")
}

/// Keys are not expanded; most need no quotes.
fn key_text(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && scalar::boolean(text).is_none()
        && !scalar::is_null(text);
    if plain { text.to_owned() } else { quoted_key(text) }
}

/// Keys are not expanded, so a dollar sign stays single.
fn quoted_key(text: &str) -> String {
    let mut out = String::new();
    push_json_string(&mut out, text);
    out
}

/// YAML says 1024, with what stands between the key and its colon.
const MAX_SIMPLE_KEY: usize = 1000;

/// Deeper than any key of ours; what is below stays on one line.
const MAX_INDENT: usize = 40;
