//! From the files of a `tls` block to the lists in force.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::TrustAnchor;

use crate::config::Problem;
use crate::config::sections::{OnDoubt, RevocationPolicy, RevocationScope};
use crate::config::types::{Pem, PemSource};
use crate::tls::anchors::Anchors;
use crate::tls::error::problem;
use crate::tls::pem::{self, Label};
use crate::tls::revocation::der::{Reader, SEQUENCE};
use crate::tls::revocation::list::List;
use crate::tls::revocation::{Known, Revocations, Signer, succession};
use crate::tls::{file, inspect, material, time};

/// What a load needs beside the files.
#[derive(Clone, Copy)]
pub(in crate::tls) struct Inputs<'a> {
    pub(in crate::tls) policy: RevocationPolicy,
    pub(in crate::tls) anchors: &'a Anchors,
    pub(in crate::tls) algorithms: WebPkiSupportedAlgorithms,
    /// What is in force until now: nothing older replaces it.
    pub(in crate::tls) before: Option<&'a Revocations>,
}

/// A list, and where it stands.
struct Found<'a> {
    file: &'a Pem,
    line: usize,
    list: List,
    signer: Option<Vec<u8>>,
}

/// `None` when no file is configured.
pub(in crate::tls) fn load(
    files: &[Pem],
    inputs: &Inputs<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<Option<Revocations>, Vec<Problem>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for file in files {
        match lists_of(file) {
            Ok(lists) => {
                for (line, der) in lists {
                    match vet(file, line, der, inputs, warnings) {
                        Ok(one) => found.push(one),
                        Err(bad) => problems.push(bad),
                    }
                }
            }
            Err(bad) => problems.extend(bad),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    problems.extend(nobody_covered(files, &found, inputs));
    let revocations = newest(files, found, inputs, warnings);
    warnings.extend(uncovered(files, &revocations, inputs));
    problems.extend(succession::judge(files, &revocations, inputs, warnings));
    if problems.is_empty() { Ok(Some(revocations)) } else { Err(problems) }
}

pub(super) type Der = Vec<u8>;

/// Every list of a file in DER, with its line.
fn lists_of(source: &Pem) -> Result<Vec<(usize, Der)>, Vec<Problem>> {
    match &source.source {
        PemSource::File(path) => {
            let bytes = file::read_up_to(path, file::MAX_LIST_BYTES)
                .map_err(|e| vec![problem(source, 0, e.reason, e.message, e.help)])?;
            lists_in(source, &bytes)
        }
        PemSource::Inline(text) => lists_in(source, text.expose().as_bytes()),
    }
}

/// The same of what the file holds.
pub(super) fn lists_in(source: &Pem, bytes: &[u8]) -> Result<Vec<(usize, Der)>, Vec<Problem>> {
    let one = |bad: Problem| vec![bad];
    // What a CA publishes is DER, and several may be written one after the other.
    if bytes.first() == Some(&SEQUENCE) {
        let mut reader = Reader::new(bytes);
        let mut lists = Vec::new();
        while !reader.is_empty() {
            let Some(list) = reader.expect(SEQUENCE) else {
                let message = "has something else than revocation lists in DER";
                let help = "copy it again from the CA; it may have been cut";
                return Err(one(problem(source, 0, "crl_damaged", message, help)));
            };
            lists.push((0, list.whole.to_vec()));
        }
        return Ok(lists);
    }
    let blocks = pem::parse(bytes).map_err(|fault| {
        let reason = match fault.reason {
            "pem_damaged" | "pem_truncated" | "pem_glued" => fault.reason,
            _ => "crl_no_pem",
        };
        one(problem(source, fault.line, reason, fault.message, fault.help))
    })?;
    let mut lists = Vec::new();
    let mut problems = Vec::new();
    for block in blocks {
        let (reason, message, help) = match &block.label {
            Label::Crl => {
                lists.push((block.line, block.der));
                continue;
            }
            label if label.is_private_key() => (
                "crl_has_private_key",
                format!("holds a private key ({label}) among the revocation lists"),
                "lists are public: take the key out, and treat it as known to others",
            ),
            Label::Certificate => (
                "crl_foreign",
                "holds a certificate among the revocation lists".to_owned(),
                "name the CA's revocation list here, its certificate in the CA bundle",
            ),
            label => (
                "crl_foreign",
                format!("holds a {label} block among the revocation lists"),
                "name a file with `X509 CRL` blocks, or one in DER",
            ),
        };
        problems.push(problem(source, block.line, reason, message, help));
    }
    if problems.is_empty() { Ok(lists) } else { Err(problems) }
}

/// Reads a list and finds out who signed it.
fn vet<'a>(
    file: &'a Pem,
    line: usize,
    der: Vec<u8>,
    inputs: &Inputs<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<Found<'a>, Problem> {
    let mut list = List::parse(der).map_err(|(der, (reason, why, help))| {
        if inspect::describe(&der).is_some() {
            let help = "name the CA's revocation list here, its certificate in the CA bundle";
            return problem(file, line, "crl_foreign", "is a certificate", help);
        }
        problem(file, line, reason, why, help)
    })?;
    let name = list.issuer_name.clone();
    if !list.is_checkable(&inputs.algorithms) {
        let message =
            format!("the list of {name} is signed with an algorithm that is not accepted");
        let help = "have the CA sign its lists with SHA-256";
        return Err(problem(file, line, "crl_signature_algorithm", message, help));
    }
    let now = time::now();
    if list.this_update > now.saturating_add(CLOCK_SKEW) {
        let message =
            format!("the list of {name} is not valid before {}", inspect::date(list.this_update));
        let help = "compare the clocks of this machine and the CA";
        return Err(problem(file, line, "crl_not_yet_valid", message, help));
    }
    let roots = inputs.anchors.roots.roots.iter();
    let mut of_that_name = roots.filter(|anchor| anchor.subject.as_ref() == &*list.issuer);
    let mut named = false;
    let signer = of_that_name.find_map(|anchor| {
        named = true;
        let key = webpki::spki_for_anchor(anchor);
        list.signed_by(&key, &inputs.algorithms).then(|| key.as_ref().to_vec())
    });
    if named && signer.is_none() {
        let message = format!(
            "the list of {name} is not signed by the CA of that name in {}",
            inputs.anchors.place
        );
        let help = "fetch the list from that CA; if the CA has a new key, put its new certificate \
                    into the bundle beside the old";
        return Err(problem(file, line, "crl_wrong_signer", message, help));
    }
    if signer.is_some() {
        list.settle();
    }
    dates(file, line, &list, inputs, warnings, now);
    Ok(Found { file, line, list, signer })
}

fn dates(
    file: &Pem,
    line: usize,
    list: &List,
    inputs: &Inputs<'_>,
    warnings: &mut Vec<Problem>,
    now: i64,
) {
    let name = &list.issuer_name;
    let Some(at) = list.next_update else {
        let message = format!("the list of {name} does not say when the next one comes");
        let help = "it will count for ever: have the CA set nextUpdate";
        warnings.push(problem(file, line, "crl_never_expires", message, help));
        return;
    };
    if at < now {
        let grace = i64::try_from(inputs.policy.grace.as_secs()).unwrap_or(i64::MAX);
        let (reason, effect) = match inputs.policy.expired {
            OnDoubt::Deny if at.saturating_add(grace) < now => {
                ("crl_expired", "everybody of that CA is refused")
            }
            OnDoubt::Deny => (
                "crl_out_of_date",
                "everybody of that CA is refused once `revocation.grace` is over",
            ),
            OnDoubt::Allow => ("crl_out_of_date", "whoever is not on it is let in"),
        };
        let message = format!(
            "the list of {name} is out of date since {} ({}): {effect}",
            inspect::date(at),
            time::ago(at, now)
        );
        warnings.push(problem(file, line, reason, message, "fetch the CA's current list"));
    }
}

/// Lists that are about none of the trusted CAs are a mix-up: as things stand, they would have
/// everybody refused.
fn nobody_covered(files: &[Pem], found: &[Found<'_>], inputs: &Inputs<'_>) -> Option<Problem> {
    let Inputs { policy, anchors, .. } = inputs;
    let strict = policy.scope == RevocationScope::Chain && policy.unknown == OnDoubt::Deny;
    let none = !found.is_empty() && found.iter().all(|one| one.signer.is_none());
    let first = files.first().filter(|_| strict && none)?;
    let names: Vec<_> =
        found.iter().take(NAMES_SHOWN).map(|one| one.list.issuer_name.as_str()).collect();
    let message = format!(
        "has lists of {} only, none of a CA in {} ({}): everybody would be refused",
        names.join(", "),
        anchors.place,
        anchors.names()
    );
    let help = "name the lists of those CAs; with `revocation.scope: leaf` the lists of \
                intermediates are enough";
    Some(problem(first, 0, "crl_unknown_issuer", message, help))
}

/// Doubt refuses, so a CA without a list locks out everybody whom it issued.
fn uncovered(files: &[Pem], lists: &Revocations, inputs: &Inputs<'_>) -> Option<Problem> {
    let Inputs { policy, anchors, .. } = inputs;
    let first = files.first().filter(|_| policy.unknown == OnDoubt::Deny)?;
    let is_covered = |anchor: &TrustAnchor<'_>| {
        let mut lists = lists.by_issuer.get(anchor.subject.as_ref()).into_iter().flatten();
        let key = webpki::spki_for_anchor(anchor);
        lists.any(|known| known.signer.get().is_none_or(|signer| signer.key == key.as_ref()))
    };
    // The system's CAs follow the bundle's and are not named here.
    let own = anchors.roots.roots.iter().zip(&anchors.members);
    let names: Vec<_> = own
        .filter(|(anchor, _)| !is_covered(anchor))
        .map(|(_, facts)| inspect::named(&facts.identity.subject))
        .collect();
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let mut shown = names.get(..NAMES_SHOWN).unwrap_or(&names).join(", ");
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    let message = format!(
        "has no list of {shown} in {}: everybody with a certificate straight from such a CA is refused",
        anchors.place
    );
    let help = "name the lists of all CAs of the bundle; or take out the CA, or set \
                `revocation: { unknown: allow }`, which lets in whoever is on no list";
    (!names.is_empty()).then(|| problem(first, 0, "crl_missing", message, help))
}

const NAMES_SHOWN: usize = 8;

/// One list for each issuer, key and scope.
fn newest(
    files: &[Pem],
    found: Vec<Found<'_>>,
    inputs: &Inputs<'_>,
    warnings: &mut Vec<Problem>,
) -> Revocations {
    let mut kept: HashMap<Key, Found<'_>> = HashMap::new();
    for one in found {
        // Which key made a list of an intermediate is not known yet; the list itself names it.
        let signer = one.signer.clone().or_else(|| one.list.signed_with.as_deref().map(Vec::from));
        let key = (one.list.issuer.clone(), format!("{:?}", one.list.scope), signer);
        match kept.entry(key) {
            Entry::Vacant(empty) => {
                empty.insert(one);
            }
            Entry::Occupied(mut other) => {
                let newer = one.list.age(&other.get().list) == Ordering::Greater;
                let older = if newer { other.insert(one) } else { one };
                let message = format!(
                    "the list of {}, {}, has no effect: {} is newer",
                    older.list.issuer_name,
                    older.list.edition(),
                    other.get().list.edition()
                );
                let Found { file, line, .. } = older;
                warnings.push(problem(file, line, "crl_superseded", message, "remove it"));
            }
        }
    }
    let mut by_issuer: HashMap<Box<[u8]>, Vec<Known>> = HashMap::new();
    for (_key, Found { file, line, list, signer }) in kept {
        if signer.is_none() {
            let message = format!(
                "the list of {} is of no CA in {}: it counts only for certificates that come with \
                 an intermediate of that name",
                list.issuer_name, inputs.anchors.place
            );
            let help = "check that this is meant";
            warnings.push(problem(file, line, "crl_unknown_issuer", message, help));
        }
        let known = Known {
            signer: Arc::new(signer.map(Signer::anchor).map(OnceLock::from).unwrap_or_default()),
            list: Arc::new(list),
            place: material::place(file).into(),
        };
        by_issuer.entry(known.list.issuer.clone()).or_default().push(known);
    }
    let places: Vec<_> = files.iter().map(material::place).collect();
    Revocations {
        by_issuer,
        policy: inputs.policy,
        algorithms: inputs.algorithms,
        place: places.join(", "),
    }
}

type Key = (Box<[u8]>, String, Option<Vec<u8>>);

/// Between the CA's clock and ours.
const CLOCK_SKEW: i64 = 300;
