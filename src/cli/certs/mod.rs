//! `portcullis certs`: a small certificate authority for trying out, testing and small fleets.
//!
//! Guarantees that no key is ever written over without `--force`, that keys are born with mode 0600
//! and that a failing command leaves no half of a pair behind.

mod args;
mod explain;
mod files;
mod issue;
mod names;
mod show;
mod signer;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::certs::args::{CaArgs, ClientArgs, Common, ServerArgs, Signer};
use crate::cli::certs::files::PairPaths;

pub(crate) use args::{CertsArgs, CertsCommand};
pub(crate) use files::FilesError;
pub(crate) use issue::{Authority, IssueError, KeyType, Leaf, Pair, Usage};
pub(crate) use names::NamesError;

/// Why a `certs` command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertsError {
    /// A file could not be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A certificate could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A name cannot stand in a certificate.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// The terminal is gone.
    #[error("cannot write the report")]
    Report(#[from] io::Error),
    /// The name of the client makes no file name.
    #[error(
        "--name {name:?} cannot be a file name as it is; say which files to write with --out NAME"
    )]
    FileName {
        /// The name given.
        name: String,
    },
}

/// Runs one `certs` command; the report goes to `out`. Returns whether all is well: `show` answers
/// `false` when a file has a problem.
///
/// # Errors
///
/// When a name is unusable, a file is in the way or cannot be read or written.
pub(crate) fn run(command: &CertsCommand, out: &mut dyn Write) -> Result<bool, CertsError> {
    match command {
        CertsCommand::Ca(args) => ca(args, out).map(|()| true),
        CertsCommand::Client(args) => client(args, out).map(|()| true),
        CertsCommand::Server(args) => server(args, out).map(|()| true),
        CertsCommand::Show { files } => Ok(show::files(files, out)?),
    }
}

fn ca(args: &CaArgs, out: &mut dyn Write) -> Result<(), CertsError> {
    let paths = paths(&args.common, "ca");
    paths.refuse_existing(args.common.force)?;
    let (_authority, pair) = Authority::create(
        &names::common(&args.name)?,
        args.common.key_type,
        args.common.days.unwrap_or(AUTHORITY_DAYS),
    )?;
    paths.write(&pair, args.common.force)?;
    explain::authority(&paths, &pair, out)?;
    Ok(())
}

fn server(args: &ServerArgs, out: &mut dyn Write) -> Result<(), CertsError> {
    let names: Vec<_> =
        args.san.iter().map(|text| names::of_listener(text)).collect::<Result<_, _>>()?;
    let leaf = Leaf {
        usage: Usage::Server,
        common_name: match &args.name {
            Some(name) => names::common(name)?,
            None => names::common_of(&args.san),
        },
        names,
        key_type: args.common.key_type,
        days: args.common.days.unwrap_or(LEAF_DAYS),
    };
    let paths = paths(&args.common, "server");
    let pair = sign(&leaf, &args.common, &args.signer, &paths)?;
    explain::server(&paths, &pair, &authority_paths(&args.common, &args.signer), out)?;
    Ok(())
}

fn client(args: &ClientArgs, out: &mut dyn Write) -> Result<(), CertsError> {
    let mut names = Vec::new();
    if let Some(id) = &args.spiffe {
        names.push(names::spiffe(id)?);
    } else {
        names.extend(names::if_host_name(&args.name));
    }
    for text in &args.san {
        names.push(names::parse(text)?);
    }
    if args.common.out.is_none() && !files::is_file_name(&args.name) {
        return Err(CertsError::FileName { name: args.name.clone() });
    }
    let leaf = Leaf {
        usage: Usage::Client,
        common_name: names::common(&args.name)?,
        names,
        key_type: args.common.key_type,
        days: args.common.days.unwrap_or(LEAF_DAYS),
    };
    let paths = paths(&args.common, &args.name);
    let pair = sign(&leaf, &args.common, &args.signer, &paths)?;
    explain::client(&paths, &pair, &authority_paths(&args.common, &args.signer), out)?;
    Ok(())
}

fn sign(
    leaf: &Leaf,
    common: &Common,
    signer: &Signer,
    paths: &PairPaths,
) -> Result<Pair, CertsError> {
    paths.refuse_existing(common.force)?;
    let authority = authority_paths(common, signer).load_authority()?;
    let pair = authority.issue(leaf)?;
    paths.write(&pair, common.force)?;
    Ok(pair)
}

fn paths(common: &Common, default_base: &str) -> PairPaths {
    let base = common.out.clone().unwrap_or_else(|| PathBuf::from(default_base));
    PairPaths::new(&common.dir.join(base))
}

fn authority_paths(common: &Common, signer: &Signer) -> PairPaths {
    PairPaths::new(&common.dir.join(signer.ca.as_deref().unwrap_or_else(|| Path::new("ca"))))
}

pub(crate) use files::PairPaths as Paths;

/// Ten years: replacing an authority means touching every peer.
pub(crate) const AUTHORITY_DAYS: u32 = 3650;

/// One year: replacing a leaf is copying two files.
pub(crate) const LEAF_DAYS: u32 = 365;

#[cfg(test)]
mod tests;
