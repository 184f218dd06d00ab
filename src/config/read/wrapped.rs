//! A configuration that is still inside the file of another program: an operator's resource, the
//! values of a chart, a ConfigMap.

use crate::config::diagnostic::Problem;
use crate::config::node::{Node, Scalar, Value};
use crate::config::read::section::Sink;

/// The node to read as the configuration; says so when that is not the whole file.
///
/// # Errors
///
/// The one problem that there is, when the configuration is a text inside the file.
pub(super) fn unwrapped<'a>(root: &'a Node, sink: &Sink) -> Result<&'a Node, Problem> {
    if looks_right(root) {
        return Ok(root);
    }
    let Some((path, found)) = find(root, "", DEPTH) else { return Ok(root) };
    let problem = Problem {
        span: found.span.clone(),
        key_path: path.clone(),
        message: format!("the configuration is not this file but what stands below {path}"),
        help: Some("copy that part into a file of its own, without its indentation".to_owned()),
        reason: "wrapped",
    };
    if !matches!(found.value, Value::Map(_)) {
        return Err(problem);
    }
    sink.error(problem);
    Ok(found)
}

fn find<'a>(node: &'a Node, path: &str, depth: u32) -> Option<(String, &'a Node)> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find_map(|(key, inner)| {
        let path = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
        if looks_right(inner) || is_text_of_one(inner) {
            return Some((path, inner));
        }
        depth.checked_sub(1).and_then(|depth| find(inner, &path, depth))
    })
}

fn looks_right(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    let has = |name: &str| entries.iter().any(|(key, _)| key.text == name);
    has("service") && (has("receivers") || has("exporters"))
}

/// A block of text with the sections at its left edge.
fn is_text_of_one(node: &Node) -> bool {
    let Value::Scalar(Scalar { text, .. }) = &node.value else { return false };
    ["receivers:", "exporters:", "service:"]
        .iter()
        .all(|name| text.lines().any(|line| line.starts_with(name)))
}

/// `spec.config`, `data.relay` and a little more.
const DEPTH: u32 = 3;
