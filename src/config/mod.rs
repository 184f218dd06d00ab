//! Configuration in the Collector's YAML: read, merged, expanded, checked, with every problem
//! reported at once.
//!
//! Guarantees that a [`Config`] is complete and consistent. Knows nothing of sockets or TLS.

pub(crate) mod diagnostic;
mod expand;
mod file;
pub(crate) mod node;
mod print;
mod read;
mod scalar;
pub(crate) mod sections;
mod source;
pub(crate) mod types;
mod yaml;

pub use diagnostic::{Problem, Problems, Span};
pub(crate) use print::{to_json, to_yaml};
pub use sections::Config;
pub use source::{Environment, Source};

use node::Node;

/// Reads, merges, expands and checks a configuration; the second value holds its warnings.
/// Blocks on the file system. Opens none of the files that `tls` blocks name.
///
/// # Errors
/// Everything that is wrong, and the warnings found on the way.
pub(crate) fn load(source: &Source) -> Result<(Config, Problems), Problems> {
    let (tree, mut problems) = resolve(source)?;
    let (config, found) = read::config(&tree);
    problems.errors.extend(found.errors);
    problems.warnings.extend(found.warnings);
    problems.blame_what_is_unset();
    problems.sort();
    if problems.errors.is_empty() { Ok((config, problems)) } else { Err(problems) }
}

/// The merged and expanded tree, not checked; the second value holds warnings.
///
/// # Errors
/// What makes a source or a `${...}` unusable.
pub(crate) fn resolve(source: &Source) -> Result<(Node, Problems), Problems> {
    let mut problems = Problems::default();
    match source::resolve(source, &mut problems) {
        Some(tree) => Ok((tree, problems)),
        None => Err(problems),
    }
}

impl Config {
    /// A configuration from YAML text; no environment variable is set for it.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, Problems> {
        let configs = vec![format!("yaml:{text}")];
        let source = Source { configs, ..Source::default() };
        load(&source).map(|(config, _warnings)| config)
    }
}

#[cfg(test)]
mod tests;
