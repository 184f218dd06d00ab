//! What the files of one `tls` block hold and where changes to them would show.
//!
//! Guarantees that equal fingerprints mean equal bytes (or the same failure to read them), and that
//! every folder is named whose entries decide what a path leads to. Knows nothing of certificates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::tls::file;
use crate::tls::way::Way;

/// SHA-256 over those of the contents of some files, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads every file. Blocks on the file system.
    pub(crate) fn of(files: &[PathBuf]) -> Self {
        // A record of the same length for each, so that no content can pass for two.
        let mut all = Context::new(&SHA256);
        for path in files {
            let mut one = Context::new(&SHA256);
            // The load holds each kind of file to its own limit; none has a larger one.
            let read = file::pieces(path, file::MAX_LIST_BYTES, |piece| one.update(piece));
            if let Err(error) = read {
                all.update(b"-");
                all.update(digest(&SHA256, error.to_string().as_bytes()).as_ref());
            } else {
                all.update(b"+");
                all.update(one.finish().as_ref());
            }
        }
        let mut bytes = [0; 32];
        let digest = all.finish();
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

/// The folders whose entries decide what these paths lead to: the folder of each file, the folder
/// of each symbolic link on the way (Kubernetes swaps `..data`), and the folder above the file's
/// own, where that one may be replaced as a whole.
pub(super) fn folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in files {
        add_folders(path, &mut found);
    }
    found
}

fn add_folders(path: &Path, found: &mut BTreeSet<PathBuf>) {
    let Some(way) = Way::of(path) else { return };
    found.extend(way.links);
    found.extend(way.end.ancestors().skip(1).take(2).map(Path::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_changes_with_any_byte_and_with_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("a"), dir.path().join("b")];
        std::fs::write(&files[0], "1").unwrap();
        std::fs::write(&files[1], "23").unwrap();
        let first = Fingerprint::of(&files);
        std::fs::write(&files[0], "1").unwrap();
        assert_eq!(Fingerprint::of(&files), first);
        std::fs::write(&files[0], "12").unwrap();
        std::fs::write(&files[1], "3").unwrap();
        assert_ne!(Fingerprint::of(&files), first);
        std::fs::remove_file(&files[1]).unwrap();
        assert_ne!(Fingerprint::of(&files), first);
    }

    /// Scenario: the layout of a Kubernetes volume below a folder that is itself a link.
    /// Guarantees: each folder in which a swap could happen is watched.
    #[test]
    fn every_link_on_the_way_has_its_folder_watched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("mount/..2026")).unwrap();
        std::fs::write(root.join("mount/..2026/tls.crt"), "x").unwrap();
        std::os::unix::fs::symlink("..2026", root.join("mount/..data")).unwrap();
        std::os::unix::fs::symlink("..data/tls.crt", root.join("mount/tls.crt")).unwrap();
        std::os::unix::fs::symlink(root.join("mount"), root.join("certs")).unwrap();
        let watched = folders(&[root.join("certs/tls.crt")]);
        for expected in [root.clone(), root.join("mount"), root.join("mount/..2026")] {
            assert!(watched.contains(&expected), "{expected:?} is not in {watched:?}");
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("b", dir.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("b")).unwrap();
        assert!(!folders(&[dir.path().join("a")]).is_empty());
    }
}
