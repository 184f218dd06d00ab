//! From the facts of a leaf to its one name.
//!
//! Guarantees that the first kind of the source that the leaf has at all decides: a name of that
//! kind that is not well made, or that there are two of, is no reason to look at the next kind, for
//! then whoever puts several names into a certificate would choose among them.

use super::name::{self, Kind, Name};
use super::spiffe::{SpiffeError, SpiffeId, is_spiffe};
use super::{Identity, shown};

/// Most subject alternative names that are looked at.
const MAX_NAMES: usize = 64;

/// Longest of them, in bytes: that of a SPIFFE id.
const MAX_BYTES: usize = 2048;

/// Why a leaf gives no name; each is a clause about the certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Several names of the kind that decides.
    #[error("has {count} {kind} names, and an identity is exactly one")]
    Ambiguous {
        /// Of which.
        kind: Kind,
        /// So many.
        count: usize,
    },
    /// A name with a character that no name has, such as NUL.
    #[error("has the name \"{0}\", with characters that are not visible ASCII")]
    Character(String),
    /// A name that is longer than any may be.
    #[error("has a name of more than {MAX_BYTES} bytes")]
    Long,
    /// No name of any kind that the source lists.
    #[error("has no name of these kinds: {0}")]
    Missing(String),
    /// More than are looked at.
    #[error("has {0} names; at most {MAX_NAMES} are looked at")]
    Names(usize),
    /// Such as a wildcard.
    #[error("has the {kind} name \"{text}\", which names no single peer beyond doubt")]
    NotAName {
        /// Its kind.
        kind: Kind,
        /// Escaped and capped.
        text: String,
    },
    /// A SPIFFE id in the hands of a CA.
    #[error(
        "has a SPIFFE id and is a CA or may sign certificates or revocation lists, which the \
         certificate of a workload may not"
    )]
    Signs,
    /// Not a SPIFFE id, although it begins as one.
    #[error("has the URI \"{text}\", which is no SPIFFE id: {why}")]
    Spiffe {
        /// Escaped and capped.
        text: String,
        /// What is wrong with it.
        why: SpiffeError,
    },
    /// A name that cannot even be read.
    #[error("has a subject alternative name that cannot be read")]
    Unreadable,
    /// A SPIFFE id beside another URI.
    #[error("has a SPIFFE id and {0} URIs in all; there must be exactly one")]
    Uris(usize),
}

impl Unfit {
    /// Whether the certificate is made in a way that no honest CA makes one: refused whatever the
    /// rules say.
    pub fn is_malformed(&self) -> bool {
        match self {
            Self::Ambiguous { .. } | Self::Missing(_) | Self::NotAName { .. } => false,
            Self::Character(_)
            | Self::Long
            | Self::Names(_)
            | Self::Signs
            | Self::Spiffe { .. }
            | Self::Unreadable
            | Self::Uris(_) => true,
        }
    }
}

/// The one name of a leaf by the first kind of `source` that it has.
///
/// # Errors
/// Why it has none.
pub fn extract(leaf: &Identity, source: &[Kind]) -> Result<Name, Unfit> {
    check(leaf)?;
    let spiffe = spiffe_id(leaf)?;
    for kind in source {
        let found = match kind {
            Kind::Spiffe => spiffe.clone().map(Name::Spiffe),
            Kind::Dns => only(Kind::Dns, leaf.dns.iter(), |text| name::dns(text).map(Name::Dns))?,
            Kind::Uri => {
                let others = leaf.uris.iter().filter(|uri| !is_spiffe(uri));
                only(Kind::Uri, others, |text| name::uri(text).map(|_| Name::Uri(text.clone())))?
            }
            Kind::Email => {
                only(Kind::Email, leaf.emails.iter(), |text| name::email(text).map(Name::Email))?
            }
            Kind::Ip => match leaf.ips.as_slice() {
                [] => None,
                [one] => Some(Name::Ip(one.to_canonical())),
                more => return Err(Unfit::Ambiguous { kind: Kind::Ip, count: more.len() }),
            },
            Kind::Cn => only(Kind::Cn, leaf.common_name.iter(), |text| {
                name::common_name(text).map(|text| Name::Cn(text.to_owned()))
            })?,
            Kind::Sha256 => Some(Name::Sha256(leaf.sha256.clone())),
        };
        if let Some(name) = found {
            return Ok(name);
        }
    }
    let kinds: Vec<_> = source.iter().map(|kind| kind.name()).collect();
    Err(Unfit::Missing(kinds.join(", ")))
}

/// The SPIFFE id of a leaf, if it has one: by the rules for X.509-SVIDs, the only URI of a leaf
/// that may sign nothing.
///
/// # Errors
/// It has something of SPIFFE that breaks the rules.
pub fn spiffe_id(leaf: &Identity) -> Result<Option<SpiffeId>, Unfit> {
    let Some(uri) = leaf.uris.iter().find(|uri| is_spiffe(uri)) else { return Ok(None) };
    if leaf.uris.len() > 1 {
        return Err(Unfit::Uris(leaf.uris.len()));
    }
    if leaf.unreadable_names {
        // It may be another URI.
        return Err(Unfit::Unreadable);
    }
    let id = SpiffeId::parse(uri).map_err(|why| Unfit::Spiffe { text: shown(uri), why })?;
    if leaf.may_sign {
        return Err(Unfit::Signs);
    }
    Ok(Some(id))
}

/// What holds of every subject alternative name, also those that do not decide.
fn check(leaf: &Identity) -> Result<(), Unfit> {
    if leaf.unreadable_names {
        return Err(Unfit::Unreadable);
    }
    let count = leaf.dns.len() + leaf.uris.len() + leaf.emails.len() + leaf.ips.len();
    if count > MAX_NAMES {
        return Err(Unfit::Names(count));
    }
    for text in leaf.dns.iter().chain(&leaf.uris).chain(&leaf.emails) {
        if text.len() > MAX_BYTES {
            return Err(Unfit::Long);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unfit::Character(shown(text)));
        }
    }
    Ok(())
}

/// `None` when there is no name of the kind.
fn only<'a>(
    kind: Kind,
    mut texts: impl Iterator<Item = &'a String> + Clone,
    read: impl Fn(&String) -> Option<Name>,
) -> Result<Option<Name>, Unfit> {
    let count = texts.clone().count();
    let Some(text) = texts.next() else { return Ok(None) };
    if count > 1 {
        return Err(Unfit::Ambiguous { kind, count });
    }
    read(text).map(Some).ok_or_else(|| Unfit::NotAName { kind, text: shown(text) })
}
