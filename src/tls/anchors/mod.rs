//! Whom we trust: a CA bundle, vetted certificate by certificate.
//!
//! Guarantees that only a certificate that may sign others becomes an anchor; that one which is not
//! a CA is trusted as itself alone, byte for byte (as the Collector does); and that whatever is left
//! out is said. A block that cannot be read, or that stands there twice, refuses the whole bundle.
//! Path validation itself asks nothing of an anchor but name and key, so what is not asked here is
//! asked nowhere.

pub(super) mod native;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::config::Problem;
use crate::config::types::Pem;
use crate::metrics::End;
use crate::tls::error::problem;
use crate::tls::expiry;
use crate::tls::file::give_way;
use crate::tls::inspect::{self, CertificateFacts, Purpose, named};
use crate::tls::material;
use crate::tls::pem::{Block, Label};
use crate::tls::time;

/// A vetted bundle.
#[derive(Debug)]
pub(super) struct Anchors {
    /// What chains may end in.
    pub(super) roots: RootCertStore,
    /// The anchors that the bundle itself named.
    pub(super) members: Vec<CertificateFacts>,
    /// Certificates that are trusted exactly as they are: all of the bundle that are in force.
    pub(super) pins: Vec<(CertificateDer<'static>, CertificateFacts)>,
    /// What was left out, and why.
    pub(super) left_out: Vec<LeftOut>,
    /// How many roots of the system are trusted too.
    pub(super) system: usize,
    /// The file or key, for messages.
    pub(super) place: String,
}

/// A certificate of the bundle that is no anchor.
#[derive(Clone, Debug)]
pub(super) struct LeftOut {
    pub(super) facts: CertificateFacts,
    /// Stable reason code, such as `ca_expired`.
    pub(super) reason: &'static str,
    /// One clause to follow the certificate's name, such as `expired on ...`.
    pub(super) why: String,
}

/// Loads a bundle for verifying peers of one kind: `purpose` is clientAuth for senders, serverAuth
/// for upstreams.
pub(super) fn load(
    ca: &Pem,
    with_system: bool,
    purpose: &Purpose,
    warnings: &mut Vec<Problem>,
) -> Result<Anchors, Vec<Problem>> {
    let mut anchors = read(ca, purpose, warnings)?;
    if with_system {
        anchors.add_system();
    }
    if anchors.roots.is_empty() && anchors.pins.is_empty() {
        return Err(vec![nothing_left(ca, &anchors)]);
    }
    Ok(anchors)
}

/// The same for one bundle of several: when no CA of it is in force, nobody is trusted by it and the
/// others go on.
pub(super) fn load_one_of(
    ca: &Pem,
    purpose: &Purpose,
    warnings: &mut Vec<Problem>,
) -> Result<Anchors, Vec<Problem>> {
    let anchors = read(ca, purpose, warnings)?;
    if anchors.roots.is_empty() {
        warnings.push(nothing_left(ca, &anchors));
    }
    Ok(anchors)
}

fn read(ca: &Pem, purpose: &Purpose, warnings: &mut Vec<Problem>) -> Result<Anchors, Vec<Problem>> {
    let material = material::load(ca, "ca_no_pem").map_err(|e| vec![e])?;
    let mut anchors = Anchors::empty(material::place(ca));
    let mut seen: BTreeMap<&[u8], usize> = BTreeMap::new();
    let (mut problems, mut repeated) = (Vec::new(), Vec::new());
    let mut entries = 0;
    for block in &material.blocks {
        if block.label != Label::Certificate {
            problems.extend(foreign(ca, block));
            continue;
        }
        entries += 1;
        give_way();
        match seen.entry(&block.der) {
            // One that cannot be read was told of where it stands first.
            Entry::Occupied(first) => repeated.extend(
                inspect::describe(&block.der).map(|facts| (block.line, *first.get(), facts)),
            ),
            Entry::Vacant(entry) => {
                entry.insert(block.line);
                problems.extend(anchors.take(ca, block, entries, purpose, warnings).err());
            }
        }
    }
    problems.extend(duplicates(ca, &repeated));
    if entries > MAX_CERTIFICATES {
        let message = format!("has {entries} certificates; at most {MAX_CERTIFICATES} are taken");
        problems.push(problem(ca, 0, "ca_too_many", message, "leave the CAs that you use"));
    } else if entries == 0 && problems.is_empty() {
        let message = format!("has 0 CERTIFICATE blocks (found: {})", material.found());
        problems.push(problem(ca, 0, "ca_no_pem", message, "name the CA's certificate"));
    }
    if problems.is_empty() { Ok(anchors) } else { Err(problems) }
}

/// The system's roots alone; `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.
pub(super) fn system(key_path: &str) -> Result<Anchors, Problem> {
    let mut anchors = Anchors::empty("the system's roots".to_owned());
    let errors = anchors.add_system();
    if anchors.roots.is_empty() {
        return Err(Problem {
            span: crate::config::Span::default(),
            key_path: key_path.to_owned(),
            message: format!("no CA is configured and the system has no roots{errors}"),
            help: Some(
                "set `ca_file`, install the package `ca-certificates`, or point SSL_CERT_FILE to a \
                 bundle"
                    .to_owned(),
            ),
            reason: "system_roots_missing",
        });
    }
    Ok(anchors)
}

impl Anchors {
    fn empty(place: String) -> Self {
        Self {
            roots: RootCertStore::empty(),
            members: Vec::new(),
            pins: Vec::new(),
            left_out: Vec::new(),
            system: 0,
            place,
        }
    }

    fn take(
        &mut self,
        ca: &Pem,
        block: &Block,
        index: usize,
        purpose: &Purpose,
        warnings: &mut Vec<Problem>,
    ) -> Result<(), Problem> {
        let damaged = || {
            let message =
                format!("has something else than a certificate in CERTIFICATE block {index}");
            let help = "copy the CA's certificate again; no part of a damaged bundle is used";
            problem(ca, block.line, "ca_bad_entry", message, help)
        };
        let facts = inspect::describe(&block.der).ok_or_else(damaged)?;
        let der = CertificateDer::from(block.der.clone());
        if let Some((reason, why, help)) = unfit(&facts, purpose, time::now()) {
            let pinned = matches!(reason, "ca_is_leaf" | "ca_not_signing");
            let message = format!("{} {why}", facts.summary());
            warnings.push(problem(ca, block.line, reason, message, help));
            self.left_out.push(LeftOut { facts: facts.clone(), reason, why });
            if pinned {
                self.pins.push((der, facts));
            }
            return Ok(());
        }
        if facts.uri_constraints {
            let message = format!(
                "{} constrains URIs: certificates with a URI, such as SPIFFE ids, will be refused \
                 under it",
                facts.summary()
            );
            let help = "the TLS library cannot check URI constraints and refuses what it cannot \
                        check; use a CA without them";
            warnings.push(problem(ca, block.line, "ca_uri_constraints", message, help));
        }
        self.roots.add(der.clone()).map_err(|_unparsable| damaged())?;
        self.pins.push((der, facts.clone()));
        self.members.push(facts);
        Ok(())
    }

    /// Returns what went wrong, to follow a clause.
    fn add_system(&mut self) -> String {
        let found = rustls_native_certs::load_native_certs();
        let (added, _unparsable) = self.roots.add_parsable_certificates(found.certs);
        self.system = added;
        let errors: Vec<_> = found.errors.iter().map(|e| inspect::shown(&e.to_string())).collect();
        if errors.is_empty() { String::new() } else { format!(" ({})", errors.join("; ")) }
    }

    /// Whether one of the roots is within its validity, of which path validation asks nothing.
    /// Those that were out of it at loading were left out; one may end while it is in use. The
    /// system's are as good as the system keeps them.
    pub(super) fn in_force(&self, root: &TrustAnchor<'_>, now: i64) -> bool {
        // The system's follow the bundle's. A CA may be there twice, renewed with the same key.
        let own = self.roots.roots.iter().zip(&self.members).filter(|(one, _facts)| *one == root);
        let mut own = own.map(|(_root, facts)| facts.holds_at(now)).peekable();
        own.peek().is_none() || own.any(|holds| holds)
    }

    /// The root of that name that was in force at loading and is not any more.
    pub(super) fn ended(&self, subject: &str, now: i64) -> Option<&CertificateFacts> {
        let mut named = self.members.iter().filter(|facts| facts.identity.subject == subject);
        named.clone().all(|facts| !facts.holds_at(now)).then(|| named.next_back()).flatten()
    }

    /// Whether the bundle names this very certificate.
    pub(super) fn pins_exactly(&self, leaf: &CertificateFacts) -> bool {
        let of = |facts: &CertificateFacts| facts.identity.sha256 == leaf.identity.sha256;
        self.pins.iter().any(|(_der, facts)| of(facts))
    }

    /// Unix times at which the bundle must be judged anew: where an anchor ends, or one that was
    /// left out begins.
    pub(super) fn boundaries(&self) -> impl Iterator<Item = i64> {
        let members = self.members.iter().map(|facts| facts.not_after);
        let pins = self.pins.iter().map(|(_der, facts)| facts.not_after);
        members.chain(pins).chain(self.left_out.iter().map(|out| out.facts.not_before))
    }

    /// When each certificate that the bundle names ends, those that were left out too.
    pub(super) fn ends(&self) -> Vec<End> {
        let left_out = self.left_out.iter().map(|left| &left.facts);
        self.members.iter().chain(left_out).map(|ca| expiry::certificate("ca", ca)).collect()
    }

    /// The trusted names, for a message: `3 CAs: CN=a, CN=b, CN=c`.
    pub(super) fn names(&self) -> String {
        let mut parts: Vec<_> =
            self.members.iter().take(NAMES_SHOWN).map(|f| named(&f.identity.subject)).collect();
        if self.members.len() > NAMES_SHOWN {
            parts.push("...".to_owned());
        }
        let own = match self.members.len() {
            0 => "no CA".to_owned(),
            1 => format!("1 CA: {}", parts.join(", ")),
            count => format!("{count} CAs: {}", parts.join(", ")),
        };
        let own = match self.pins.len().saturating_sub(self.members.len()) {
            0 => own,
            1 => format!("{own}, and 1 certificate as itself alone"),
            count => format!("{own}, and {count} certificates as themselves alone"),
        };
        if self.system == 0 { own } else { format!("{own}, and {} of the system", self.system) }
    }
}

fn foreign(ca: &Pem, block: &Block) -> Option<Problem> {
    let (reason, message, help) = match &block.label {
        Label::Parameters => return None,
        label if label.is_private_key() => (
            "ca_has_private_key",
            format!("holds a private key ({label}) among the CA certificates"),
            "a CA bundle is copied around and readable: take the key out, and treat it as known to \
             others. If it is the CA's own key, whoever read it can make certificates that are \
             trusted here",
        ),
        Label::Crl => (
            "ca_has_crl",
            "holds a CRL among the CA certificates, where it would have no effect".to_owned(),
            "take it out: revocation lists have a key of their own",
        ),
        label => {
            ("ca_bad_entry", format!("has a {label} block among the CA certificates"), label.mend())
        }
    };
    Some(problem(ca, block.line, reason, message, help))
}

/// One problem for each certificate that stands there again, given with its line and that of the
/// first. Whoever takes a CA out of a bundle must take out all of it: what a bundle says twice was
/// put together by something that does not know what is in it.
fn duplicates(ca: &Pem, repeated: &[(usize, usize, CertificateFacts)]) -> Vec<Problem> {
    let told = repeated.iter().take(DUPLICATES_SHOWN).map(|(line, first, facts)| {
        let message = format!(
            "repeats on line {line} the certificate of line {first}, byte for byte: {}",
            facts.summary(),
        );
        let help = "leave one of them: who takes a CA out must not overlook its second copy. Most \
                    often a script wrote it that appends to the file, or joins two sources: let it \
                    write the whole file anew, each certificate once";
        problem(ca, *line, "ca_duplicate", message, help)
    });
    let mut problems: Vec<_> = told.collect();
    if let Some((line, _first, _facts)) = repeated.get(DUPLICATES_SHOWN) {
        let message = format!("repeats {} more certificates", repeated.len() - DUPLICATES_SHOWN);
        let help = "leave each certificate once";
        problems.push(problem(ca, *line, "ca_duplicate", message, help));
    }
    problems
}

fn nothing_left(ca: &Pem, anchors: &Anchors) -> Problem {
    let mut message = "has no CA that can be used:".to_owned();
    for left in anchors.left_out.iter().take(NAMES_SHOWN) {
        message.push_str(&format!(" {} {};", left.facts.summary(), left.why));
    }
    let reason = anchors.left_out.first().map_or("ca_no_pem", |left| left.reason);
    let help = match reason {
        "ca_expired" | "ca_not_yet_valid" => {
            format!(
                "name a CA that is in force; or mend the clock, which says {}",
                inspect::date(time::now())
            )
        }
        _ => "name a CA that is in force and may sign for this use".to_owned(),
    };
    problem(ca, 0, reason, message.trim_end_matches(';'), help)
}

/// Why a certificate must not be an anchor: reason, clause and help. What Go refuses to chain to is
/// refused here too, and so is what no signature could be verified with.
pub(crate) fn unfit(
    facts: &CertificateFacts,
    purpose: &Purpose,
    now: i64,
) -> Option<(&'static str, String, &'static str)> {
    if facts.not_after < now {
        let why = format!(
            "expired on {} ({})",
            inspect::date(facts.not_after),
            time::ago(facts.not_after, now)
        );
        return Some((
            "ca_expired",
            why,
            "put the CA's new certificate in its place, or mend this machine's clock",
        ));
    }
    if facts.not_before > now {
        let why = format!("is not valid before {}", inspect::date(facts.not_before));
        return Some(("ca_not_yet_valid", why, "wait, or mend this machine's clock"));
    }
    // X.509 v1 has no way to say that it is a CA; v1 roots exist and are accepted. One that another
    // CA issued is a client's certificate: as an anchor, its key could make others.
    let leaf = facts.version >= 3 || facts.identity.subject != facts.identity.issuer;
    if facts.ca == Some(false) || (facts.ca.is_none() && leaf) {
        let why =
            "is not a CA: it is trusted as itself alone, and nothing that it signed is".to_owned();
        let help = "if its issuer is meant, put the issuer's certificate here";
        return Some(("ca_is_leaf", why, help));
    }
    if !facts.key_may("keyCertSign") {
        let why = "may not sign certificates (keyUsage lacks keyCertSign)".to_owned();
        return Some(("ca_not_signing", why, "re-issue the CA with keyCertSign"));
    }
    if !facts.permits(purpose) {
        let why = format!("is restricted by extendedKeyUsage to others than {}", purpose.name());
        return Some(("ca_eku", why, "use a CA without that restriction"));
    }
    if let Some(oid) = facts.unknown_critical.first().or(facts.damaged_extension.as_ref()) {
        let why =
            format!("has a critical extension that is not understood ({})", inspect::shown(oid));
        return Some(("ca_unknown_extension", why, "use a CA without it"));
    }
    if facts.key.is_weak_rsa() {
        let why = format!("has an RSA key of {} bits; the least is 2048", facts.key.bits);
        return Some(("ca_weak_rsa_key", why, "replace the CA by one with a longer key"));
    }
    if !facts.key.is_supported() {
        let why = format!("has a key of kind {}, which cannot be verified", facts.key);
        return Some(("ca_key_unsupported", why, "use RSA, P-256, P-384, P-521 or Ed25519"));
    }
    if facts.negative_serial {
        let why = "has a negative serial number, which is not valid".to_owned();
        return Some(("ca_negative_serial", why, "re-issue the CA"));
    }
    None
}

const NAMES_SHOWN: usize = 8;

/// A script that appends repeats everything; a few of them tell it.
const DUPLICATES_SHOWN: usize = 8;

/// Names and keys of all are held in memory and tried by each handshake.
const MAX_CERTIFICATES: usize = 1024;

#[cfg(test)]
mod tests;
