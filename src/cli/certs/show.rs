//! `portcullis certs show`: what files hold, and what is wrong with them in plain words.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::tls::examine::{Complaint, Examined, Item, Kind, examine, is_authority, unmatched_keys};
use crate::tls::inspect::{self, CertificateFacts, named, shown};
use crate::tls::time;

/// Shows each file; `false` when something in one of them will fail somewhere.
pub(super) fn files(files: &[PathBuf], out: &mut dyn Write) -> io::Result<bool> {
    let mut examined: Vec<Examined> = files.iter().map(|path| examine(path)).collect();
    for (index, complaint) in unmatched_keys(&examined) {
        if let Some(file) = examined.get_mut(index) {
            file.complaints.push(complaint);
        }
    }
    let mut well = true;
    for (path, file) in files.iter().zip(&examined) {
        writeln!(out, "{}", path.display())?;
        for one in &file.items {
            item(one, &examined, out)?;
        }
        for one in &file.complaints {
            well &= !one.serious;
            complaint(one, out)?;
        }
        if file.complaints.is_empty() {
            writeln!(out, "  no problem found")?;
        }
        writeln!(out)?;
    }
    Ok(well)
}

fn item(item: &Item, all: &[Examined], out: &mut dyn Write) -> io::Result<()> {
    let place = match item.line {
        0 => String::new(),
        line => format!(" (line {line})"),
    };
    match &item.kind {
        Kind::Certificate(facts) => {
            let kind = if is_authority(facts) { "CA certificate" } else { "certificate" };
            writeln!(out, "  {kind}{place}")?;
            certificate(facts, out)
        }
        Kind::Crl { issuer, this_update, next_update, revoked } => {
            writeln!(out, "  revocation list{place}")?;
            row(out, "issuer", &named(issuer))?;
            row(out, "made", &inspect::date(*this_update))?;
            let due = next_update.map_or_else(|| "not said".to_owned(), inspect::date);
            row(out, "next due", &due)?;
            row(out, "revokes", &format!("{revoked} certificates"))
        }
        Kind::Key { facts, spki_sha256 } => {
            writeln!(out, "  private key{place}")?;
            let kind = facts.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
            row(out, "key", &kind)?;
            match spki_sha256.as_ref().and_then(|key| owner(key, all)) {
                Some(owner) => row(out, "belongs to", &owner),
                None => Ok(()),
            }
        }
        Kind::Other(words) => writeln!(out, "  {words}{place}"),
    }
}

fn owner(key: &str, all: &[Examined]) -> Option<String> {
    all.iter().flat_map(|file| &file.items).find_map(|item| match &item.kind {
        Kind::Certificate(facts) if facts.spki_sha256 == key => {
            Some(named(&facts.identity.subject))
        }
        _ => None,
    })
}

fn certificate(facts: &CertificateFacts, out: &mut dyn Write) -> io::Result<()> {
    let identity = &facts.identity;
    row(out, "subject", &named(&identity.subject))?;
    let own = identity.subject == identity.issuer;
    let issuer = if own { "itself".to_owned() } else { named(&identity.issuer) };
    row(out, "issuer", &issuer)?;
    let names = identity.names(usize::MAX);
    row(out, "names", if names.is_empty() { "none" } else { &names })?;
    row(out, "valid", &validity(facts))?;
    row(out, "usage", &usage(facts))?;
    row(out, "key", &facts.key.to_string())?;
    row(out, "signed with", &shown(&facts.signature_algorithm))?;
    row(out, "version", &format!("X.509 v{}", facts.version))?;
    row(out, "serial", &shown(&identity.serial))?;
    row(out, "sha256", &identity.sha256)
}

fn validity(facts: &CertificateFacts) -> String {
    let now = time::now();
    let end = time::ago(facts.not_after, now);
    let word = if facts.not_after < now { "ended" } else { "ends" };
    format!(
        "from {} to {} ({word} {end})",
        inspect::date(facts.not_before),
        inspect::date(facts.not_after)
    )
}

fn usage(facts: &CertificateFacts) -> String {
    let mut parts = Vec::new();
    if is_authority(facts) {
        parts.push("signs certificates".to_owned());
    }
    match &facts.purposes {
        Some(list) => parts.extend(list.iter().map(|purpose| shown(purpose.name()))),
        None if is_authority(facts) => {}
        None => parts.push("any (no extendedKeyUsage)".to_owned()),
    }
    if let Some(list) = &facts.key_usage {
        parts.push(format!("keyUsage {}", list.join(", ")));
    }
    if facts.name_constraints {
        parts.push("names constrained".to_owned());
    }
    parts.join("; ")
}

fn row(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "    {name:<12} {value}")
}

fn complaint(complaint: &Complaint, out: &mut dyn Write) -> io::Result<()> {
    let word = if complaint.serious { "PROBLEM" } else { "note" };
    let place = match complaint.line {
        0 => String::new(),
        line => format!(" line {line}:"),
    };
    writeln!(out, "  {word} {}:{place} {}", complaint.reason, complaint.message)?;
    if !complaint.help.is_empty() {
        writeln!(out, "    mend: {}", complaint.help)?;
    }
    Ok(())
}
