//! What a file of certificates or keys holds and what is wrong with it, for people who ask.
//!
//! Guarantees that no secret is in the answer. Judges a file by itself: whether somebody is let in
//! depends on a configuration, and the verifier decides that.

mod judge;

use std::path::Path;

use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::tls::file;
use crate::tls::inspect::{self, CertificateFacts, KeyFacts};
use crate::tls::own::{KeyMaterial, describe_key};
use crate::tls::pem::{self, Block, Label};

pub(crate) use judge::is_authority;

/// A file, looked into.
#[derive(Debug)]
pub(crate) struct Examined {
    /// In the order of the file.
    pub(crate) items: Vec<Item>,
    /// What is wrong with it.
    pub(crate) complaints: Vec<Complaint>,
}

/// One thing that a file holds.
#[derive(Debug)]
pub(crate) struct Item {
    /// Line of its first marker; 0 in a file without lines.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a thing in a file is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A certificate.
    Certificate(Box<CertificateFacts>),
    /// A certificate revocation list: issuer, and its two dates.
    Crl {
        /// Who made it.
        issuer: String,
        /// When it was made, Unix time.
        this_update: i64,
        /// When the next one is due, Unix time.
        next_update: Option<i64>,
        /// How many certificates it revokes.
        revoked: usize,
    },
    /// A private key that can be read.
    Key {
        /// Algorithm and size.
        facts: Option<KeyFacts>,
        /// SHA-256 of its public half; `None` when it cannot be used.
        spki_sha256: Option<String>,
    },
    /// Anything else, by the words of its markers.
    Other(String),
}

/// Something that is wrong, or that somebody will mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Line in the file; 0 for all of it.
    pub(crate) line: usize,
    /// Stable reason code.
    pub(crate) reason: &'static str,
    /// What is wrong, one clause.
    pub(crate) message: String,
    /// How to mend it; may be empty.
    pub(crate) help: String,
    /// Whether it will fail somewhere; otherwise it is only good to know.
    pub(crate) serious: bool,
}

impl Complaint {
    fn new(
        line: usize,
        reason: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { line, reason, message: message.into(), help: help.into(), serious: true }
    }

    fn note(self) -> Self {
        Self { serious: false, ..self }
    }
}

/// Looks into one file. Blocks on the file system.
pub(crate) fn examine(path: &Path) -> Examined {
    let content = match file::open(path) {
        Ok(content) => content,
        Err(error) => {
            let complaint = Complaint::new(0, error.reason, error.message, error.help);
            return Examined { items: Vec::new(), complaints: vec![complaint] };
        }
    };
    let mut examined = match pem::parse(&content.bytes) {
        Ok(blocks) => blocks_of(&blocks),
        Err(fault) => {
            let complaint = Complaint::new(fault.line, fault.reason, fault.message, fault.help);
            Examined { items: of_der(&content.bytes), complaints: vec![complaint] }
        }
    };
    judge::marks(&content.bytes, &mut examined.complaints);
    judge::items(&examined.items, &mut examined.complaints);
    judge::order(&examined.items, &mut examined.complaints);
    judge::place(path, &examined.items, &mut examined.complaints);
    judge::mode(path, content.mode, &examined.items, &mut examined.complaints);
    examined
}

/// Complains of every key of some files that belongs to none of their certificates, by file.
pub(crate) fn unmatched_keys(files: &[Examined]) -> Vec<(usize, Complaint)> {
    judge::unmatched(files)
}

fn blocks_of(blocks: &[Block]) -> Examined {
    let mut examined = Examined { items: Vec::new(), complaints: Vec::new() };
    for block in blocks {
        let kind = match &block.label {
            Label::Certificate => certificate(block, &mut examined.complaints),
            Label::Crl => crl(&block.der),
            Label::PrivateKey(_) => Some(Kind::Key {
                facts: describe_key(block),
                spki_sha256: KeyMaterial::spki_sha256(block),
            }),
            label => {
                examined.complaints.extend(judge::foreign(block.line, label));
                Some(Kind::Other(label.to_string()))
            }
        };
        let kind = kind.unwrap_or_else(|| Kind::Other(format!("damaged {}", block.label)));
        examined.items.push(Item { line: block.line, kind });
    }
    examined
}

fn certificate(block: &Block, complaints: &mut Vec<Complaint>) -> Option<Kind> {
    let facts = inspect::describe(&block.der);
    if facts.is_none() {
        complaints.push(Complaint::new(
            block.line,
            "cert_damaged",
            "has a CERTIFICATE block that is not a certificate; Go skips it in silence in a CA \
             bundle",
            "copy the file again",
        ));
    }
    facts.map(|facts| Kind::Certificate(Box::new(facts)))
}

fn of_der(bytes: &[u8]) -> Vec<Item> {
    let certificate = inspect::describe(bytes).map(|facts| Kind::Certificate(Box::new(facts)));
    let kind = certificate.or_else(|| crl(bytes));
    kind.into_iter().map(|kind| Item { line: 0, kind }).collect()
}

fn crl(der: &[u8]) -> Option<Kind> {
    let (_rest, list) = CertificateRevocationList::from_der(der).ok()?;
    Some(Kind::Crl {
        issuer: list.issuer().to_string(),
        this_update: list.last_update().timestamp(),
        next_update: list.next_update().map(|at| at.timestamp()),
        revoked: list.iter_revoked_certificates().count(),
    })
}

#[cfg(test)]
mod tests;
