//! Texts of strangers, made fit for a log line.

use std::fmt::Write as _;

/// Longest text taken over from a certificate into a message, in bytes.
const MAX_SHOWN: usize = 256;

/// A text from a stranger, fit to be printed: control and non-ASCII characters escaped, cut at
/// [`MAX_SHOWN`] bytes.
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(MAX_SHOWN));
    for character in text.chars() {
        if safe.len() >= MAX_SHOWN {
            safe.push_str("...");
            break;
        }
        if character.is_ascii_control() || !character.is_ascii() {
            // Also what would turn a terminal's writing direction.
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}
