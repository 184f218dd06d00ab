//! From a config key to the PEM blocks it names.
//!
//! Guarantees that every failure is a [`Problem`] with the key, the file and the line.

use std::path::PathBuf;

use crate::config::Problem;
use crate::config::types::{Pem, PemSource};
use crate::tls::error::problem;
use crate::tls::file;
use crate::tls::pem::{self, Block};

/// What a config key named.
pub(super) struct Material {
    /// In the order of the file; never empty.
    pub(super) blocks: Vec<Block>,
    /// Permission bits of the file; `None` for inline text.
    pub(super) mode: Option<u32>,
}

impl Material {
    /// `2 CERTIFICATE, 1 PRIVATE KEY`, for a message that something else was wanted.
    pub(super) fn found(&self) -> String {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for block in &self.blocks {
            let label = block.label.to_string();
            match counts.iter_mut().find(|(known, _)| *known == label) {
                Some((_, count)) => *count += 1,
                None => counts.push((label, 1)),
            }
        }
        let parts: Vec<_> =
            counts.iter().map(|(label, count)| format!("{count} {label}")).collect();
        parts.join(", ")
    }
}

/// Reads and splits. `empty` is the reason when there is no PEM at all.
pub(super) fn load(pem: &Pem, empty: &'static str) -> Result<Material, Problem> {
    let parsed = match &pem.source {
        PemSource::File(path) => {
            let content =
                file::open(path).map_err(|e| problem(pem, 0, e.reason, e.message, e.help))?;
            pem::parse(&content.bytes).map(|blocks| Material { blocks, mode: Some(content.mode) })
        }
        PemSource::Inline(text) => {
            pem::parse(text.expose().as_bytes()).map(|blocks| Material { blocks, mode: None })
        }
    };
    parsed.map_err(|fault| {
        // What a damaged block is called does not depend on what it was for; absence does.
        let reason = match fault.reason {
            "pem_damaged" | "pem_truncated" | "pem_glued" => fault.reason,
            _ => empty,
        };
        problem(pem, fault.line, reason, fault.message, fault.help)
    })
}

/// The file's name, or that the text stands in the config itself.
pub(super) fn place(pem: &Pem) -> String {
    match &pem.source {
        PemSource::File(path) => path.display().to_string(),
        PemSource::Inline(_) => format!("the text of {}", pem.key_path),
    }
}

/// The files among these, each once.
pub(super) fn files<'a>(named: impl Iterator<Item = &'a Pem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for pem in named {
        if let PemSource::File(path) = &pem.source
            && !files.contains(path)
        {
            files.push(path.clone());
        }
    }
    files
}
