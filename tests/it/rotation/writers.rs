//! How programs and people replace the files of a `tls` block.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// What one rotation writes, all in PEM.
pub struct Material {
    pub cert: String,
    pub key: String,
    pub ca: String,
}

/// One way to replace certificate, key and CA bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `cat new.crt > tls.crt`, then the key, then the bundle.
    InPlaceCertFirst,
    /// The key first.
    InPlaceKeyFirst,
    /// A temporary file renamed over each, as step, Vault agent and consul-template do.
    RenameEach,
    /// The `..data` swap of the kubelet's AtomicWriter.
    KubernetesSwap,
    /// The folder moved away and another moved into its place.
    DirectoryMoved,
    /// Everything deleted, then created anew.
    DeleteThenCreate,
    /// Links unlinked and made again, as certbot does.
    SymlinkRetarget,
    /// Each file written in pieces.
    PartialWrites,
    /// Certificate, key and bundle by truncate and write, as spiffe-helper does.
    SpiffeHelper,
    /// Certificate and key in one file, renamed.
    CombinedFile,
    /// `install`: each file unlinked and created.
    Install,
    /// rsync: the bundle first, temporary names that begin with a dot.
    Rsync,
}

/// Lays the files out in its style and replaces them.
pub struct Writer {
    root: PathBuf,
    style: Style,
    count: u32,
}

const CERT: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

impl Writer {
    /// Writes the first material below `root`.
    pub async fn new(root: &Path, style: Style, first: &Material) -> Self {
        let mut writer = Self { root: root.to_owned(), style, count: 0 };
        match style {
            Style::KubernetesSwap | Style::SymlinkRetarget => {
                fs::create_dir_all(writer.live()).unwrap();
                fs::create_dir_all(writer.root.join("archive")).unwrap();
            }
            Style::InPlaceCertFirst
            | Style::InPlaceKeyFirst
            | Style::RenameEach
            | Style::DirectoryMoved
            | Style::DeleteThenCreate
            | Style::PartialWrites
            | Style::SpiffeHelper
            | Style::CombinedFile
            | Style::Install
            | Style::Rsync => lay_out(&writer.live(), first),
        }
        writer.write(first, Duration::ZERO).await;
        writer
    }

    /// The value of `cert_file`.
    pub fn cert_file(&self) -> PathBuf {
        self.live().join(CERT)
    }

    /// The value of `key_file`.
    pub fn key_file(&self) -> PathBuf {
        self.live().join(if self.style == Style::CombinedFile { CERT } else { KEY })
    }

    /// The value of `client_ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.live().join(CA)
    }

    fn live(&self) -> PathBuf {
        self.root.join("live")
    }

    /// Replaces everything. Writers that are not atomic pause for `gap` between two steps.
    pub async fn write(&mut self, new: &Material, gap: Duration) {
        self.count += 1;
        let live = self.live();
        let parts = [(CERT, &new.cert), (KEY, &new.key), (CA, &new.ca)];
        match self.style {
            Style::InPlaceCertFirst | Style::SpiffeHelper => {
                for (name, text) in parts {
                    put(&live.join(name), text);
                    sleep(gap).await;
                }
            }
            Style::InPlaceKeyFirst => {
                for (name, text) in [(KEY, &new.key), (CERT, &new.cert), (CA, &new.ca)] {
                    put(&live.join(name), text);
                    sleep(gap).await;
                }
            }
            Style::RenameEach => {
                for (name, text) in parts {
                    replace(&live.join(name), &live.join(format!("{name}.tmp")), text);
                    sleep(gap).await;
                }
            }
            Style::Rsync => {
                for (name, text) in [(CA, &new.ca), (CERT, &new.cert), (KEY, &new.key)] {
                    replace(
                        &live.join(name),
                        &live.join(format!(".{name}.Xa{}", self.count)),
                        text,
                    );
                    sleep(gap).await;
                }
            }
            Style::CombinedFile => {
                let both = format!("{}{}", new.cert, new.key);
                replace(&live.join(CERT), &live.join("tls.crt.new"), &both);
                replace(&live.join(CA), &live.join("ca.crt.new"), &new.ca);
            }
            Style::Install => {
                for (name, text) in parts {
                    fs::remove_file(live.join(name)).unwrap();
                    put(&live.join(name), text);
                    sleep(gap).await;
                }
            }
            Style::DeleteThenCreate => {
                for (name, _) in parts {
                    fs::remove_file(live.join(name)).unwrap();
                }
                sleep(gap).await;
                for (name, text) in parts {
                    put(&live.join(name), text);
                    sleep(gap).await;
                }
            }
            Style::PartialWrites => {
                for (name, text) in parts {
                    in_pieces(&live.join(name), text, gap).await;
                }
            }
            Style::KubernetesSwap => self.swap(new),
            Style::SymlinkRetarget => self.retarget(new, gap).await,
            Style::DirectoryMoved => self.move_folder(new, gap).await,
        }
    }

    fn swap(&self, new: &Material) {
        let live = self.live();
        let payload = format!("..2026_11_25_{:06}", self.count);
        lay_out(&live.join(&payload), new);
        for name in [CERT, KEY, CA] {
            if fs::symlink_metadata(live.join(name)).is_err() {
                symlink(Path::new("..data").join(name), live.join(name)).unwrap();
            }
        }
        let old = fs::read_link(live.join("..data")).ok();
        symlink(&payload, live.join("..data_tmp")).unwrap();
        fs::rename(live.join("..data_tmp"), live.join("..data")).unwrap();
        if let Some(old) = old {
            fs::remove_dir_all(live.join(old)).unwrap();
        }
    }

    async fn retarget(&self, new: &Material, gap: Duration) {
        let archive = self.root.join("archive").join(self.count.to_string());
        lay_out(&archive, new);
        for name in [CERT, KEY, CA] {
            let link = self.live().join(name);
            if fs::symlink_metadata(&link).is_ok() {
                fs::remove_file(&link).unwrap();
            }
            symlink(archive.join(name), &link).unwrap();
            sleep(gap).await;
        }
    }

    async fn move_folder(&self, new: &Material, gap: Duration) {
        let (next, old) = (self.root.join("next"), self.root.join("old"));
        lay_out(&next, new);
        fs::rename(self.live(), &old).unwrap();
        sleep(gap).await;
        fs::rename(&next, self.live()).unwrap();
        fs::remove_dir_all(&old).unwrap();
    }
}

fn lay_out(folder: &Path, material: &Material) {
    fs::create_dir_all(folder).unwrap();
    put(&folder.join(CERT), &material.cert);
    put(&folder.join(KEY), &material.key);
    put(&folder.join(CA), &material.ca);
}

/// Truncates and writes, as `os.WriteFile` and `cat >` do.
fn put(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn replace(path: &Path, temporary: &Path, text: &str) {
    put(temporary, text);
    fs::rename(temporary, path).unwrap();
}

async fn in_pieces(path: &Path, text: &str, gap: Duration) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    for piece in text.as_bytes().chunks(text.len() / 3 + 1) {
        file.write_all(piece).unwrap();
        sleep(gap).await;
    }
}
