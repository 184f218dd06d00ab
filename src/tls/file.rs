//! Bounded reads of the files that TLS material comes from.
//!
//! Guarantees that a read ends: regular files only, at most [`MAX_BYTES`], no FIFO or device can
//! hang it. Says of a file that cannot be read what stands in the way and which command removes
//! it. Knows nothing of what is in a file.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::tls::way::Way;

/// Largest file read, in bytes. A bundle of 500 certificates is about 0.8 MiB.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// Largest revocation list read. One of 100,000 entries has about 5 MiB in PEM.
pub(super) const MAX_LIST_BYTES: u64 = 16 << 20;

/// Bytes read at once where a file is not kept.
const PIECE: usize = 64 << 10;

/// Lets whoever waits for this processor go first. Long work beside the data path says so every
/// tenth of a millisecond or so: the scheduler would let it finish a slice of some milliseconds, and
/// a request wait for that.
pub(super) fn give_way() {
    std::thread::yield_now();
}

/// What a file holds.
pub(crate) struct Content {
    /// All of it.
    pub(crate) bytes: Vec<u8>,
    /// Permission bits.
    pub(crate) mode: u32,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadError {
    /// Stable reason code, such as `file_missing`.
    pub(crate) reason: &'static str,
    /// One clause, to follow the file's name.
    pub(crate) message: String,
    /// What to do; may be empty.
    pub(crate) help: String,
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

/// Reads a whole file.
///
/// Blocks on the file system; call it off the runtime's threads.
#[cfg(test)]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    read_up_to(path, MAX_BYTES)
}

/// Reads a whole file of at most `limit` bytes.
///
/// Blocks on the file system; call it off the runtime's threads.
pub(super) fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    open_up_to(path, limit).map(|content| content.bytes)
}

/// Reads a whole file, and what protects it.
///
/// Blocks on the file system; call it off the runtime's threads.
pub(crate) fn open(path: &Path) -> Result<Content, ReadError> {
    open_up_to(path, MAX_BYTES)
}

/// Hands the content of a file of at most `limit` bytes to `take`, piece by piece.
///
/// Blocks on the file system; call it off the runtime's threads.
pub(super) fn pieces(
    path: &Path,
    limit: u64,
    mut take: impl FnMut(&[u8]),
) -> Result<(), ReadError> {
    let (mut file, _metadata) = opened(path, limit)?;
    let mut piece = vec![0; PIECE];
    let mut total = 0_u64;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                total = total.saturating_add(length as u64);
                if total > limit {
                    return Err(too_large(limit));
                }
                take(piece.get(..length).unwrap_or_default());
                give_way();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
}

fn open_up_to(path: &Path, limit: u64) -> Result<Content, ReadError> {
    let (file, metadata) = opened(path, limit)?;
    let expected = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected.saturating_add(1));
    // It may grow while it is read.
    let mut file = file.take(limit + 1);
    while (&mut file).take(PIECE as u64).read_to_end(&mut bytes).map_err(|e| unreadable(&e))? > 0 {
        give_way();
    }
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(Content { bytes, mode: metadata.mode() & 0o7777 })
}

/// A regular file that is not larger than `limit` now.
fn opened(path: &Path, limit: u64) -> Result<(File, Metadata), ReadError> {
    // Without NONBLOCK, opening a FIFO waits for a writer that may never come.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(|error| unopened(path, &io::Error::from(error)))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(not_regular(metadata.mode()));
    }
    if metadata.len() > limit {
        return Err(too_large(limit));
    }
    Ok((file, metadata))
}

fn unreadable(error: &io::Error) -> ReadError {
    failed("file_unreadable", format!("cannot be read: {error}"), "")
}

fn failed(reason: &'static str, message: String, help: impl Into<String>) -> ReadError {
    ReadError { reason, message, help: help.into() }
}

fn too_large(limit: u64) -> ReadError {
    let message = format!("is larger than the {limit} bytes that are read");
    let help = if limit == MAX_LIST_BYTES {
        "is it the right file? If it is that list: let the CA leave out certificates that have \
         ended, or divide the list"
    } else {
        "is it the right file? Certificates and keys are small"
    };
    failed("file_too_large", message, help)
}

fn not_regular(mode: u32) -> ReadError {
    let kind = kind(mode);
    let help = if kind == "a directory" {
        "name the file inside it; a bind mount of a file that did not exist makes a directory"
    } else {
        "name a regular file"
    };
    failed("file_not_regular", format!("is {kind}, not a regular file"), help)
}

fn unopened(path: &Path, error: &io::Error) -> ReadError {
    match error.kind() {
        ErrorKind::NotFound => missing(path),
        ErrorKind::PermissionDenied => denied(path),
        _ => match rustix::io::Errno::from_io_error(error) {
            Some(rustix::io::Errno::NXIO) => {
                failed("file_not_regular", "is a socket, not a regular file".to_owned(), "")
            }
            Some(rustix::io::Errno::LOOP) => {
                let message = "is a link that leads to itself, maybe through others".to_owned();
                failed("file_missing", message, "let the link lead to the file")
            }
            _ => failed("file_unreadable", format!("cannot be opened: {error}"), ""),
        },
    }
}

fn missing(path: &Path) -> ReadError {
    if let Ok(target) = std::fs::read_link(path) {
        let mut message = format!("is a link to {}", target.display());
        let next = path.parent().map(|folder| folder.join(&target));
        if let (Some(next), Some(way)) = (next, Way::of(path))
            && next.is_symlink()
        {
            message.push_str(&format!(" and leads on to {}", way.end.display()));
        }
        message.push_str(", which does not exist");
        return failed("file_missing", message, "mend the link, or mount what it points to");
    }
    let gone = path.ancestors().skip(1).filter(|part| !part.as_os_str().is_empty());
    let message = match gone.take_while(|part| !part.exists()).last() {
        Some(folder) => format!("does not exist: there is no {}", folder.display()),
        None => "does not exist".to_owned(),
    };
    let help = if path.is_absolute() {
        "correct the path, or mount or write the file".to_owned()
    } else {
        let here = std::env::current_dir().unwrap_or_default();
        format!(
            "relative paths begin at {}, where this was started: put the file there, or write the \
             path absolute",
            here.display()
        )
    };
    failed("file_missing", message, help)
}

fn denied(path: &Path) -> ReadError {
    let we = Owner {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
            denied_file(path, &owner, metadata.mode() & 0o7777, &we)
        }
        Err(_unreachable) => denied_folder(path, &we),
    }
}

struct Owner {
    uid: u32,
    gid: u32,
}

fn denied_file(path: &Path, owner: &Owner, mode: u32, we: &Owner) -> ReadError {
    let message = format!(
        "cannot be read: it belongs to uid {} (gid {}) with mode {mode:04o}, and this process runs \
         as uid {} (gid {})",
        owner.uid, owner.gid, we.uid, we.gid
    );
    let path = path.display();
    let help = if owner.uid == we.uid {
        format!("`chmod u+r {path}`")
    } else {
        // Not `chmod a+r`: it may be a key.
        format!(
            "give it to that uid: `sudo chown {uid} {path}`; or run as its owner (in a container, \
             `user: \"{owner}\"`); in Kubernetes set `fsGroup`",
            uid = we.uid,
            owner = owner.uid
        )
    };
    failed("file_permission", message, help)
}

fn denied_folder(path: &Path, we: &Owner) -> ReadError {
    // Through links it may be none of the folders that the path names.
    let closed = Way::of(path).and_then(|way| way.closed);
    let closed = closed.and_then(|folder| Some((std::fs::metadata(&folder).ok()?, folder)));
    let Some((metadata, folder)) = closed else {
        return failed("file_permission", "cannot be reached: permission denied".to_owned(), "");
    };
    let message = format!(
        "cannot be reached: {} belongs to uid {} (gid {}) with mode {:04o}, and this process runs \
         as uid {} (gid {})",
        folder.display(),
        metadata.uid(),
        metadata.gid(),
        metadata.mode() & 0o7777,
        we.uid,
        we.gid
    );
    failed("file_permission", message, format!("`sudo chmod a+x {}`", folder.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a 0600 key made by root, mounted into a container that runs as 65532.
    /// Guarantees: both uids, the mode and the command that mends it.
    #[test]
    fn a_key_of_another_uid_names_both_uids_the_mode_and_the_command() {
        let error = denied_file(
            Path::new("/certs/tls.key"),
            &Owner { uid: 0, gid: 0 },
            0o600,
            &Owner { uid: 65532, gid: 65532 },
        );
        assert_eq!(error.reason, "file_permission");
        assert_eq!(
            error.message,
            "cannot be read: it belongs to uid 0 (gid 0) with mode 0600, and this process runs as \
             uid 65532 (gid 65532)"
        );
        assert!(error.help.contains("`sudo chown 65532 /certs/tls.key`"), "{}", error.help);
    }

    #[test]
    fn what_is_not_a_file_of_bounded_size_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name);
        let why = |name| read(&path(name)).map(|_content| ()).unwrap_err();

        assert_eq!(why("none").message, "does not exist");
        assert!(why("no/such/file").message.ends_with("/no"), "{}", why("no/such/file").message);
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        assert_eq!(why("link").message, "is a link to nowhere, which does not exist");
        std::os::unix::fs::symlink("link", path("chain")).unwrap();
        let end = path("nowhere").display().to_string();
        let leads = format!("is a link to link and leads on to {end}, which does not exist");
        assert_eq!(why("chain").message, leads);
        std::os::unix::fs::symlink("circle", path("circle")).unwrap();
        assert_eq!(why("circle").message, "is a link that leads to itself, maybe through others");
        std::fs::create_dir(path("folder")).unwrap();
        assert_eq!(why("folder").message, "is a directory, not a regular file");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(why("fifo").message, "is a FIFO, not a regular file");
        std::fs::write(path("large"), vec![b' '; (MAX_BYTES + 1) as usize]).unwrap();
        assert_eq!(why("large").reason, "file_too_large");
        assert!(why("large").help.contains("Certificates and keys are small"));
        let list = File::create(path("list")).unwrap();
        list.set_len(MAX_LIST_BYTES + 1).unwrap();
        let why_list = read_up_to(&path("list"), MAX_LIST_BYTES).unwrap_err();
        assert_eq!(why_list.reason, "file_too_large");
        assert!(why_list.help.contains("let the CA leave out"), "{}", why_list.help);
        std::fs::write(path("fits"), vec![b' '; MAX_BYTES as usize]).unwrap();
        assert!(read(&path("fits")).is_ok());
    }
}
