//! What the text of a scalar means: booleans, numbers, durations and sizes.
//!
//! Follows YAML as the Collector's parser reads it, and Go's durations (contract 9.6).

use std::time::Duration;

/// Whether a plain text is YAML's null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// YAML 1.2 booleans; `yes` and `on` are strings.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Decimal, `0x`, `0o`, `0b` and the old octal `0123`, with `_` between digits.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    let lower = clean.to_ascii_lowercase();
    let (radix, rest) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        (8, rest)
    } else {
        (10, lower.as_str())
    };
    if rest.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(rest, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// A number with a point or an exponent, `.inf` and `.nan`.
pub(super) fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let mut digits = false;
    for c in text.chars() {
        match c {
            '0'..='9' => digits = true,
            '.' | '+' | '-' | '_' => {}
            'e' | 'E' if digits => {}
            _ => return None,
        }
    }
    if !digits {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// How a plain scalar would be typed by YAML, for messages; `None` is a string.
pub(super) fn other_than_string(text: &str) -> Option<&'static str> {
    if boolean(text).is_some() {
        Some("a boolean")
    } else if integer(text).is_some() || float(text).is_some() {
        Some("a number")
    } else {
        None
    }
}

/// A Go duration such as `300ms` or `1h30m`; `None` when it is none or does not fit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut nanoseconds: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanoseconds = nanoseconds.checked_add(scaled(number, unit_nanoseconds(unit)?)?)?;
        rest = tail;
    }
    // Go's durations are signed 64-bit nanoseconds.
    let nanoseconds = u64::try_from(nanoseconds).ok().filter(|n| i64::try_from(*n).is_ok())?;
    Some(Duration::from_nanos(nanoseconds))
}

/// A decimal number times a unit, in whole nanoseconds.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mut total = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    total = unit.checked_mul(total)?;
    let mut scale = unit;
    for digit in fraction.chars() {
        scale /= 10;
        total = total.checked_add(scale.checked_mul(digit.to_digit(10)?.into())?)?;
    }
    Some(total)
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A size such as `64MiB`, `512KiB`, `1GB`; a bare number is bytes.
pub(super) fn bytes(text: &str) -> Option<i128> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return integer(text),
    };
    integer(number.trim_end())?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{boolean, bytes, duration, float, integer};
    use std::time::Duration;

    #[test]
    fn durations_are_gos() {
        for (text, nanoseconds) in [
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1us", 1_000),
            ("1\u{b5}s", 1_000),
            ("0", 0),
            ("2m0.5s", 120_500_000_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in ["", "5", "s", "1d", "1 s", "-1s", "1..5s", "300000h0", "9999999h", "1e3s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_yamls_as_go_reads_it() {
        for (text, value) in [
            ("1_048_576", 1_048_576),
            ("0123", 83),
            ("0x10", 16),
            ("0o17", 15),
            ("-5", -5),
            ("+7", 7),
            ("0", 0),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["", "_1", "1.5", "0x", "089", "1a", "--1", "0x-1"] {
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!(float("1e6"), Some(1e6));
        assert_eq!(float("1.2"), Some(1.2));
        for text in ["", "e", ".", "1.2.3", "inf", "nan", "1s"] {
            assert_eq!(float(text), None, "{text}");
        }
        assert_eq!(bytes("64MiB"), Some(64 << 20));
        assert_eq!(bytes("1024"), Some(1024));
        assert_eq!(bytes("64Mib"), None);
        assert_eq!((boolean("True"), boolean("yes")), (Some(true), None));
    }
}
