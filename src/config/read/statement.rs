//! One OTTL statement: `set(attributes["k"], literal)` or `delete_key(attributes, "k")`.

use crate::config::scalar;
use crate::config::sections::{AttributeAction, LiteralValue};

/// A statement that can be applied.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    /// What stands before `attributes`, such as `resource`.
    pub(super) context: Option<String>,
    pub(super) key: String,
    pub(super) action: AttributeAction,
}

/// Reads one statement.
///
/// # Errors
/// What is not supported, by name.
pub(super) fn parse(text: &str) -> Result<Statement, String> {
    let mut cursor = Cursor { rest: text };
    let function = cursor.word().ok_or("no function stands at its start")?.to_owned();
    if !matches!(function.as_str(), "set" | "delete_key") {
        return Err(format!("the function {function} is not supported"));
    }
    cursor.expect("(")?;
    let context = cursor.path()?;
    let statement = if function == "set" {
        cursor.expect("[")?;
        let key = cursor.text()?;
        cursor.expect("]")?;
        if cursor.take("[") {
            return Err("values inside attributes are not supported".to_owned());
        }
        cursor.expect(",")?;
        let value = cursor.literal(0)?;
        Statement { context, key, action: AttributeAction::Upsert(value) }
    } else {
        cursor.expect(",")?;
        Statement { context, key: cursor.text()?, action: AttributeAction::Delete }
    };
    cursor.expect(")")?;
    match cursor.word() {
        Some("where") => Err("a where condition is not supported".to_owned()),
        _ if cursor.rest.trim().is_empty() => Ok(statement),
        _ => Err(format!("{:?} behind the statement is not understood", cursor.rest.trim())),
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            return Ok(());
        }
        Err(format!("{token:?} is expected before {:?}", self.rest))
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// `attributes` with what is before it.
    fn path(&mut self) -> Result<Option<String>, String> {
        let mut parts = Vec::new();
        loop {
            parts.push(self.word().ok_or("a path is expected")?);
            if !self.take(".") {
                break;
            }
        }
        match parts.as_slice() {
            ["attributes"] => Ok(None),
            [context, "attributes"] => Ok(Some((*context).to_owned())),
            _ => Err(format!("{} is no path of attributes", parts.join("."))),
        }
    }

    /// A text in double quotes.
    fn text(&mut self) -> Result<String, String> {
        self.skip_space();
        let body = self
            .rest
            .strip_prefix('"')
            .ok_or_else(|| format!("a text in double quotes is expected before {:?}", self.rest))?;
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = body.get(index + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    _ => return Err("an escape in a text is not understood".to_owned()),
                },
                _ => text.push(c),
            }
        }
        Err("a text has no closing quote".to_owned())
    }

    fn literal(&mut self, depth: usize) -> Result<LiteralValue, String> {
        self.skip_space();
        if self.rest.starts_with('"') {
            return Ok(LiteralValue::String(self.text()?));
        }
        if depth < MAX_DEPTH && self.take("[") {
            let mut items = Vec::new();
            while !self.take("]") {
                items.push(self.literal(depth + 1)?);
                if !self.take(",") {
                    self.expect("]")?;
                    break;
                }
            }
            return Ok(LiteralValue::List(items));
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "_.+-".contains(c)))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "true" => LiteralValue::Bool(true),
            "false" => LiteralValue::Bool(false),
            _ => {
                if let Some(value) = decimal(word) {
                    LiteralValue::Int(value)
                } else if let Some(value) = scalar::float(word) {
                    LiteralValue::Double(value)
                } else {
                    return Err(format!("only a literal can be set, not {:?}", self.rest));
                }
            }
        };
        self.rest = rest;
        Ok(value)
    }
}

fn decimal(word: &str) -> Option<i64> {
    word.strip_prefix('+').unwrap_or(word).parse().ok()
}

const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Statement, parse};
    use crate::config::sections::{AttributeAction, LiteralValue};

    #[test]
    fn set_and_delete_key_are_read_in_both_spellings() {
        let set = |context: Option<&str>, value| Statement {
            context: context.map(str::to_owned),
            key: "k.a".to_owned(),
            action: AttributeAction::Upsert(value),
        };
        for (text, wanted) in [
            (r#"set(attributes["k.a"], "v")"#, set(None, LiteralValue::String("v".to_owned()))),
            (
                r#" set( resource.attributes["k.a"] , -5 ) "#,
                set(Some("resource"), LiteralValue::Int(-5)),
            ),
            (r#"set(span.attributes["k.a"], 1.5)"#, set(Some("span"), LiteralValue::Double(1.5))),
            (r#"set(log.attributes["k.a"], true)"#, set(Some("log"), LiteralValue::Bool(true))),
            (
                r#"set(attributes["k.a"], ["a", 1])"#,
                set(
                    None,
                    LiteralValue::List(vec![
                        LiteralValue::String("a".to_owned()),
                        LiteralValue::Int(1),
                    ]),
                ),
            ),
            (
                r#"delete_key(datapoint.attributes, "k.a")"#,
                Statement {
                    context: Some("datapoint".to_owned()),
                    key: "k.a".to_owned(),
                    action: AttributeAction::Delete,
                },
            ),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (text, word) in [
            (r#"truncate_all(attributes, 100)"#, "truncate_all"),
            (r#"set(attributes["a"], "b") where name == "x""#, "where"),
            (r#"set(name, "x")"#, "name"),
            (r#"set(attributes["a"], attributes["b"])"#, "literal"),
            (r#"set(attributes["a"]["b"], 1)"#, "inside"),
            (r#"set(attributes["a"], nil)"#, "literal"),
            (r#"delete_key(attributes, "a"#, "quote"),
            (r#"delete_key(attributes["a"], "b")"#, "expected"),
            ("", "function"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
