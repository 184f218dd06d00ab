//! Bounded reads of configuration files.
//!
//! Guarantees that a read ends: regular files only, at most [`MAX_BYTES`]; no FIFO or device can
//! hang it. What the program was started with, `/dev/stdin` or a shell's `<(...)`, is read to its
//! end, as any program does.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Largest text of configuration, in bytes.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The system refused to open or read it.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Neither a file nor a link to one.
    #[error("is not a regular file")]
    NotRegular,
    /// Not text.
    #[error("is not UTF-8; the first bad byte is at offset {0}")]
    NotText(usize),
    /// More than [`MAX_BYTES`].
    #[error("is longer than the {MAX_BYTES} bytes that are read")]
    TooLarge,
}

/// Reads a whole file as text. Blocks on the file system.
pub(super) fn read(path: &Path) -> Result<String, ReadError> {
    let handed_over = is_handed_over(path);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    // Without NONBLOCK, opening a FIFO waits for a writer that may never come.
    let flags = if handed_over { flags } else { flags | OFlags::NONBLOCK };
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
    let file = File::from(descriptor);
    if !handed_over && !file.metadata()?.is_file() {
        return Err(ReadError::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| ReadError::NotText(error.utf8_error().valid_up_to()))
}

/// Whether a path names a descriptor that whoever started the program has opened.
fn is_handed_over(path: &Path) -> bool {
    path == Path::new("/dev/stdin")
        || path.starts_with("/dev/fd")
        || path.starts_with("/proc/self/fd")
}
