//! Escapes in JSON texts.
//!
//! Guarantees UTF-8: a surrogate without its other half is refused, not replaced.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::cursor::special;
use super::error::{Parsed, fault};

/// Appends what an escaped text says.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Parsed<()> {
    let mut rest = raw;
    loop {
        let (plain, tail) = rest.split_at(special(rest, 0).min(rest.len()));
        out.extend_from_slice(plain);
        let [b'\\', escape, after @ ..] = tail else {
            return if tail.is_empty() { Ok(()) } else { Err(bad_escape()) };
        };
        rest = after;
        let byte = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = unicode(&mut rest)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(bad_escape()),
        };
        out.push(byte);
    }
}

/// Checks the escapes of a text that is not needed.
pub(super) fn check(raw: &[u8]) -> Parsed<()> {
    let mut rest = raw;
    loop {
        let tail = rest.get(special(rest, 0)..).unwrap_or_default();
        rest = match tail {
            [] => return Ok(()),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', after @ ..] => after,
            [b'\\', b'u', after @ ..] => {
                let mut after = after;
                unicode(&mut after)?;
                after
            }
            _ => return Err(bad_escape()),
        };
    }
}

/// The character after `\u`, which may be followed by the second half of a pair.
fn unicode(rest: &mut &[u8]) -> Parsed<char> {
    let first = four_digits(rest)?;
    let mut code = u32::from(first);
    if (0xd800..0xdc00).contains(&first)
        && let [b'\\', b'u', after @ ..] = *rest
    {
        let mut after = after;
        let second = four_digits(&mut after)?;
        if (0xdc00..0xe000).contains(&second) {
            *rest = after;
            code = 0x1_0000 + ((u32::from(first) & 0x3ff) << 10) + (u32::from(second) & 0x3ff);
        }
    }
    char::from_u32(code).ok_or_else(|| {
        let message = format!("has half of a surrogate pair, \\u{first:04x}: this is no character");
        fault("json_surrogate", message)
    })
}

fn four_digits(rest: &mut &[u8]) -> Parsed<u16> {
    let Some((digits, after)) = rest.split_first_chunk::<4>() else { return Err(bad_escape()) };
    let mut code = 0;
    for &digit in digits {
        let value = char::from(digit).to_digit(16).ok_or_else(bad_escape)?;
        code = code << 4 | u16::try_from(value).unwrap_or_default();
    }
    *rest = after;
    Ok(code)
}

#[cold]
fn bad_escape() -> Box<super::error::Fault> {
    fault("json_syntax", "has an escape that JSON does not know")
}

/// Either alphabet, with or without padding.
pub(super) fn base64(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINES: [GeneralPurpose; 2] =
        [GeneralPurpose::new(&STANDARD, LENIENT), GeneralPurpose::new(&URL_SAFE, LENIENT)];
    let [standard, url_safe] = &ENGINES;
    if text.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        url_safe.decode(text)
    } else {
        standard.decode(text)
    }
}
