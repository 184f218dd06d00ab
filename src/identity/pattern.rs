//! What a rule says of a name: literal, or with `*` for parts of it.
//!
//! Guarantees that a pattern is held against a whole name, part by part: `*` is one part and never
//! a piece of one, `**` is one part or more and stands only where the name's end is not decided by
//! it: last in a path, first in a DNS name. A pattern of one kind matches no name of another.

use std::fmt;
use std::net::IpAddr;

use super::name::{self, Kind, Name};
use super::spiffe::{self, SpiffeError, SpiffeId};
use super::{Identity, shown};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    kind: Kind,
    /// As it was written.
    text: String,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// The whole name.
    Exactly(String),
    Ip(IpAddr),
    /// Any local part at this domain.
    AtDomain(String),
    /// Labels, the last one first.
    Dns(Parts),
    Spiffe {
        domain: String,
        path: Parts,
    },
    /// Everything between slashes.
    Uri(Parts),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not `*`, and not a name either.
    #[error("\"{text}\" is no {kind} name, and so it would match nobody")]
    NotAName {
        /// Of the rule.
        kind: Kind,
        /// What is wrong: the whole pattern or a part of it, escaped.
        text: String,
    },
    /// A `*` inside a part.
    #[error("in \"{0}\" the * is a piece of a part; it stands for a whole part between separators")]
    Piece(String),
    /// A `**` elsewhere.
    #[error("** can only be {0}")]
    Rest(&'static str),
    /// A SPIFFE id that is not well made.
    #[error("is no SPIFFE id: {0}")]
    Spiffe(#[from] SpiffeError),
    /// A `*` where the kind has none.
    #[error("a {kind} name is compared as a whole and takes no *{but}")]
    Star {
        /// Of the rule.
        kind: Kind,
        /// An exception, to follow.
        but: &'static str,
    },
}

impl Pattern {
    /// Reads the pattern of a rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, PatternError> {
        let not_a_name = || PatternError::NotAName { kind, text: shown(text) };
        let form = match kind {
            Kind::Spiffe => {
                let (domain, path) = spiffe::parts(text)?;
                let path = Parts::parse(kind, path.split('/'), LAST)?;
                Form::Spiffe { domain: domain.to_owned(), path }
            }
            Kind::Dns => {
                let lower = text.to_ascii_lowercase();
                if lower.len() > 253 {
                    return Err(not_a_name());
                }
                Form::Dns(Parts::parse(kind, lower.rsplit('.'), FIRST)?)
            }
            Kind::Uri => {
                // With its `*` replaced by what may stand there, it must be a URI.
                let sample: Vec<_> =
                    text.split('/').map(|part| if is_star(part) { "x" } else { part }).collect();
                let authority = text.split('/').nth(2).is_some_and(is_star);
                if authority && text.contains("://") {
                    let but = " in its authority";
                    return Err(PatternError::Star { kind, but });
                }
                if !text.contains('*') && name::uri(text).is_none()
                    || !sample.iter().any(|part| part.contains('*'))
                        && name::uri(&sample.join("/")).is_none()
                {
                    return Err(not_a_name());
                }
                Form::Uri(Parts::parse(kind, text.split('/'), LAST)?)
            }
            Kind::Email => match text.strip_prefix("*@") {
                Some(domain) => Form::AtDomain(name::dns(domain).ok_or_else(not_a_name)?),
                None if text.contains('*') => {
                    return Err(PatternError::Star { kind, but: ", but for *@ and a domain" });
                }
                None => Form::Exactly(name::email(text).ok_or_else(not_a_name)?),
            },
            Kind::Ip | Kind::Cn | Kind::Sha256 if text.contains('*') => {
                return Err(PatternError::Star { kind, but: "" });
            }
            Kind::Ip => {
                let ip: IpAddr = text.parse().map_err(|_no_address| not_a_name())?;
                Form::Ip(ip.to_canonical())
            }
            Kind::Cn => Form::Exactly(name::common_name(text).ok_or_else(not_a_name)?.to_owned()),
            Kind::Sha256 => {
                let hex = text.replace(':', "").to_ascii_lowercase();
                if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(not_a_name());
                }
                Form::Exactly(hex)
            }
        };
        Ok(Self { kind, text: text.to_owned(), form })
    }

    /// Of which names it speaks.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The trust domain of a SPIFFE pattern.
    pub fn trust_domain(&self) -> Option<&str> {
        match &self.form {
            Form::Spiffe { domain, .. } => Some(domain),
            _ => None,
        }
    }

    /// Whether this is the name of such a peer.
    pub fn matches(&self, name: &Name) -> bool {
        match (&self.form, name) {
            (Form::Spiffe { domain, path }, Name::Spiffe(id)) => {
                id.trust_domain() == domain && path.match_all(id.segments(), str::eq)
            }
            (Form::Dns(labels), Name::Dns(name)) => labels.match_all(name.rsplit('.'), str::eq),
            (Form::Uri(parts), Name::Uri(uri)) => parts.match_all(uri.split('/'), str::eq),
            (Form::AtDomain(domain), Name::Email(email)) => {
                email.rsplit_once('@').is_some_and(|(_local, of)| of == domain)
            }
            (Form::Ip(one), Name::Ip(other)) => one == other,
            (Form::Exactly(text), Name::Cn(name)) => self.kind == Kind::Cn && text == name,
            (Form::Exactly(text), Name::Email(name)) => self.kind == Kind::Email && text == name,
            (Form::Exactly(text), Name::Sha256(name)) => self.kind == Kind::Sha256 && text == name,
            _ => false,
        }
    }

    /// Whether any name that a leaf has, of whatever source and well made or not, is one of these.
    /// For rules that refuse: upper and lower case are the same here.
    pub fn matches_any(&self, leaf: &Identity) -> bool {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        match &self.form {
            Form::Spiffe { domain, path } => leaf
                .uris
                .iter()
                .filter_map(|uri| SpiffeId::parse(uri).ok())
                .any(|id| id.trust_domain() == domain && path.match_all(id.segments(), same)),
            Form::Dns(labels) => leaf
                .dns
                .iter()
                .any(|name| labels.match_all(name.trim_end_matches('.').rsplit('.'), same)),
            Form::Uri(parts) => leaf.uris.iter().any(|uri| parts.match_all(uri.split('/'), same)),
            Form::AtDomain(domain) => leaf
                .emails
                .iter()
                .filter_map(|email| email.rsplit_once('@'))
                .any(|(_local, of)| same(of, domain)),
            Form::Ip(one) => leaf.ips.iter().any(|other| other.to_canonical() == *one),
            Form::Exactly(text) => match self.kind {
                Kind::Cn => {
                    let mut names = leaf.common_name.iter().chain(&leaf.common_names);
                    names.any(|name| same(name, text))
                }
                Kind::Email => leaf.emails.iter().any(|email| same(email, text)),
                _ => leaf.sha256 == *text,
            },
        }
    }
}

/// As a rule of the configuration.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ {}: \"{}\" }}", self.kind, shown(&self.text))
    }
}

/// The parts of a pattern; the whole of a name must match.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    /// `None` is any one part.
    parts: Vec<Option<String>>,
    /// Whether one part or more must follow.
    rest: bool,
}

impl Parts {
    fn parse<'a>(
        kind: Kind,
        texts: impl Iterator<Item = &'a str>,
        place_of_rest: &'static str,
    ) -> Result<Self, PatternError> {
        let mut read = Self { parts: Vec::new(), rest: false };
        for (index, text) in texts.enumerate() {
            if read.rest {
                return Err(PatternError::Rest(place_of_rest));
            }
            match text {
                "**" => read.rest = true,
                "*" => read.parts.push(None),
                text if text.contains('*') => return Err(PatternError::Piece(shown(text))),
                // The scheme and the empty part behind it.
                text if kind == Kind::Uri && index < 2 => read.parts.push(Some(text.to_owned())),
                text if name::is_part(kind, text) => read.parts.push(Some(text.to_owned())),
                text => match spiffe::check_segment(text) {
                    Err(why) if kind == Kind::Spiffe => return Err(why.into()),
                    _ => return Err(PatternError::NotAName { kind, text: shown(text) }),
                },
            }
        }
        Ok(read)
    }

    fn match_all<'a>(
        &self,
        mut segments: impl Iterator<Item = &'a str>,
        same: impl Fn(&str, &str) -> bool,
    ) -> bool {
        for part in &self.parts {
            let Some(segment) = segments.next() else { return false };
            if part.as_ref().is_some_and(|part| !same(part, segment)) {
                return false;
            }
        }
        segments.next().is_some() == self.rest
    }
}

fn is_star(part: &str) -> bool {
    matches!(part, "*" | "**")
}

const LAST: &str = "the last part, as in /ns/prod/**";
const FIRST: &str = "the first part, as in **.shop.example";
