//! Two authorities and the certificates of everyone who takes part, all ECDSA P-256.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Outcome;

/// Files for the gateways, configurations for load and sink.
pub struct Pki {
    folder: tempfile::TempDir,
    client: Leaf,
    sink: Leaf,
    clients_ca: CertificateDer<'static>,
    sink_ca: CertificateDer<'static>,
}

struct Leaf {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

impl Pki {
    /// Makes everything.
    pub fn new() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let clients_ca = authority("clients")?;
        let sink_ca = authority("sinks")?;
        let path = folder.path();
        std::fs::write(path.join("clients-ca.crt"), clients_ca.pem())?;
        std::fs::write(path.join("sink-ca.crt"), sink_ca.pem())?;
        leaf(&clients_ca, "gateway", path)?;
        leaf(&sink_ca, "upstream", path)?;
        Ok(Self {
            client: leaf(&clients_ca, "client", path)?,
            sink: leaf(&sink_ca, "sink", path)?,
            clients_ca: clients_ca.der().clone(),
            sink_ca: sink_ca.der().clone(),
            folder,
        })
    }

    /// Where the files are.
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A client that demands a full handshake each time.
    pub fn client(&self, protocol: &str) -> Outcome<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.clients_ca.clone())?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![self.client.certificate.clone()], self.client.key())?;
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// The sink, which demands the gateway's certificate.
    pub fn sink(&self) -> Outcome<Arc<ServerConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.sink_ca.clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.sink.certificate.clone()], self.sink.key())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Leaf {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

/// One suite and one group, so that every gateway does the same work.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![kx_group::X25519],
        ..default_provider()
    })
}

fn authority(name: &str) -> Outcome<Issuer> {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A name for each: OpenSSL takes a certificate with its issuer's name for a self-signed one.
fn called(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn leaf(issuer: &Issuer, name: &str, folder: &Path) -> Outcome<Leaf> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.distinguished_name = called(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer)?;
    let (text, secret) = (certificate.pem(), key.serialize_pem());
    std::fs::write(folder.join(format!("{name}.crt")), &text)?;
    std::fs::write(folder.join(format!("{name}.key")), &secret)?;
    std::fs::write(folder.join(format!("{name}.pem")), text + &secret)?;
    Ok(Leaf { certificate: certificate.der().clone(), key: key.serialize_der() })
}
