//! The extensions of a revocation list: which of its issuer's lists it is, and whom it is about.

use crate::tls::revocation::der::{self, Reader, SEQUENCE};
use crate::tls::revocation::list::{Unfit, damaged, indirect, not_understood};

/// What the extensions of a list say.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// cRLNumber without leading zeros.
    pub(super) number: Option<Box<[u8]>>,
    pub(super) scope: Scope,
    /// An issuer may have had several keys, each with lists of its own.
    pub(super) signed_with: Option<Box<[u8]>>,
}

/// issuingDistributionPoint, as far as it is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    only_leaves: bool,
    only_issuers: bool,
    /// Names in DER; one of them must be in the certificate. Empty is every certificate.
    points: Vec<Box<[u8]>>,
}

impl Scope {
    /// Whether a certificate at this place of a chain is meant.
    pub(super) fn covers(&self, certificate: &[u8], is_leaf: bool) -> bool {
        let place = if is_leaf { !self.only_issuers } else { !self.only_leaves };
        // The name with its tag and length, as it stands in cRLDistributionPoints.
        let named = || self.points.iter().any(|p| memchr::memmem::find(certificate, p).is_some());
        place && (self.points.is_empty() || named())
    }
}

/// Its OID, whether it is critical, and its value.
pub(super) type Extension<'a> = (&'a [u8], bool, &'a [u8]);

/// Takes one extension off a sequence of them.
pub(super) fn extension<'a>(list: &mut Reader<'a>) -> Option<Extension<'a>> {
    let mut one = Reader::new(list.expect(SEQUENCE)?.value);
    let oid = one.expect(der::OID)?.value;
    let critical = one.optional(der::BOOLEAN)?.is_some_and(|flag| flag.value != [0]);
    Some((oid, critical, one.expect(der::OCTETS)?.value))
}

/// Reads the extensions of a list.
pub(super) fn extensions_of(tagged: &[u8]) -> Result<Extensions, Unfit> {
    let found = Reader::new(tagged).expect(SEQUENCE).ok_or_else(damaged)?;
    let mut list = Reader::new(found.value);
    let mut extensions = Extensions::default();
    while !list.is_empty() {
        let (oid, critical, value) = extension(&mut list).ok_or_else(damaged)?;
        match oid {
            [0x55, 0x1d, 20] => {
                let found = Reader::new(value).expect(der::INTEGER).ok_or_else(damaged)?;
                extensions.number = Some(der::trimmed(found.value).into());
            }
            [0x55, 0x1d, 27] => {
                let why = "is a delta: it says only what changed since another list".to_owned();
                return Err(("crl_delta", why, "name the complete list"));
            }
            [0x55, 0x1d, 28] => extensions.scope = scope_of(value)?,
            [0x55, 0x1d, 35] => extensions.signed_with = key_of(value)?,
            _ if critical => return Err(not_understood()),
            _ => {}
        }
    }
    Ok(extensions)
}

/// The keyIdentifier of authorityKeyIdentifier.
fn key_of(value: &[u8]) -> Result<Option<Box<[u8]>>, Unfit> {
    let fields = Reader::new(value).expect(SEQUENCE).ok_or_else(damaged)?;
    let mut fields = Reader::new(fields.value);
    let first = fields.peek().filter(|tag| *tag == KEY_IDENTIFIER);
    first.map(|tag| fields.expect(tag).map(|key| key.value.into()).ok_or_else(damaged)).transpose()
}

const KEY_IDENTIFIER: u8 = 0x80;

fn scope_of(value: &[u8]) -> Result<Scope, Unfit> {
    let point = Reader::new(value).expect(SEQUENCE).ok_or_else(damaged)?;
    let mut fields = Reader::new(point.value);
    let mut scope = Scope::default();
    while !fields.is_empty() {
        let field = fields.element().ok_or_else(damaged)?;
        match field.tag {
            0xa0 => {
                let mut point = Reader::new(field.value);
                let names = point.expect(der::tagged(0)).ok_or_else(not_understood)?;
                let mut names = Reader::new(names.value);
                while !names.is_empty() {
                    scope.points.push(names.element().ok_or_else(damaged)?.whole.into());
                }
            }
            0x81 => scope.only_leaves = true,
            0x82 => scope.only_issuers = true,
            0x84 => return Err(indirect()),
            0x83 | 0xa3 => {
                let why = "is about some reasons of revocation only".to_owned();
                return Err(("crl_partial", why, "name the list that is about all reasons"));
            }
            _ => return Err(not_understood()),
        }
    }
    Ok(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One extension, as it stands in the list of them.
    fn of(oid: u8, critical: bool, value: &[u8]) -> Vec<u8> {
        let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let octets = [&[4, length(value)], value].concat();
        let one = [&[6, 3, 0x55, 0x1d, oid], flag, &octets].concat();
        let one = [&[0x30, length(&one)], one.as_slice()].concat();
        [&[0x30, length(&one)], one.as_slice()].concat()
    }

    /// Guarantees: a list that is about less than it seems is refused, and so is one that says
    /// something important that nobody here understands.
    #[test]
    fn a_list_that_says_less_than_it_seems_is_refused() {
        for (name, extension, reason) in [
            ("delta", of(27, true, &[2, 1, 1]), Some("crl_delta")),
            ("a delta that does not insist", of(27, false, &[2, 1, 1]), Some("crl_delta")),
            ("some reasons", of(28, true, &[0x30, 4, 0x83, 2, 6, 0x40]), Some("crl_partial")),
            ("indirect", of(28, true, &[0x30, 3, 0x84, 1, 0xff]), Some("crl_indirect")),
            ("unknown", of(99, true, &[5, 0]), Some("crl_unknown_extension")),
            ("unknown and harmless", of(99, false, &[5, 0]), None),
            ("leaves alone", of(28, true, &[0x30, 3, 0x81, 1, 0xff]), None),
            ("number", of(20, false, &[2, 1, 7]), None),
        ] {
            let read = extensions_of(&extension).map(|_read| ()).map_err(|unfit| unfit.0);
            assert_eq!(read.err(), reason, "{name}");
        }
    }
}
