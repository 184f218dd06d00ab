//! YAML text to [`Node`]s with positions.
//!
//! Guarantees bounded work: nesting, the number of nodes and what aliases multiply have limits.
//! Knows nothing of what the keys mean.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use crate::config::diagnostic::{Problem, Span};
use crate::config::node::{Key, Node, Scalar, Style, Value};
use crate::config::scalar;

/// Deepest nesting of lists and maps.
pub(super) const MAX_DEPTH: usize = 100;

/// Most nodes of one text, what aliases repeat included.
const MAX_NODES: usize = 500_000;

/// Parses the first document of a text. The second value says that more documents follow.
///
/// # Errors
/// The first thing that is wrong with the YAML itself.
pub(super) fn parse(text: &str, file: &Arc<str>) -> Result<(Node, Option<Span>), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        file: Arc::clone(file),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loader.document()
}

struct Loader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: Arc<str>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Loader<'a> {
    fn document(&mut self) -> Result<(Node, Option<Span>), Problem> {
        let mut root = Node::new(self.span(Marker::new(0, 1, 0)), Value::Null);
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd => return Ok((root, None)),
                Event::DocumentEnd => break,
                other => root = self.node(other, span, 0)?,
            }
        }
        // What follows is not part of the configuration, whether it is well formed or not.
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::DocumentStart(_), span))) => {
                    return Ok((root, Some(self.span(span.start))));
                }
                Some(Ok((Event::StreamEnd, _))) | None => return Ok((root, None)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.malformed(&error)),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, saphyr_parser::Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.malformed(&error)),
            None => Ok((Event::StreamEnd, saphyr_parser::Span::default())),
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        at: saphyr_parser::Span,
        depth: usize,
    ) -> Result<Node, Problem> {
        let span = self.span(at.start);
        if depth > MAX_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
            return Err(problem(span, "yaml_too_deep", message, None));
        }
        self.count(1, &span)?;
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, &span),
            Event::Scalar(text, style, anchor, tag) => {
                (scalar_node(span, text.into_owned(), style, tag.as_deref())?, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(span, depth)?, anchor),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                return Err(problem(span, "yaml", "a value is missing here".to_owned(), None));
            }
        };
        if anchor != 0 {
            self.count(node.size(), &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Node, Problem> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            // The parser refuses unknown names; what is left is an alias inside its own anchor.
            let message = "an alias stands inside the value that it names".to_owned();
            return Err(problem(span.clone(), "yaml", message, None));
        };
        self.count(node.size(), span)?;
        Ok(node)
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node::new(span, Value::List(items)));
            }
            items.push(self.node(event, at, depth + 1)?);
        }
    }

    fn map(&mut self, span: Span, depth: usize) -> Result<Node, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None)
                if text == "<<");
            let key = match self.node(event, at, depth + 1)? {
                Node { span, value: Value::Scalar(scalar), .. } => Key { text: scalar.text, span },
                other => {
                    let message = "a key must be a text".to_owned();
                    return Err(problem(other.span, "yaml", message, None));
                }
            };
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            if is_merge {
                merged.push(value);
                continue;
            }
            if let Some(first) = lines.insert(key.text.clone(), key.span.line) {
                let message = format!("the key {:?} is already in line {first}", key.text);
                let help = "keep one of the two, or join them".to_owned();
                return Err(problem(key.span, "duplicate_key", message, Some(help)));
            }
            entries.push((key, value));
        }
        for source in merged {
            merge_into(&mut entries, &mut lines, source)?;
        }
        Ok(Node::new(span, Value::Map(entries)))
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("more than {MAX_NODES} values, with what aliases repeat");
        Err(problem(span.clone(), "yaml_too_large", message, None))
    }

    fn span(&self, at: Marker) -> Span {
        Span {
            file: Some(Arc::clone(&self.file)),
            line: u32::try_from(at.line()).unwrap_or(u32::MAX),
            column: u32::try_from(at.col()).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    fn malformed(&self, error: &ScanError) -> Problem {
        let help = "it is not well-formed YAML; look at the indentation and the quotes of this \
                    line and the one before";
        if error.info().contains("recursion limit") {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
            return problem(self.span(*error.marker()), "yaml_too_deep", message, None);
        }
        let message = format!("not YAML: {}", error.info());
        problem(self.span(*error.marker()), "yaml", message, Some(help.to_owned()))
    }
}

/// `<<`: adds what is not there yet; of several maps the earlier one wins.
fn merge_into(
    entries: &mut Vec<(Key, Node)>,
    lines: &mut HashMap<String, u32>,
    source: Node,
) -> Result<(), Problem> {
    match source.value {
        Value::Null => Ok(()),
        Value::Map(more) => {
            for (key, value) in more {
                if let std::collections::hash_map::Entry::Vacant(free) =
                    lines.entry(key.text.clone())
                {
                    free.insert(key.span.line);
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|i| merge_into(entries, lines, i)),
        Value::Scalar(_) => {
            let message = "the merge key << needs a map, or a list of maps".to_owned();
            Err(problem(source.span, "yaml", message, None))
        }
    }
}

fn scalar_node(
    span: Span,
    text: String,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Node, Problem> {
    let suffix = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    if suffix == Some("binary") {
        let message = "the tag !!binary is not supported".to_owned();
        return Err(problem(span, "yaml", message, None));
    }
    let style = match (style, suffix) {
        (_, Some("str")) => Style::Quoted,
        (ScalarStyle::Plain, _) => Style::Plain,
        _ => Style::Quoted,
    };
    if style == Style::Plain && scalar::is_null(&text) {
        return Ok(Node::new(span, Value::Null));
    }
    Ok(Node::new(span, Value::Scalar(Scalar { text, style })))
}

fn problem(span: Span, reason: &'static str, message: String, help: Option<String>) -> Problem {
    Problem { span, key_path: String::new(), message, help, reason }
}
