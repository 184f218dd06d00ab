//! Messages found by name while other tables are made of these, at compile time.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tables are made at compile time, where a panic is an error"
)]

use crate::otlp::schema::MESSAGES;

/// The position of the message with this name; there must be one.
pub(crate) const fn index(name: &str) -> u8 {
    let mut at = 0;
    while at < MESSAGES.len() {
        if same(MESSAGES[at].name, name) {
            return at as u8;
        }
        at += 1;
    }
    panic!("no such message")
}

/// Whether two names are one, as `==` is not to be had here.
pub(crate) const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
