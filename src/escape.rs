//! Escaping of text that a stranger may have written.
//!
//! Escapes what could end a line, steer a terminal or reorder what is shown: C0 and C1 controls,
//! DEL, line and paragraph separators, bidirectional controls.

use std::fmt::Write as _;

/// Appends a JSON string, quotes included.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => push_visible(out, c),
        }
    }
    out.push('"');
}

/// Appends text to a line, with everything escaped that would leave the line.
pub(crate) fn push_line(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => push_visible(out, c),
        }
    }
}

/// Appends each line of a block on a line of its own, indented.
pub(crate) fn push_block(out: &mut String, text: &str) {
    for line in text.lines() {
        out.push_str("\n    ");
        for c in line.chars() {
            if c == '\t' {
                out.push(c);
            } else {
                push_visible(out, c);
            }
        }
    }
}

/// The longest prefix of `text` of at most `limit` bytes that ends at a character.
pub(crate) fn cut(text: &str, limit: usize) -> (&str, bool) {
    if text.len() <= limit {
        return (text, false);
    }
    let (head, _tail) = text.split_at(text.floor_char_boundary(limit));
    (head, true)
}

fn push_visible(out: &mut String, c: char) {
    if c.is_control() || reorders_or_breaks(c) {
        // Everything escaped here is in the basic plane, so four digits hold it.
        let _infallible = write!(out, "\\u{:04x}", u32::from(c));
    } else {
        out.push(c);
    }
}

fn reorders_or_breaks(c: char) -> bool {
    matches!(
        c,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::{cut, push_block, push_json_string, push_line};

    #[test]
    fn controls_and_direction_marks_become_visible() {
        let mut out = String::new();
        push_json_string(&mut out, "a\"\n\u{1b}[31m\u{9b}\u{202e}\u{7f}\u{e9}");
        assert_eq!(out, "\"a\\\"\\n\\u001b[31m\\u009b\\u202e\\u007f\u{e9}\"");
        let parsed: String = serde_json::from_str(&out).unwrap();
        assert_eq!(parsed, "a\"\n\u{1b}[31m\u{9b}\u{202e}\u{7f}\u{e9}");
    }

    #[test]
    fn a_line_stays_one_line_and_a_block_stays_indented() {
        let mut out = String::new();
        push_line(&mut out, "x\r\n2026-01-01T00:00:00.000Z\terror");
        assert_eq!(out, "x\\r\\n2026-01-01T00:00:00.000Z\\terror");
        out.clear();
        push_block(&mut out, "Span #0\n\tname: \u{1b}x\n2026");
        assert_eq!(out, "\n    Span #0\n    \tname: \\u001bx\n    2026");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("abc", 3), ("abc", false));
        assert_eq!(cut("ab\u{e9}", 3), ("ab", true));
    }
}
