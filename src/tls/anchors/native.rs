//! Where the system's roots come from, so that a change to them is found like one of any other file.

use std::path::{Path, PathBuf};

/// The files that the system's roots are read from: those that `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// name, or the bundle at the first of the usual places. What comes into a folder later is seen
/// with the next change of what was there.
pub(in crate::tls) fn files() -> Vec<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folders = std::env::var_os("SSL_CERT_DIR").unwrap_or_default();
    let folders = std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty());
    let entries = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<_> = entries.take(MOST_FILES).map(|entry| entry.path()).collect();
    files.sort();
    files.extend(named);
    if files.is_empty() {
        let usual = BUNDLES.iter().map(Path::new).find(|bundle| bundle.exists());
        files.extend(usual.map(Path::to_owned));
    }
    files
}

/// Of all folders together; each is read at every look.
const MOST_FILES: usize = 512;

/// As the library that reads them looks for them, and in that order.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];
