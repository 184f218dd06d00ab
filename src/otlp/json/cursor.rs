//! A position in a JSON text, and the tokens there.
//!
//! Guarantees JSON's grammar (RFC 8259) for all that it passes over, in one pass, without
//! recursion. The text is UTF-8. Knows nothing of OTLP.

use super::error::{Fault, Parsed, fault};

/// How deep values of unknown keys may be nested.
const MOST_LEVELS: u32 = 100;

/// A position in a text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

/// The inside of a string literal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// What it says.
    Plain(&'a [u8]),
    /// With escapes that are still to be resolved.
    Escaped(&'a [u8]),
}

impl<'a> Cursor<'a> {
    /// The start of a text.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The byte here; zero, which no valid text contains, at the end.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or_default()
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Goes on by one byte.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// What is left of the text.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes on by some bytes.
    #[inline(always)]
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes on to the next token, and returns its first byte.
    #[inline(always)]
    pub(super) fn token(&mut self) -> u8 {
        let byte = self.peek();
        if byte > b' ' {
            return byte;
        }
        self.token_after_space()
    }

    #[inline(never)]
    fn token_after_space(&mut self) -> u8 {
        loop {
            match self.peek() {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Takes a byte that must be the next token.
    #[inline(always)]
    pub(super) fn expect(&mut self, wanted: u8) -> Parsed<()> {
        if self.token() == wanted {
            self.at += 1;
            return Ok(());
        }
        Err(self.syntax(&format!("expected {:?}", char::from(wanted))))
    }

    /// After a member or an element: takes a comma (true) or this closing byte (false).
    #[inline(always)]
    pub(super) fn goes_on(&mut self, close: u8) -> Parsed<bool> {
        let byte = self.token();
        if byte == b',' || byte == close {
            self.at += 1;
            return Ok(byte == b',');
        }
        Err(self.syntax(&format!("expected ',' or {:?}", char::from(close))))
    }

    /// Takes this closing byte if it is the next token.
    #[inline(always)]
    pub(super) fn closes(&mut self, close: u8) -> bool {
        let closes = self.token() == close;
        self.at += usize::from(closes);
        closes
    }

    /// Takes `null` if it is here.
    #[inline(always)]
    pub(super) fn is_null(&mut self) -> Parsed<bool> {
        if self.peek() == b'n' {
            return self.literal("null").map(|()| true);
        }
        Ok(false)
    }

    /// Takes `true` or `false`.
    pub(super) fn boolean(&mut self) -> Parsed<bool> {
        match self.peek() {
            b't' => self.literal("true").map(|()| true),
            b'f' => self.literal("false").map(|()| false),
            _ => Err(self.mismatch("true or false")),
        }
    }

    fn literal(&mut self, word: &str) -> Parsed<()> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.syntax("no JSON value"))
    }

    /// Takes a string literal; `wanted` says what it should be, for the error.
    #[inline(always)]
    pub(super) fn string(&mut self, wanted: &str) -> Parsed<Text<'a>> {
        if self.peek() != b'"' {
            return Err(self.mismatch(wanted));
        }
        let start = self.at + 1;
        let end = special(self.text, start);
        if self.text.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Text::Plain(self.text.get(start..end).unwrap_or_default()));
        }
        self.string_with_escapes(start, end)
    }

    #[inline(never)]
    fn string_with_escapes(&mut self, start: usize, mut at: usize) -> Parsed<Text<'a>> {
        loop {
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Text::Escaped(self.text.get(start..at).unwrap_or_default()));
                }
                // Whatever is escaped, it is not the end.
                Some(b'\\') => at = special(self.text, at + 2),
                other => {
                    let what = match other {
                        Some(_) => "a control character in a text: it must be escaped",
                        None => "the text has no end",
                    };
                    self.at = at;
                    return Err(self.syntax(what));
                }
            }
        }
    }

    /// Takes a number literal.
    pub(super) fn number(&mut self) -> Parsed<&'a [u8]> {
        let rest = self.rest();
        let length = number_length(rest);
        if length == 0 {
            return Err(match rest.first() {
                Some(b'-' | b'0'..=b'9') => self.syntax("an ill-formed number"),
                _ => self.mismatch("a number"),
            });
        }
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// Passes over any value.
    pub(super) fn skip_value(&mut self) -> Parsed<()> {
        // One bit for each open container: set for objects.
        let (mut objects, mut depth) = (0_u128, 0);
        loop {
            let byte = self.token();
            match byte {
                b'{' | b'[' => {
                    if depth == MOST_LEVELS {
                        return Err(fault("json_depth", too_deep(MOST_LEVELS)));
                    }
                    let close = if byte == b'{' { b'}' } else { b']' };
                    self.at += 1;
                    if !self.closes(close) {
                        objects = objects << 1 | u128::from(byte == b'{');
                        depth += 1;
                        self.skip_key(objects)?;
                        continue;
                    }
                }
                b'"' => {
                    if let Text::Escaped(raw) = self.string("a text")? {
                        super::text::check(raw)?;
                    }
                }
                b'-' | b'0'..=b'9' => drop(self.number()?),
                b'n' => self.literal("null")?,
                _ => drop(self.boolean()?),
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let close = if objects & 1 == 1 { b'}' } else { b']' };
                if self.goes_on(close)? {
                    self.skip_key(objects)?;
                    break;
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// Passes over a key and its colon, in an object.
    fn skip_key(&mut self, objects: u128) -> Parsed<()> {
        if objects & 1 == 1 {
            self.token();
            self.string("a key in double quotes")?;
            self.expect(b':')?;
        }
        Ok(())
    }

    /// The text is not JSON here.
    #[cold]
    pub(super) fn syntax(&self, what: &str) -> Box<Fault> {
        let found = match self.text.get(self.at) {
            None => "the end of the body".to_owned(),
            Some(byte) if byte.is_ascii_graphic() => format!("{:?}", char::from(*byte)),
            Some(byte) => format!("byte 0x{byte:02x}"),
        };
        fault("json_syntax", format!("{what}; found {found} at byte {}", self.at))
    }

    /// There is a value of another type here.
    #[cold]
    pub(super) fn mismatch(&self, wanted: &str) -> Box<Fault> {
        let found = match self.peek() {
            b'{' => "an object",
            b'[' => "a list",
            b'"' => "a text",
            b'-' | b'0'..=b'9' => "a number",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            _ => return self.syntax(&format!("expected {wanted}")),
        };
        fault("json_type", format!("must be {wanted}, but is {found}"))
    }
}

/// The message for nesting beyond a limit.
pub(super) fn too_deep(levels: u32) -> String {
    format!("is nested deeper than {levels} levels")
}

/// The length of the number at the start, by JSON's grammar; zero when there is none.
pub(super) fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || whole > 1 && text.get(at) == Some(&b'0') {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return 0;
        }
        at += 1 + sign + exponent;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Where the next quote, backslash or control character is; the end if there is none.
#[inline(always)]
pub(super) fn special(text: &[u8], from: usize) -> usize {
    let mut at = from;
    // Eight bytes at once: in a byte that is found, the high bit is set. Carries may set it in
    // bytes after the first one that is found, never before.
    while let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*bytes);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & HIGH != 0 {
            return at + (found & HIGH).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    let found = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ');
    at + found.unwrap_or(rest.len())
}
