//! PEM, read so that nothing in a file is passed over in silence.
//!
//! Guarantees that every `-----BEGIN` of the input ends up as a [`Block`] or in a [`Fault`] that
//! names what was found, where, and what to do. Never panics, whatever the bytes. Knows nothing of
//! what a block is used for.

mod found;
mod label;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::tls::file::give_way;

pub(crate) use label::{KeyForm, Label};

/// One `-----BEGIN X-----` ... `-----END X-----`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// What it says it is.
    pub(crate) label: Label,
    /// Line of its first marker, from 1.
    pub(crate) line: usize,
    /// The decoded bytes; may be a secret.
    pub(crate) der: Vec<u8>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The bytes may be a private key.
        f.debug_struct("Block")
            .field("label", &self.label)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// Why an input is not PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Line, from 1; 0 when it is about the whole input.
    pub(crate) line: usize,
    /// Stable reason code, such as `pem_truncated`.
    pub(crate) reason: &'static str,
    /// What was found; one clause, to follow a subject such as the file's name.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// Splits an input into its blocks; there is at least one. Text around blocks is skipped, as
/// `openssl -text` writes some.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Block>, Fault> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(found::not_text(bytes));
    };
    let mut blocks = Vec::new();
    let mut open: Option<Open<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if number.is_multiple_of(LINES) {
            give_way();
        }
        if let Some(rest) = line.strip_prefix("-----BEGIN ") {
            if let Some(block) = open {
                return Err(found::no_end(block.line, block.label, Some(number)));
            }
            open = Some(Open::new(rest, number)?);
        } else if let Some(rest) = line.strip_prefix("-----END ") {
            let block = open.take().ok_or_else(|| found::no_begin(number))?;
            blocks.push(block.close(rest, number)?);
        } else if has_marker(line) {
            return Err(found::glued(number));
        } else if let Some(block) = &mut open {
            block.take(line, number)?;
        }
    }
    if let Some(block) = open {
        return Err(found::no_end(block.line, block.label, None));
    }
    if blocks.is_empty() { Err(found::no_block(bytes, text)) } else { Ok(blocks) }
}

fn has_marker(line: &str) -> bool {
    // Hardly a line of a large file has a dash, and looking for one is cheap.
    line.contains('-') && (line.contains("-----BEGIN ") || line.contains("-----END "))
}

/// A block whose end has not been seen yet.
struct Open<'a> {
    label: &'a str,
    line: usize,
    encrypted: bool,
    in_headers: bool,
    base64: String,
}

impl<'a> Open<'a> {
    fn new(rest: &'a str, line: usize) -> Result<Self, Fault> {
        let Some(label) = rest.strip_suffix("-----") else {
            return Err(if rest.contains("-----") {
                found::glued(line)
            } else {
                found::broken_marker(line)
            });
        };
        if label.contains("-----") {
            return Err(found::glued(line));
        }
        Ok(Self { label, line, encrypted: false, in_headers: true, base64: String::new() })
    }

    fn take(&mut self, line: &str, number: usize) -> Result<(), Fault> {
        if self.in_headers {
            // RFC 1421 headers stand before the data and end with an empty line.
            if line.contains(':') {
                self.encrypted |= line.starts_with("Proc-Type:") && line.contains("ENCRYPTED");
                return Ok(());
            }
            if !line.is_empty() {
                self.in_headers = false;
            }
        }
        if line.starts_with('-') {
            // An end marker that was cut.
            return Err(found::no_end(self.line, self.label, None));
        }
        // Almost every line, and there may be a hundred thousand: no branch for each byte.
        if line.bytes().fold(true, |all, byte| all & is_base64(byte)) {
            self.base64.push_str(line);
            return Ok(());
        }
        for character in line.chars().filter(|c| !c.is_ascii_whitespace()) {
            if !u8::try_from(character).is_ok_and(is_base64) {
                return Err(found::not_base64(number, self.label, character));
            }
            self.base64.push(character);
        }
        Ok(())
    }

    fn close(self, rest: &str, line: usize) -> Result<Block, Fault> {
        match rest.strip_suffix("-----") {
            Some(label) if label == self.label => {}
            Some(label) if label.contains("-----") => return Err(found::glued(line)),
            Some(label) => return Err(found::other_end(line, self.label, label)),
            None if rest.contains("-----") => return Err(found::glued(line)),
            None => return Err(found::broken_marker(line)),
        }
        let der = decoded(self.base64.as_bytes())
            .ok_or_else(|| found::damaged(self.line, self.label, self.base64.len()))?;
        if der.is_empty() {
            return Err(found::empty_block(self.line, self.label));
        }
        let label = Label::new(self.label, self.encrypted);
        Ok(Block { label, line: self.line, der })
    }
}

/// In parts, for one may be long.
fn decoded(base64: &[u8]) -> Option<Vec<u8>> {
    let mut der = Vec::with_capacity(base64.len() / 4 * 3 + 3);
    let mut rest = base64;
    while rest.len() > PART {
        let (part, after) = rest.split_at_checked(PART)?;
        // Padding stands at the very end.
        if part.contains(&b'=') {
            return None;
        }
        DECODER.decode_vec(part, &mut der).ok()?;
        rest = after;
        give_way();
    }
    DECODER.decode_vec(rest, &mut der).ok()?;
    Some(der)
}

/// Characters decoded at once: a multiple of four.
const PART: usize = 1 << 16;

/// Lines taken at once.
const LINES: usize = 1024;

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'+') | (byte == b'/') | (byte == b'=')
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes data whose padding was lost: it says the same.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;
