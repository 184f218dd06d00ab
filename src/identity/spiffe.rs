//! SPIFFE ids, read as their standard has them and no more kindly.

use std::fmt;

/// Longest id, in bytes.
const MAX_BYTES: usize = 2048;

/// Longest name of a trust domain, in bytes.
const MAX_DOMAIN: usize = 255;

/// The id of a workload: a trust domain and a path that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeId {
    domain: String,
    /// Without its first slash.
    path: String,
}

/// Why a text is no id of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    /// The path holds something else than letters, digits and `.`, `-`, `_`; so do a query, a
    /// fragment and percent-encoding.
    #[error(
        "its path holds other characters than letters, digits, '.', '-' and '_' between slashes"
    )]
    Character,
    /// A segment is `.` or `..`.
    #[error("its path holds a segment '.' or '..'")]
    Dots,
    /// Two slashes follow each other, or the last character is one.
    #[error("its path holds an empty segment")]
    EmptySegment,
    /// More than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    Length,
    /// It names a trust domain and no workload.
    #[error("it has no path")]
    NoPath,
    /// Not `spiffe://`, in lower case.
    #[error("it does not begin with spiffe:// in lower case")]
    Scheme,
    /// Also one with a port or a user.
    #[error(
        "its trust domain is not made of lower-case letters, digits, '.', '-' and '_' alone (there \
         is no port and no user in it)"
    )]
    TrustDomain,
}

impl SpiffeId {
    /// Reads an id of a workload.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        let (domain, path) = parts(text)?;
        for segment in path.split('/') {
            check_segment(segment)?;
        }
        Ok(Self { domain: domain.to_owned(), path: path.to_owned() })
    }

    /// The authority that vouches for it.
    pub fn trust_domain(&self) -> &str {
        &self.domain
    }

    /// The parts of its path; at least one, none of them empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/')
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.domain, self.path)
    }
}

/// Trust domain, and the path without its first slash; the path's segments are not looked at.
pub(super) fn parts(text: &str) -> Result<(&str, &str), SpiffeError> {
    if text.len() > MAX_BYTES {
        return Err(SpiffeError::Length);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_trust_domain(domain) {
        return Err(SpiffeError::TrustDomain);
    }
    if path.is_empty() {
        return Err(SpiffeError::NoPath);
    }
    Ok((domain, path))
}

pub(super) fn check_segment(segment: &str) -> Result<(), SpiffeError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    match segment {
        "" => Err(SpiffeError::EmptySegment),
        "." | ".." => Err(SpiffeError::Dots),
        segment if segment.bytes().all(fits) => Ok(()),
        _ => Err(SpiffeError::Character),
    }
}

/// Whether a text is the name of a trust domain.
pub fn is_trust_domain(text: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    !text.is_empty() && text.len() <= MAX_DOMAIN && text.bytes().all(fits)
}

/// Whether a URI means to be a SPIFFE id, well made or not.
pub fn is_spiffe(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

const SCHEME: &str = "spiffe://";
