//! The files of a large block: 500 authorities, lists of 100,000 entries, and a pair.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::{Duration, OffsetDateTime};

use crate::Outcome;

/// Authorities in the bundle.
pub const AUTHORITIES: usize = 500;

/// Entries of a list.
pub const ENTRIES: u128 = 100_000;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A folder with everything.
pub struct Material {
    folder: tempfile::TempDir,
    authority: Issuer,
    bundle: String,
    /// Number of the newest list.
    number: u64,
}

/// Files that wait to be put in the place of those in force.
pub struct Staged(Vec<(PathBuf, PathBuf)>);

impl Staged {
    /// Renames them over the others.
    pub fn publish(&self) -> Outcome<()> {
        self.0.iter().try_for_each(|(fresh, live)| Ok(std::fs::rename(fresh, live)?))
    }
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Der,
    Pem,
}

impl Material {
    pub fn new() -> Outcome<Self> {
        let authority = authority("Authority 0")?;
        let mut bundle = authority.pem();
        for number in 1..AUTHORITIES {
            bundle.push_str(&self::authority(&format!("Authority {number}"))?.pem());
        }
        let material = Self { folder: tempfile::tempdir()?, authority, bundle, number: 0 };
        std::fs::write(material.path("ca.crt"), &material.bundle)?;
        material.renew()?;
        Ok(material)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A configuration whose receiver has these files; the list is in `clients.crl`.
    pub fn yaml(&self, with_list: bool) -> String {
        let folder = self.folder.path().display();
        let list = if with_list {
            format!(", client_crl_file: '{folder}/clients.crl'")
        } else {
            String::new()
        };
        format!(
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0', tls: {{ \
             cert_file: '{folder}/tls.crt', key_file: '{folder}/tls.key', client_ca_file: \
             '{folder}/ca.crt'{list} }} }} }} }} }}\n\
             exporters: {{ nop: }}\n\
             service: {{ pipelines: {{ traces: {{ receivers: [otlp], exporters: [nop] }} }} }}\n"
        )
    }

    /// Writes another pair.
    pub fn renew(&self) -> Outcome<()> {
        let [certificate, key] = self.pair()?;
        replace(&self.path("tls.crt"), certificate.as_bytes())?;
        replace(&self.path("tls.key"), key.as_bytes())
    }

    /// Puts another authority beside the others, in place of the one before.
    pub fn extend(&self) -> Outcome<()> {
        replace(&self.path("ca.crt"), self.another_bundle()?.as_bytes())
    }

    /// Writes the next list.
    pub fn revoke(&mut self, form: Form) -> Outcome<()> {
        let list = self.list(form, ENTRIES)?;
        replace(&self.path("clients.crl"), &list)
    }

    /// Writes another of everything beside the files in force.
    pub fn stage(&mut self) -> Outcome<Staged> {
        let [certificate, key] = self.pair()?;
        let (bundle, list) = (self.another_bundle()?, self.list(Form::Pem, ENTRIES)?);
        let files = [
            ("tls.key", key.as_bytes()),
            ("tls.crt", certificate.as_bytes()),
            ("ca.crt", bundle.as_bytes()),
            ("clients.crl", list.as_slice()),
        ];
        let mut staged = Vec::new();
        for (name, content) in files {
            let fresh = self.path(&format!("{name}.{}", self.number));
            std::fs::write(&fresh, content)?;
            staged.push((fresh, self.path(name)));
        }
        Ok(Staged(staged))
    }

    fn pair(&self) -> Outcome<[String; 2]> {
        let key = KeyPair::generate()?;
        Ok([self.sign("gateway", &key, None)?.pem(), key.serialize_pem()])
    }

    fn another_bundle(&self) -> Outcome<String> {
        let one_less = self.bundle.rfind("-----BEGIN").ok_or("an empty bundle")?;
        let kept = self.bundle.get(..one_less).ok_or("an empty bundle")?;
        Ok(format!("{kept}{}", authority("Another authority")?.pem()))
    }

    /// A list that also names so many of the numbered clients.
    pub fn stage_list(&mut self, clients: u128) -> Outcome<Staged> {
        let list = self.list(Form::Pem, ENTRIES + clients)?;
        let fresh = self.path("clients.crl.fresh");
        std::fs::write(&fresh, list)?;
        Ok(Staged(vec![(fresh, self.path("clients.crl"))]))
    }

    fn list(&mut self, form: Form, entries: u128) -> Outcome<Vec<u8>> {
        self.number += 1;
        let now = OffsetDateTime::now_utc();
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: now + Duration::days(7),
            crl_number: SerialNumber::from(self.number),
            issuing_distribution_point: None,
            revoked_certs: (1..=entries)
                .map(|n| RevokedCertParams {
                    serial_number: serial(n),
                    revocation_time: now,
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.authority)?;
        Ok(match form {
            Form::Der => list.der().to_vec(),
            Form::Pem => list.pem()?.into_bytes(),
        })
    }

    /// A client of the first authority, with a certificate of its own, that resumes nothing.
    pub fn client(&self) -> Outcome<Arc<ClientConfig>> {
        self.client_of(None)
    }

    /// A client that the list after [`Self::stage_list`] of more than `number` names.
    pub fn numbered_client(&self, number: u128) -> Outcome<Arc<ClientConfig>> {
        self.client_of(Some(serial(ENTRIES + 1 + number)))
    }

    fn client_of(&self, serial: Option<SerialNumber>) -> Outcome<Arc<ClientConfig>> {
        let key = KeyPair::generate()?;
        let chain = vec![self.sign("client", &key, serial)?.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn sign(
        &self,
        name: &str,
        key: &KeyPair,
        serial: Option<SerialNumber>,
    ) -> Outcome<Certificate> {
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        params.serial_number = serial;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(key, &self.authority)?)
    }
}

/// Spread over 16 bytes, as those of CAs are.
fn serial(number: u128) -> SerialNumber {
    let spread = number.wrapping_mul(0x2545_f491_4f6c_dd1d_8a5c_d789_635d_2dff) >> 1;
    SerialNumber::from_slice(&spread.to_be_bytes())
}

fn authority(name: &str) -> Outcome<Issuer> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// By rename, as most tools do.
fn replace(path: &Path, content: &[u8]) -> Outcome<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, content)?;
    Ok(std::fs::rename(fresh, path)?)
}
