//! Writes and reads the two files of a pair.
//!
//! A pair appears whole or not at all: both files are written under temporary names, synced, and
//! only then given their own. Without `--force` the last step cannot replace anything, even when
//! another process writes at the same time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli::certs::issue::{Authority, IssueError, Pair};

/// Where the certificate and the key of a pair are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PairPaths {
    /// `NAME.crt`.
    pub(crate) cert: PathBuf,
    /// `NAME.key`.
    pub(crate) key: PathBuf,
}

/// Why files could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// Something stands where a file should go.
    #[error("{} exists already; nothing was written. --force replaces it", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The folder cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The authority is missing.
    #[error(
        "there is no authority at {}; make one with `portcullis certs ca`, or say where it is with \
         --dir and --ca", path.display()
    )]
    NoAuthority {
        /// The missing file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The authority's files hold something else.
    #[error("cannot sign with {}", path.display())]
    Authority {
        /// The authority's certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: IssueError,
    },
}

impl PairPaths {
    /// `BASE.crt` and `BASE.key`.
    pub(crate) fn new(base: &Path) -> Self {
        let with = |ending: &str| {
            let mut name = base.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self { cert: with(".crt"), key: with(".key") }
    }

    /// Fails if one of the files exists, so that no work is done for nothing.
    ///
    /// # Errors
    ///
    /// When one exists and `force` is not set.
    pub(crate) fn refuse_existing(&self, force: bool) -> Result<(), FilesError> {
        for path in [&self.cert, &self.key] {
            // A dangling symbolic link counts as existing: writing through it is a surprise.
            if !force && path.symlink_metadata().is_ok() {
                return Err(FilesError::Exists { path: path.clone() });
            }
        }
        Ok(())
    }

    /// Writes both files, the key with mode 0600 from its first byte on.
    ///
    /// # Errors
    ///
    /// When the folder or a file cannot be written, or a file is in the way.
    pub(crate) fn write(&self, pair: &Pair, force: bool) -> Result<(), FilesError> {
        self.refuse_existing(force)?;
        if let Some(folder) = self.cert.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder)
                .map_err(|source| FilesError::Folder { path: folder.to_owned(), source })?;
        }
        let key = Staged::write(&self.key, pair.key_pem.expose().as_bytes(), 0o600)?;
        let cert = Staged::write(&self.cert, pair.cert_pem.as_bytes(), 0o644)?;
        key.place(force)?;
        cert.place(force).inspect_err(|_failure| {
            if !force {
                // The key alone is worth nothing and would be in the way of the next attempt.
                let _gone = fs::remove_file(&self.key);
            }
        })
    }

    /// Reads an authority.
    ///
    /// # Errors
    ///
    /// When a file is missing, unreadable or not what an authority needs.
    pub(crate) fn load_authority(&self) -> Result<Authority, FilesError> {
        let cert = read(&self.cert)?;
        let key = read(&self.key)?;
        Authority::load(&cert, &key)
            .map_err(|source| FilesError::Authority { path: self.cert.clone(), source })
    }
}

/// Whether a name can be used as a file's name as it is.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b))
}

/// A file written under a temporary name; removed again unless it was placed.
struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

impl Staged {
    fn write(target: &Path, bytes: &[u8], mode: u32) -> Result<Self, FilesError> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let staged = Self { temporary: PathBuf::from(name), target: target.to_owned() };
        let _left_by_a_crash = fs::remove_file(&staged.temporary);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&staged.temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        match written {
            Ok(()) => Ok(staged),
            Err(source) => Err(FilesError::Write { path: target.to_owned(), source }),
        }
    }

    fn place(&self, force: bool) -> Result<(), FilesError> {
        let path = self.target.clone();
        if force {
            return fs::rename(&self.temporary, &self.target)
                .map_err(|source| FilesError::Write { path, source });
        }
        // A link, other than a rename, fails when the target exists.
        match fs::hard_link(&self.temporary, &self.target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(FilesError::Exists { path })
            }
            // Some file systems have no links; the existence was checked a moment ago.
            Err(_no_links) => fs::rename(&self.temporary, &self.target)
                .map_err(|source| FilesError::Write { path, source }),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _renamed = fs::remove_file(&self.temporary);
    }
}

fn read(path: &Path) -> Result<String, FilesError> {
    let failed = |source| FilesError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => FilesError::NoAuthority { path: path.to_owned() },
        _ => failed(source),
    })?;
    let mut text = String::new();
    file.take(MAX_PEM_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// An authority's files are a few kilobytes.
const MAX_PEM_BYTES: u64 = 1 << 20;
