//! The ways in which files go bad, and what is said of each.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::scene::{Scene, Side, is_root, list, remove};
use super::{doubled, forms};
use crate::refusals::openssl;
use crate::support::pki::{Ca, ca_params, client_params, server_params};

/// One file that goes bad.
pub struct Row {
    /// Of its folder, its receiver or its exporter.
    pub name: &'static str,
    pub side: Side,
    pub file: &'static str,
    pub reason: &'static str,
    why: &'static str,
    help: &'static str,
    how: How,
    /// Whether a gateway that starts can know.
    pub at_start: bool,
}

enum How {
    /// What `openssl` makes of the files of the folder, with these arguments.
    Converted(&'static str),
    Written(fn(&Scene, PathBuf)),
}

impl Row {
    pub fn spoil(&self, scene: &Scene) {
        let path = scene.path(self);
        match self.how {
            How::Converted(words) => {
                openssl(scene.pki.dir(), &format!("{words} -out {}", path.display()));
            }
            How::Written(write) => write(scene, path),
        }
    }

    pub fn has_list(&self) -> bool {
        self.file == "list.crl"
    }

    /// The `tls` block.
    pub fn block(&self) -> String {
        match self.side {
            Side::Receiver => format!("receivers.otlp/{}.protocols.http.tls", self.name),
            Side::Exporter => format!("exporters.otlp_grpc/{}.tls", self.name),
        }
    }

    /// What must be said: the file, the key that names it, the reason, why, and what mends it.
    pub fn pieces(&self) -> [String; 5] {
        let key = match (self.file, self.side) {
            ("own.crt", _) => "cert_file",
            ("own.key", _) => "key_file",
            ("ca.crt", Side::Receiver) => "client_ca_file",
            ("ca.crt", Side::Exporter) => "ca_file",
            (_, Side::Receiver) => "client_crl_file",
            (_, Side::Exporter) => "crl_file",
        };
        let text = |text: &str| text.to_owned();
        let key = format!(": {}.{key}: ", self.block());
        let place = format!("{}/{}:", self.name, self.file);
        [place, key, format!(" [{}]", self.reason), text(self.why), text(self.help)]
    }

    pub fn missing_in(&self, text: &str) -> Vec<String> {
        self.pieces().into_iter().filter(|piece| !text.contains(piece)).collect()
    }
}

pub(super) fn row(
    name: &'static str,
    file: &'static str,
    said: [&'static str; 3],
    how: fn(&Scene, PathBuf),
) -> Row {
    let [reason, why, help] = said;
    let how = How::Written(how);
    Row { name, side: Side::Receiver, file, reason, why, help, how, at_start: true }
}

/// As [`row`], of a file that `openssl` writes.
pub(super) fn converted(
    name: &'static str,
    file: &'static str,
    said: [&'static str; 3],
    words: &'static str,
) -> Row {
    Row { how: How::Converted(words), ..row(name, file, said, |_, _| {}) }
}

pub fn rows() -> Vec<Row> {
    [
        own(),
        pairs(),
        forms::keys(),
        forms::certificates(),
        trusted(),
        doubled::rows(),
        lists(),
        upstream(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Files that cannot be read.
fn own() -> Vec<Row> {
    let closed = if is_root() { "`sudo chown 65534 " } else { "`chmod u+r " };
    vec![
        row(
            "cert-truncated",
            "own.crt",
            ["pem_truncated", "is cut short: the CERTIFICATE block that", "copy the file again"],
            |scene, path| {
                let whole = scene.pki.server.cert_pem();
                fs::write(path, &whole[..whole.len() / 2]).unwrap();
            },
        ),
        row(
            "key-empty",
            "own.key",
            ["key_not_pem", ": is empty", "whatever writes it has not written it yet, or failed"],
            |_scene, path| fs::write(path, "").unwrap(),
        ),
        row(
            "cert-binary",
            "own.crt",
            [
                "own_cert_no_pem",
                "is binary data of an unknown kind",
                "PEM is text with `-----BEGIN",
            ],
            |_scene, path| fs::write(path, [0xe0, 0x80, 0, 1, 2, 3].repeat(64)).unwrap(),
        ),
        row(
            "key-fifo",
            "own.key",
            ["file_not_regular", "is a FIFO, not a regular file", "name a regular file"],
            |_scene, path| {
                remove(&path);
                assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
            },
        ),
        row(
            "cert-dangling",
            "own.crt",
            ["file_missing", "is a link to nowhere, which does not exist", "mend the link"],
            |_scene, path| {
                remove(&path);
                symlink("nowhere", path).unwrap();
            },
        ),
        row(
            "cert-gone",
            "own.crt",
            ["file_missing", ": does not exist", "relative paths begin at"],
            |_scene, path| remove(&path),
        ),
        row(
            "key-closed",
            "own.key",
            ["file_permission", "with mode 0000, and this process runs as uid", closed],
            |_scene, path| fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap(),
        ),
    ]
}

/// Files that can be read and do not do.
fn pairs() -> Vec<Row> {
    vec![
        row(
            "key-of-another",
            "own.key",
            ["own_key_mismatch", "own.crt, which is CN=test-server", "was one of them renewed"],
            |scene, path| fs::write(path, scene.pki.client.key_pem()).unwrap(),
        ),
        row(
            "key-is-cert",
            "own.key",
            ["key_is_certificate", "has no private key (found: 1 CERTIFICATE)", "swapped?"],
            |scene, path| fs::write(path, scene.pki.server.cert_pem()).unwrap(),
        ),
        row(
            "cert-expired",
            "own.crt",
            ["own_cert_expired", "expired on 2021-01-01 00:00:00 UTC (", "renew it; "],
            |scene, path| {
                reissue(scene, path, |params| {
                    params.not_before = date_time_ymd(2020, 1, 1);
                    params.not_after = date_time_ymd(2021, 1, 1);
                });
            },
        ),
        row(
            "cert-future",
            "own.crt",
            ["own_cert_not_yet_valid", "is not valid before 2999-01-01 00:00:00", "mend the clock"],
            |scene, path| {
                reissue(scene, path, |params| {
                    params.not_before = date_time_ymd(2999, 1, 1);
                    params.not_after = date_time_ymd(3000, 1, 1);
                });
            },
        ),
        row(
            "cert-usage",
            "own.crt",
            ["own_cert_eku", "does not allow serverAuth", "with extendedKeyUsage serverAuth"],
            |scene, path| {
                reissue(scene, path, |params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                });
            },
        ),
    ]
}

/// Another certificate for the key of the first.
fn reissue(scene: &Scene, path: PathBuf, change: fn(&mut rcgen::CertificateParams)) {
    let key = KeyPair::from_pem(&scene.pki.server.key_pem()).unwrap();
    let mut params = server_params(&["localhost", "127.0.0.1"]);
    change(&mut params);
    fs::write(path, scene.pki.ca.issue_for(params, key).cert_pem()).unwrap();
}

fn trusted() -> Vec<Row> {
    vec![
        row(
            "ca-huge",
            "ca.crt",
            ["file_too_large", "is larger than the 1048576 bytes", "is it the right file?"],
            |scene, path| fs::write(path, scene.pki.ca.pem().repeat(4000)).unwrap(),
        ),
        row(
            "ca-directory",
            "ca.crt",
            ["file_not_regular", "is a directory, not a regular", "name the file inside it"],
            |_scene, path| {
                remove(&path);
                fs::create_dir(path).unwrap();
            },
        ),
        row(
            "ca-with-key",
            "ca.crt",
            ["ca_has_private_key", "holds a private key (PRIVATE KEY)", "take the key out"],
            |scene, path| {
                fs::write(path, scene.pki.ca.pem() + &scene.pki.server.key_pem()).unwrap();
            },
        ),
        row(
            "ca-damaged",
            "ca.crt",
            ["ca_bad_entry", "in CERTIFICATE block 2", "no part of a damaged bundle is used"],
            |scene, path| {
                let junk = "-----BEGIN CERTIFICATE-----\nAAAAAAAA\n-----END CERTIFICATE-----\n";
                fs::write(path, scene.pki.ca.pem() + junk).unwrap();
            },
        ),
        row(
            "ca-expired",
            "ca.crt",
            ["ca_expired", "expired on 2021-01-01 00:00:00 UTC", "name a CA that is in force"],
            |_scene, path| {
                let mut params = ca_params("Past CA");
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
                fs::write(path, Ca::self_signed(params).pem()).unwrap();
            },
        ),
        row(
            "ca-usage",
            "ca.crt",
            ["ca_eku", "by extendedKeyUsage to others than clientAuth", "may sign for this use"],
            |_scene, path| {
                let mut params = ca_params("Servers' CA");
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                fs::write(path, Ca::self_signed(params).pem()).unwrap();
            },
        ),
    ]
}

fn lists() -> Vec<Row> {
    vec![
        row(
            "crl-wrong-signer",
            "list.crl",
            ["crl_wrong_signer", "is not signed by the CA of that name", "fetch the list from"],
            |_scene, path| fs::write(path, list(&Ca::new("Test CA"), 6)).unwrap(),
        ),
        row(
            "crl-of-a-stranger",
            "list.crl",
            ["crl_unknown_issuer", "everybody would be refused", "name the lists of those CAs"],
            |scene, path| fs::write(path, list(&scene.pki.other_ca, 6)).unwrap(),
        ),
        row(
            "crl-binary",
            "list.crl",
            ["crl_damaged", "has something else than revocation lists", "copy it again from the"],
            |_scene, path| fs::write(path, [0x30, 0x82, 1, 1, 7]).unwrap(),
        ),
        row(
            "crl-empty",
            "list.crl",
            ["crl_no_pem", ": is empty", "whatever writes it has not written it yet, or failed"],
            |_scene, path| fs::write(path, "").unwrap(),
        ),
        Row {
            // A gateway that starts does not know which lists there were.
            at_start: false,
            ..row(
                "crl-older",
                "list.crl",
                ["crl_rolled_back", "older than the one in force, number ", "put the newer list"],
                |scene, path| fs::write(path, list(&scene.pki.ca, 3)).unwrap(),
            )
        },
    ]
}

/// The same files of an exporter.
fn upstream() -> Vec<Row> {
    let rows = [
        row(
            "up-cert-usage",
            "own.crt",
            ["own_cert_eku", "does not allow clientAuth", "with extendedKeyUsage clientAuth"],
            |scene, path| {
                let key = KeyPair::from_pem(&scene.pki.client.key_pem()).unwrap();
                let params = server_params(&["localhost"]);
                fs::write(path, scene.pki.ca.issue_for(params, key).cert_pem()).unwrap();
            },
        ),
        row(
            "up-cert-expired",
            "own.crt",
            ["own_cert_expired", "expired on 2021-01-01 00:00:00 UTC (", "renew it; "],
            |scene, path| {
                let key = KeyPair::from_pem(&scene.pki.client.key_pem()).unwrap();
                let mut params = client_params("gateway");
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
                fs::write(path, scene.pki.ca.issue_for(params, key).cert_pem()).unwrap();
            },
        ),
        row(
            "up-key-of-another",
            "own.key",
            ["own_key_mismatch", "own.crt, which is CN=test-client", "was one of them renewed"],
            |scene, path| fs::write(path, scene.pki.server.key_pem()).unwrap(),
        ),
        row(
            "up-ca-truncated",
            "ca.crt",
            ["pem_truncated", "is cut short: the CERTIFICATE block that", "copy the file again"],
            |scene, path| {
                let whole = scene.pki.ca.pem();
                fs::write(path, &whole[..whole.len() / 2]).unwrap();
            },
        ),
        row(
            "up-crl-wrong-signer",
            "list.crl",
            ["crl_wrong_signer", "is not signed by the CA of that name", "fetch the list from"],
            |_scene, path| fs::write(path, list(&Ca::new("Test CA"), 6)).unwrap(),
        ),
    ];
    rows.into_iter().map(|row| Row { side: Side::Exporter, ..row }).collect()
}
