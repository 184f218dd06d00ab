//! One certificate revocation list, parsed once into a sorted table of serial numbers.
//!
//! Guarantees that a list which says less than it seems to (a delta, an indirect one, one for some
//! reasons only, one with a critical extension that is not understood) is refused with the reason.

use std::cmp::Ordering;
use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{ASN1Time, FromDer, X509Name};

use crate::tls::file::give_way;
use crate::tls::inspect;
use crate::tls::revocation::der::{self, Element, Reader, SEQUENCE};
use crate::tls::revocation::extensions::{Extensions, Scope, extension, extensions_of};

/// A list that can be looked up.
#[derive(Debug)]
pub(super) struct List {
    /// The issuer's name in DER, without its outermost tag, as certificates are compared by it.
    pub(super) issuer: Box<[u8]>,
    /// The same for people, escaped.
    pub(super) issuer_name: String,
    /// cRLNumber without leading zeros; lists of version 1 have none.
    pub(super) number: Option<Box<[u8]>>,
    /// The name of the key that signed it, as the issuer gives it.
    pub(super) signed_with: Option<Box<[u8]>>,
    pub(super) this_update: i64,
    /// `None` never expires.
    pub(super) next_update: Option<i64>,
    /// Which certificates of the issuer it is about.
    pub(super) scope: Scope,
    /// Sorted.
    entries: Box<[Entry]>,
    /// The whole list as it came; nothing once it was [`List::settle`]d.
    der: Vec<u8>,
    signed: Signed,
}

/// Why a list cannot be used: reason, clause and help.
pub(super) type Unfit = (&'static str, String, &'static str);

/// A serial number and, in the last byte, why it is listed. Numbers instead of bytes, for sorting
/// and searching a hundred thousand of them take most of the time otherwise.
type Entry = [u64; 3];

/// What the signature is about, for the check.
#[derive(Debug)]
struct Signed {
    message: Range<usize>,
    algorithm: Box<[u8]>,
    signature: Box<[u8]>,
}

impl List {
    /// Takes one list in DER, or gives it back.
    pub(super) fn parse(der: Vec<u8>) -> Result<Self, (Vec<u8>, Unfit)> {
        match Self::read(&der) {
            Ok(list) => Ok(Self { der, ..list }),
            Err(unfit) => Err((der, unfit)),
        }
    }

    fn read(der: &[u8]) -> Result<Self, Unfit> {
        let outer = outer(der).ok_or_else(damaged)?;
        let mut tbs = Reader::new(outer.tbs.value);
        let mut head = || {
            let version = tbs.optional(der::INTEGER)?;
            let algorithm = tbs.expect(SEQUENCE)?;
            let issuer = tbs.expect(SEQUENCE)?;
            let this_update = time(tbs.element()?)?;
            let next_update = match tbs.peek() {
                Some(der::UTC_TIME | der::GENERALIZED_TIME) => Some(time(tbs.element()?)?),
                _ => None,
            };
            let revoked = tbs.optional(SEQUENCE)?;
            let extensions = tbs.optional(der::tagged(0))?;
            let fits = tbs.is_empty()
                && version.is_none_or(|version| version.value == [1])
                && algorithm.value == outer.algorithm.value;
            fits.then_some((issuer, this_update, next_update, revoked, extensions))
        };
        let (issuer, this_update, next_update, revoked, extensions) = head().ok_or_else(damaged)?;
        let Extensions { number, scope, signed_with } = match extensions {
            Some(found) => extensions_of(found.value)?,
            None => Extensions::default(),
        };
        Ok(Self {
            issuer: issuer.value.into(),
            issuer_name: name_of(issuer.value),
            number,
            signed_with,
            this_update,
            next_update,
            scope,
            entries: entries(revoked.map(|list| list.value).unwrap_or_default())?,
            der: Vec::new(),
            signed: Signed {
                message: outer.message,
                algorithm: outer.algorithm.value.into(),
                signature: outer.signature.into(),
            },
        })
    }

    /// Whether the holder of this key made the list.
    pub(super) fn signed_by(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(key) else { return false };
        let Signed { message, algorithm, signature } = &self.signed;
        let Some(message) = self.der.get(message.clone()) else { return false };
        algorithms
            .all
            .iter()
            .filter(|one| one.signature_alg_id().as_ref() == algorithm.as_ref())
            .any(|one| key.verify_signature(*one, message, signature).is_ok())
    }

    /// Whether the signature could be checked at all.
    pub(super) fn is_checkable(&self, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        algorithms
            .all
            .iter()
            .any(|one| one.signature_alg_id().as_ref() == self.signed.algorithm.as_ref())
    }

    /// Lets go of the signed bytes: only the table is needed once the signature was checked.
    pub(super) fn settle(&mut self) {
        self.der = Vec::new();
    }

    /// Why a certificate is revoked, if it is listed. A list is complete, so an entry to remove
    /// from it has no meaning, and an entry on hold is no reason to let anybody in.
    pub(super) fn find(&self, serial: &[u8]) -> Option<&'static str> {
        let serial = pack(serial, 0);
        let at = self.entries.binary_search_by(|entry| serial_of(entry).cmp(&serial)).ok()?;
        self.entries.get(at).map(|[_, _, low]| reason_name(low.to_be_bytes()[7]))
    }

    /// How many certificates are listed.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Which of two lists of one issuer is newer.
    pub(super) fn age(&self, other: &Self) -> Ordering {
        let by_number = match (&self.number, &other.number) {
            (Some(one), Some(two)) => one.len().cmp(&two.len()).then_with(|| one.cmp(two)),
            _ => Ordering::Equal,
        };
        by_number.then(self.this_update.cmp(&other.this_update))
    }

    /// `number 0x1f of 2026-01-02`, for messages.
    pub(super) fn edition(&self) -> String {
        let date = inspect::date(self.this_update);
        match &self.number {
            Some(number) => {
                let digits: String =
                    number.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
                let digits = digits.trim_start_matches('0');
                format!("number 0x{} of {date}", if digits.is_empty() { "0" } else { digits })
            }
            None => format!("without a number, of {date}"),
        }
    }
}

/// A distinguished name for people, from its DER without the outermost tag.
pub(super) fn name_of(inner: &[u8]) -> String {
    let Ok(length) = u16::try_from(inner.len()) else { return "of absurd length".to_owned() };
    let mut der = vec![SEQUENCE, 0x82];
    der.extend(length.to_be_bytes());
    der.extend(inner);
    match X509Name::from_der(&der) {
        Ok((_rest, name)) => inspect::named(&inspect::distinguished_name(&name)),
        Err(_unreadable) => "that cannot be read".to_owned(),
    }
}

struct Outer<'a> {
    tbs: Element<'a>,
    /// Where the signed part stands, with its tag and length.
    message: Range<usize>,
    algorithm: Element<'a>,
    signature: &'a [u8],
}

fn outer(der: &[u8]) -> Option<Outer<'_>> {
    let mut all = Reader::new(der);
    let inner = all.expect(SEQUENCE)?;
    let mut list = Reader::new(inner.value);
    let tbs = list.expect(SEQUENCE)?;
    let start = inner.whole.len().checked_sub(inner.value.len())?;
    let algorithm = list.expect(SEQUENCE)?;
    let (unused, signature) = list.expect(der::BITS)?.value.split_first()?;
    (all.is_empty() && list.is_empty() && *unused == 0).then_some(Outer {
        tbs,
        message: start..start + tbs.whole.len(),
        algorithm,
        signature,
    })
}

fn time(element: Element<'_>) -> Option<i64> {
    ASN1Time::from_der(element.whole).ok().map(|(_rest, time)| time.timestamp())
}

fn entries(revoked: &[u8]) -> Result<Box<[Entry]>, Unfit> {
    let mut list = Reader::new(revoked);
    // The shortest entry with a serial of 16 bytes.
    let mut entries = Vec::with_capacity(revoked.len() / 35);
    while !list.is_empty() {
        let entry = list.expect(SEQUENCE).ok_or_else(damaged)?;
        let mut entry = Reader::new(entry.value);
        let serial = entry.expect(der::INTEGER).ok_or_else(damaged)?;
        let _date = entry.element().ok_or_else(damaged)?;
        let extensions = entry.optional(SEQUENCE).ok_or_else(damaged)?;
        let reason = extensions.map_or(Ok(0), |found| entry_reason(found.value))?;
        entries.push(pack(serial.value, reason));
        if entries.len().is_multiple_of(ENTRIES) {
            give_way();
        }
    }
    for part in entries.chunks_mut(ENTRIES) {
        part.sort_unstable();
        give_way();
    }
    // Merges the parts.
    entries.sort();
    Ok(entries.into())
}

/// Entries read or sorted at once.
const ENTRIES: usize = 4096;

/// The length, 20 bytes, and the reason; what is longer than any serial may be is represented by a
/// hash.
fn pack(serial: &[u8], reason: u8) -> Entry {
    let serial = der::trimmed(serial);
    let mut bytes = [0; 24];
    let [length, rest @ .., last] = &mut bytes;
    *last = reason;
    match (u8::try_from(serial.len()), rest.get_mut(..serial.len().min(20))) {
        (Ok(short @ 0..=20), Some(place)) => {
            *length = short;
            place.copy_from_slice(serial);
        }
        _ => {
            *length = u8::MAX;
            let hash = digest(&SHA256, serial);
            rest.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        }
    }
    let mut entry = Entry::default();
    let (words, _none) = bytes.as_chunks::<8>();
    entry.iter_mut().zip(words).for_each(|(to, from)| *to = u64::from_be_bytes(*from));
    entry
}

fn serial_of(entry: &Entry) -> Entry {
    let [high, middle, low] = *entry;
    [high, middle, low & !0xff]
}

fn entry_reason(extensions: &[u8]) -> Result<u8, Unfit> {
    let mut list = Reader::new(extensions);
    let mut reason = 0;
    while !list.is_empty() {
        let (oid, critical, value) = extension(&mut list).ok_or_else(damaged)?;
        match oid {
            [0x55, 0x1d, 21] => {
                let code = Reader::new(value).expect(der::ENUMERATED).ok_or_else(damaged)?;
                reason = code.value.first().copied().unwrap_or(0);
            }
            [0x55, 0x1d, 29] => return Err(indirect()),
            _ if critical => return Err(not_understood()),
            _ => {}
        }
    }
    Ok(reason)
}

pub(super) fn damaged() -> Unfit {
    let why = "is not a revocation list that can be read".to_owned();
    ("crl_damaged", why, "copy it again from the CA, in PEM or DER")
}

pub(super) fn indirect() -> Unfit {
    let why = "is indirect: it lists certificates of other CAs than its issuer".to_owned();
    ("crl_indirect", why, "name the list that each CA itself issues")
}

pub(super) fn not_understood() -> Unfit {
    let why = "has a critical extension that is not understood".to_owned();
    ("crl_unknown_extension", why, "name a complete list of the CA without it")
}

fn reason_name(code: u8) -> &'static str {
    match code {
        1 => "key compromise",
        2 => "CA compromise",
        3 => "affiliation changed",
        4 => "superseded",
        5 => "cessation of operation",
        6 => "on hold",
        8 => "removed from another list",
        9 => "privilege withdrawn",
        10 => "attribute authority compromise",
        _ => "no reason given",
    }
}
