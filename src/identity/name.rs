//! The one name that a peer is known by, with its kind.

use std::fmt;
use std::net::IpAddr;

use super::shown::shown;
use super::spiffe::{SpiffeId, check_segment};

/// The kinds of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The common name of the subject.
    Cn,
    /// A DNS name.
    Dns,
    /// An e-mail address.
    Email,
    /// An IP address.
    Ip,
    /// The fingerprint of the certificate itself.
    Sha256,
    /// A SPIFFE id.
    Spiffe,
    /// Any other URI.
    Uri,
}

impl Kind {
    /// In the order in which people would prefer them.
    pub const ALL: [Self; 7] =
        [Self::Spiffe, Self::Dns, Self::Uri, Self::Email, Self::Ip, Self::Cn, Self::Sha256];

    /// As rules and messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cn => "cn",
            Self::Dns => "dns",
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Sha256 => "sha256",
            Self::Spiffe => "spiffe",
            Self::Uri => "uri",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name, well made and in the one form in which it is compared. Printed with its kind, escaped
/// and capped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// As it is written.
    Cn(String),
    /// In lower case; no wildcard.
    Dns(String),
    /// The domain in lower case.
    Email(String),
    /// An IPv4 address that is written as IPv6 is one of IPv4.
    Ip(IpAddr),
    /// In lower-case hexadecimal.
    Sha256(String),
    /// See there.
    Spiffe(SpiffeId),
    /// As it is written.
    Uri(String),
}

impl Name {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cn(_) => Kind::Cn,
            Self::Dns(_) => Kind::Dns,
            Self::Email(_) => Kind::Email,
            Self::Ip(_) => Kind::Ip,
            Self::Sha256(_) => Kind::Sha256,
            Self::Spiffe(_) => Kind::Spiffe,
            Self::Uri(_) => Kind::Uri,
        }
    }

    /// Without its kind, escaped and capped.
    pub fn value(&self) -> String {
        match self {
            Self::Cn(text)
            | Self::Dns(text)
            | Self::Email(text)
            | Self::Sha256(text)
            | Self::Uri(text) => shown(text),
            Self::Ip(ip) => ip.to_string(),
            Self::Spiffe(id) => shown(&id.to_string()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It says itself what it is.
            Self::Spiffe(_) => f.write_str(&self.value()),
            _ => write!(f, "{}:{}", self.kind(), self.value()),
        }
    }
}

/// A DNS name in lower case; `None` for a wildcard and whatever else is no host's name.
pub(super) fn dns(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    (text.len() <= 253 && text.split('.').all(is_label)).then_some(text)
}

/// One label of a DNS name in lower case.
pub(super) fn is_label(label: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
}

/// An address with its domain in lower case.
pub(super) fn email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'"' | b'*' | b'\\');
    if local.is_empty() || !local.bytes().all(fits) {
        return None;
    }
    Some(format!("{local}@{}", dns(domain)?))
}

/// A common name as it is written.
pub(super) fn common_name(text: &str) -> Option<&str> {
    // A first `#` is how a name in an encoding that is not read is shown.
    let fits = !text.is_empty()
        && text.len() <= 256
        && text.trim() == text
        && !text.starts_with('#')
        && !text.contains('*')
        && !text.chars().any(char::is_control);
    fits.then_some(text)
}

/// The parts of a URI between slashes, when no two spellings of it could mean the same: scheme and
/// authority in lower case, no query, fragment or percent-encoding, no segment `.`, `..` or empty.
pub(super) fn uri(text: &str) -> Option<std::str::Split<'_, char>> {
    let mut segments = text.split('/');
    let scheme = segments.next()?;
    let (name, opaque) = scheme.split_once(':')?;
    let mut letters = name.bytes();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    if !is_scheme || name == "spiffe" {
        return None;
    }
    let has_authority = opaque.is_empty();
    if has_authority {
        segments.next().filter(|second| second.is_empty())?;
        let authority = segments.next()?;
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(fits) {
            return None;
        }
    } else if !opaque.bytes().all(|b| is_segment_byte(b) || b == b':') {
        return None;
    }
    let sound = segments
        .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_segment_byte));
    sound.then(|| text.split('/'))
}

fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte)
}

/// One literal part of a pattern for a kind of name whose parts stand between separators.
pub(super) fn is_part(kind: Kind, part: &str) -> bool {
    match kind {
        Kind::Spiffe => check_segment(part).is_ok(),
        Kind::Dns => is_label(part),
        Kind::Cn | Kind::Email | Kind::Ip | Kind::Sha256 | Kind::Uri => {
            !matches!(part, "" | "." | "..") && part.bytes().all(is_segment_byte)
        }
    }
}
