//! Numbers in OTLP/JSON: literals, or texts that say the same.
//!
//! Guarantees that integers are exact, whatever form they come in. Knows nothing of fields.

use super::cursor::{Cursor, Text, number_length};
use super::error::{Fault, Parsed, fault};

/// An integer of up to 64 bits and its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integer {
    is_negative: bool,
    magnitude: u64,
}

impl Integer {
    /// As an unsigned number up to `most`.
    #[inline(always)]
    pub(super) fn unsigned(self, most: u64) -> Parsed<u64> {
        if self.magnitude > most || self.is_negative && self.magnitude != 0 {
            return Err(out_of_range("0", most));
        }
        Ok(self.magnitude)
    }

    /// As a signed number of 64 bits.
    #[inline(always)]
    pub(super) fn signed64(self) -> Parsed<i64> {
        let value = i128::from(self.magnitude);
        i64::try_from(if self.is_negative { -value } else { value })
            .map_err(|_beyond| out_of_range(i64::MIN, i64::MAX))
    }

    /// As a signed number of 32 bits.
    #[inline(always)]
    pub(super) fn signed32(self) -> Parsed<i32> {
        self.signed64()
            .ok()
            .and_then(|value| i32::try_from(value).ok())
            .ok_or_else(|| out_of_range(i32::MIN, i32::MAX))
    }
}

/// Takes an integer.
#[inline(always)]
pub(super) fn integer(cursor: &mut Cursor<'_>) -> Parsed<Integer> {
    let rest = cursor.rest();
    let quotes = usize::from(rest.first() == Some(&b'"'));
    let is_negative = rest.get(quotes) == Some(&b'-');
    let start = quotes + usize::from(is_negative);
    let mut magnitude = 0_u64;
    let mut length = 0;
    for byte in rest.get(start..).unwrap_or_default() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
        length += 1;
    }
    let end = rest.get(start + length).copied().unwrap_or_default();
    let is_plain = match quotes {
        0 => !matches!(end, b'.' | b'e' | b'E'),
        _ => end == b'"',
    };
    // Up to 19 digits always fit. What begins with zero may be ill-formed.
    if is_plain && (length == 1 || (1..20).contains(&length) && rest.get(start) != Some(&b'0')) {
        cursor.skip(start + length + quotes);
        return Ok(Integer { is_negative, magnitude });
    }
    unusual(cursor)
}

/// An integer in any other form.
#[inline(never)]
fn unusual(cursor: &mut Cursor<'_>) -> Parsed<Integer> {
    match cursor.peek() {
        b'"' => match cursor.string("a number")? {
            Text::Plain(text) => decimal(text),
            Text::Escaped(raw) => {
                let mut text = Vec::new();
                super::text::unescape(raw, &mut text)?;
                decimal(&text)
            }
        },
        b'-' | b'0'..=b'9' => decimal(cursor.number()?),
        _ => Err(cursor.mismatch("an integer, or a text of its decimal digits")),
    }
}

/// The integer that decimal notation stands for, also with a fraction of zeros or an exponent.
fn decimal(text: &[u8]) -> Parsed<Integer> {
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // Texts may have zeros in front, as Go's parser allows.
    let zeros = unsigned.iter().take_while(|&&byte| byte == b'0').count();
    let from = match unsigned.get(zeros) {
        Some(b'0'..=b'9') => zeros,
        _ => zeros.saturating_sub(1),
    };
    let number = unsigned.get(from..).unwrap_or_default();
    if number.first() == Some(&b'-') || number.is_empty() || number_length(number) != number.len() {
        return Err(not_an_integer(text));
    }
    let is_exponent = |byte: &u8| matches!(byte, b'e' | b'E');
    let mut parts = number.splitn(2, is_exponent);
    let mantissa = parts.next().unwrap_or_default();
    let exponent = parts.next().map_or(Some(0), small);
    let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
    let fraction = mantissa.len().saturating_sub(point + 1);
    let mut value = 0_u128;
    for byte in mantissa.iter().filter(|&&byte| byte != b'.') {
        let digit = u128::from(byte.wrapping_sub(b'0'));
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .ok_or_else(|| out_of_range(i64::MIN, u64::MAX))?;
    }
    let mut exponent =
        exponent.unwrap_or(i64::MAX / 2) - i64::try_from(fraction).unwrap_or_default();
    while value != 0 && exponent != 0 {
        if exponent < 0 {
            if !value.is_multiple_of(10) {
                return Err(not_an_integer(text));
            }
            value /= 10;
            exponent += 1;
        } else {
            value = value.checked_mul(10).ok_or_else(|| out_of_range(i64::MIN, u64::MAX))?;
            exponent -= 1;
        }
    }
    let magnitude = u64::try_from(value).map_err(|_beyond| out_of_range(i64::MIN, u64::MAX))?;
    Ok(Integer { is_negative, magnitude })
}

/// A small number with a sign.
fn small(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse::<i32>().ok().map(i64::from)
}

/// Takes a floating point number.
pub(super) fn double(cursor: &mut Cursor<'_>) -> Parsed<f64> {
    if cursor.peek() != b'"' {
        let literal = match cursor.peek() {
            b'-' | b'0'..=b'9' => cursor.number()?,
            _ => return Err(cursor.mismatch("a number")),
        };
        return finite(literal);
    }
    match cursor.string("a number")? {
        Text::Plain(b"NaN") => Ok(f64::NAN),
        Text::Plain(b"Infinity") => Ok(f64::INFINITY),
        Text::Plain(b"-Infinity") => Ok(f64::NEG_INFINITY),
        Text::Plain(text) if !text.is_empty() && number_length(text) == text.len() => finite(text),
        Text::Plain(text) | Text::Escaped(text) => {
            let message =
                format!("must be a number, NaN, Infinity or -Infinity, but is {}", quoted(text));
            Err(fault("json_type", message))
        }
    }
}

fn finite(literal: &[u8]) -> Parsed<f64> {
    let number = std::str::from_utf8(literal).ok().and_then(|text| text.parse::<f64>().ok());
    match number {
        Some(number) if number.is_finite() => Ok(number),
        _ => Err(fault("json_range", "is out of the range of 64-bit floating point numbers")),
    }
}

#[cold]
fn not_an_integer(text: &[u8]) -> Box<Fault> {
    fault("json_type", format!("must be an integer, but is {}", quoted(text)))
}

#[cold]
fn out_of_range(least: impl std::fmt::Display, most: impl std::fmt::Display) -> Box<Fault> {
    fault("json_range", format!("is out of range: it must be from {least} to {most}"))
}

/// A value for a message, cut to what is readable.
pub(super) fn quoted(text: &[u8]) -> String {
    const MOST: usize = 64;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
