//! Bounded reads of the files that TLS material comes from.
//!
//! Guarantees that a read ends: regular files only, at most [`MAX_BYTES`], no FIFO or device can
//! hang it. Knows nothing of what is in a file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Largest file read, in bytes. A bundle of 500 certificates is about 0.8 MiB.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Neither a file nor a link to one.
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    /// More than [`MAX_BYTES`].
    #[error("is {0} bytes long, more than the {MAX_BYTES} that are read")]
    TooLarge(u64),
    /// The system refused to open or read it.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a whole file.
///
/// Blocks on the file system; call it off the runtime's threads.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    // Without NONBLOCK, opening a FIFO waits for a writer that may never come.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
    let file = File::from(descriptor);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReadError::NotRegular(kind(metadata.mode())));
    }
    if metadata.len() > MAX_BYTES {
        return Err(ReadError::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    if length > MAX_BYTES {
        return Err(ReadError::TooLarge(length));
    }
    Ok(bytes)
}

fn kind(mode: u32) -> &'static str {
    match rustix::fs::FileType::from_raw_mode(mode) {
        rustix::fs::FileType::Directory => "a directory",
        rustix::fs::FileType::Fifo => "a FIFO",
        rustix::fs::FileType::Socket => "a socket",
        rustix::fs::FileType::CharacterDevice => "a character device",
        rustix::fs::FileType::BlockDevice => "a block device",
        _ => "a special file",
    }
}
