//! The folder of a quickstart: two authorities, their certificates, and the gateway's
//! configuration.
//!
//! Guarantees that good certificates are kept and that no file of the user's own is written over.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::SanType;

use crate::cli::certs::{
    AUTHORITY_DAYS, Authority, FilesError, IssueError, KeyType, LEAF_DAYS, Leaf, Paths, Usage,
};
use crate::cli::quickstart::ports::Ports;
use crate::tls::inspect::{self, CertificateFacts};

/// Every file of the folder.
pub(super) struct Folder {
    dir: PathBuf,
    /// What senders and the gateway's listener trust.
    pub(super) senders_ca: Paths,
    /// What the gateway shows to senders.
    pub(super) listener: Paths,
    /// What a sender shows to the gateway.
    pub(super) sender: Paths,
    /// What the backend and the gateway's exporter trust; another authority on purpose.
    pub(super) backend_ca: Paths,
    /// What the backend shows to the gateway.
    pub(super) backend: Paths,
    /// What the gateway shows to the backend.
    pub(super) exporter: Paths,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// A certificate could not be written or read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A certificate could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The folder is of no use.
    #[error("cannot use the folder {} (--dir takes another one)", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An older quickstart's certificate, spoilt.
    #[error(
        "{} {problem}; `portcullis quickstart --force` makes all certificates of this folder anew, \
         `--dir` takes another folder", path.display()
    )]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The user's own file.
    #[error(
        "{} exists and was not written by `portcullis quickstart`; nothing was changed. --dir \
         takes another folder, --force writes over it", path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The configuration cannot be written.
    #[error("cannot write {} (--dir takes another folder)", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Folder {
    /// Makes the folder; its path is absolute from here on.
    pub(super) fn open(dir: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Folder { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let pair = |name: &str| Paths::new(&dir.join(name));
        Ok(Self {
            senders_ca: pair("senders/ca"),
            listener: pair("senders/gateway"),
            sender: pair("senders/sender"),
            backend_ca: pair("backend/ca"),
            backend: pair("backend/backend"),
            exporter: pair("backend/gateway"),
            dir,
        })
    }

    /// The gateway's configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("gateway.yaml")
    }

    /// Makes what is missing and checks what is there. Returns whether anything was made.
    pub(super) fn certificates(&self, force: bool) -> Result<bool, FolderError> {
        let spiffe = "spiffe://quickstart.example/sender";
        let senders = self.authority(&self.senders_ca, "Quickstart senders CA", force)?;
        let backend = self.authority(&self.backend_ca, "Quickstart backend CA", force)?;
        let made = [
            leaf(&senders, &self.listener, &server("gateway"), force)?,
            leaf(&senders, &self.sender, &client("sender", Some(spiffe)), force)?,
            leaf(&backend, &self.backend, &server("backend"), force)?,
            leaf(&backend, &self.exporter, &client("gateway", None), force)?,
        ];
        Ok(senders.is_new || backend.is_new || made.contains(&true))
    }

    fn authority(&self, paths: &Paths, name: &str, force: bool) -> Result<Signer, FolderError> {
        let exists = paths.cert.exists() || paths.key.exists();
        if exists && !force {
            let facts = usable(&paths.cert, None)?;
            if !paths.key.exists() {
                return Err(without_certificate(&paths.key));
            }
            let authority = paths.load_authority()?;
            return Ok(Signer { authority, subject: facts.identity.subject, is_new: false });
        }
        let (authority, pair) = Authority::create(name, KeyType::P256, AUTHORITY_DAYS)?;
        paths.write(&pair, force)?;
        Ok(Signer { authority, subject: usable(&paths.cert, None)?.identity.subject, is_new: true })
    }

    /// Writes the gateway's configuration.
    pub(super) fn write_config(&self, ports: &Ports, force: bool) -> Result<(), FolderError> {
        let path = self.config();
        let is_ours = match read(&path) {
            Ok(text) => text.starts_with(MARK),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_ours && !force {
            return Err(FolderError::NotOurs { path });
        }
        let temporary = self.dir.join(".gateway.yaml.tmp");
        File::create(&temporary)
            .and_then(|mut file| file.write_all(self.yaml(ports).as_bytes()))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| FolderError::Write { path, source })
    }

    fn yaml(&self, ports: &Ports) -> String {
        let Ports { grpc, http, backend } = ports;
        let listener = format!(
            "{{ cert_file: {}, key_file: {}, client_ca_file: {} }}",
            quoted(&self.listener.cert),
            quoted(&self.listener.key),
            quoted(&self.senders_ca.cert)
        );
        format!(
            "{MARK}, and written anew by each run: copy it to keep changes.
# It runs as it stands:
#   portcullis --config {config}
receivers:
  otlp:
    protocols:
      # client_ca_file: only senders with a certificate of this CA get in.
      grpc:
        endpoint: localhost:{grpc}
        tls: {listener}
      http:
        endpoint: localhost:{http}
        tls: {listener}
exporters:
  # Out again over TLS of its own, with an identity of its own, under another CA.
  otlp_grpc:
    endpoint: localhost:{backend}
    tls: {{ ca_file: {ca}, cert_file: {cert}, key_file: {key} }}
service:
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_grpc] }}
    metrics: {{ receivers: [otlp], exporters: [otlp_grpc] }}
    logs: {{ receivers: [otlp], exporters: [otlp_grpc] }}
  telemetry:
    # The gateway's own numbers; `level: normal` serves them on localhost:8888.
    metrics: {{ level: none }}
",
            config = self.config().display(),
            ca = quoted(&self.backend_ca.cert),
            cert = quoted(&self.exporter.cert),
            key = quoted(&self.exporter.key),
        )
    }
}

/// An authority and what its certificates name as their issuer.
struct Signer {
    authority: Authority,
    subject: String,
    is_new: bool,
}

/// Keeps a good certificate, makes a missing one. Returns whether it was made.
fn leaf(signer: &Signer, paths: &Paths, leaf: &Leaf, force: bool) -> Result<bool, FolderError> {
    let exists = paths.cert.exists() || paths.key.exists();
    if exists && !force {
        usable(&paths.cert, Some(&signer.subject))?;
        if !paths.key.exists() {
            return Err(without_certificate(&paths.key));
        }
        return Ok(false);
    }
    paths.write(&signer.authority.issue(leaf)?, force)?;
    Ok(true)
}

fn without_certificate(key: &Path) -> FolderError {
    let problem = "does not exist, but its certificate does".to_owned();
    FolderError::Unusable { path: key.to_owned(), problem }
}

fn server(name: &str) -> Leaf {
    let localhost = "localhost".try_into().map(SanType::DnsName);
    let mut names: Vec<SanType> = localhost.into_iter().collect();
    names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    names.push(SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()));
    described(Usage::Server, name, names)
}

fn client(name: &str, uri: Option<&str>) -> Leaf {
    let names = uri.and_then(|uri| uri.try_into().ok()).map(SanType::URI);
    described(Usage::Client, name, names.into_iter().collect())
}

fn described(usage: Usage, name: &str, names: Vec<SanType>) -> Leaf {
    let common_name = name.to_owned();
    Leaf { usage, common_name, names, key_type: KeyType::P256, days: LEAF_DAYS }
}

/// The facts of a certificate that is in date and, if asked, of this issuer.
fn usable(path: &Path, issuer: Option<&str>) -> Result<CertificateFacts, FolderError> {
    let unusable = |problem: &str| FolderError::Unusable {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let text = read(path).map_err(|error| unusable(&format!("cannot be read ({error})")))?;
    let facts = x509_parser::pem::parse_x509_pem(text.as_bytes())
        .ok()
        .and_then(|(_, pem)| inspect::describe(&pem.contents))
        .ok_or_else(|| unusable("is not a certificate"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if !facts.holds_at(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)) {
        return Err(unusable("is out of date"));
    }
    if issuer.is_some_and(|issuer| issuer != facts.identity.issuer) {
        return Err(unusable("was issued by another authority than the one beside it"));
    }
    Ok(facts)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// A path as a YAML string; JSON's strings are YAML's, and `$` would be expanded.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy().replace('$', "$$")).to_string()
}

const MARK: &str = "# Written by `portcullis quickstart`";
const MAX_BYTES: u64 = 1 << 20;
