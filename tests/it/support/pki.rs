//! Certificates for tests, made fresh for each: two unrelated CAs, leaves of both, and whatever a
//! test wants beside them. Shared by the integration tests and the crate's own unit tests.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    reason = "a fixture that cannot be made fails its test"
)]

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tempfile::TempDir;

/// A folder with `ca.crt`, `server.{crt,key}` (for `localhost`, `127.0.0.1`, `::1`),
/// `client.{crt,key}` of that CA, and `other-ca.crt`, `other-server.{crt,key}`,
/// `other-client.{crt,key}` of another one. It is removed with the value.
#[derive(Debug)]
pub struct TestPki {
    dir: TempDir,
    /// Issuer of `server` and `client`.
    pub ca: Ca,
    /// Certificate for `localhost`.
    pub server: Leaf,
    /// Client certificate `CN=test-client`, SPIFFE id `spiffe://test.example/client`.
    pub client: Leaf,
    /// A CA that has nothing to do with the first.
    pub other_ca: Ca,
    /// Certificate for `localhost` of the other CA.
    pub other_server: Leaf,
    /// Client certificate `CN=other-client` of the other CA.
    pub other_client: Leaf,
}

/// A certificate authority.
#[derive(Debug)]
pub struct Ca {
    /// Its own certificate.
    pub certificate: Certificate,
    /// With its key, ready to sign.
    pub issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub key: KeyPair,
}

impl TestPki {
    /// Makes everything and writes it.
    pub fn new() -> Self {
        let ca = Ca::new("Test CA");
        let other_ca = Ca::new("Other CA");
        let server = ca.issue(server_params(&["localhost", "127.0.0.1", "::1"]));
        let other_server = other_ca.issue(server_params(&["localhost", "127.0.0.1", "::1"]));
        let mut params = client_params("test-client");
        let id = "spiffe://test.example/client".try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(id));
        let client = ca.issue(params);
        let other_client = other_ca.issue(client_params("other-client"));
        let pki = Self {
            dir: tempfile::tempdir().unwrap(),
            ca,
            server,
            client,
            other_ca,
            other_server,
            other_client,
        };
        pki.write("ca.crt", pki.ca.pem());
        pki.write("other-ca.crt", pki.other_ca.pem());
        pki.write_pair("server", &pki.server);
        pki.write_pair("client", &pki.client);
        pki.write_pair("other-server", &pki.other_server);
        pki.write_pair("other-client", &pki.other_client);
        pki
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file of the folder, whether it exists or not.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the folder and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub fn write_pair(&self, name: &str, leaf: &Leaf) {
        self.write(&format!("{name}.crt"), leaf.cert_pem());
        self.write(&format!("{name}.key"), leaf.key_pem());
    }
}

impl Default for TestPki {
    fn default() -> Self {
        Self::new()
    }
}

impl Ca {
    /// A root with `CN=name`, ECDSA P-256.
    pub fn new(name: &str) -> Self {
        Self::self_signed(ca_params(name))
    }

    /// A root as described.
    pub fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A CA below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let params = ca_params(name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Signs a leaf with a fresh P-256 key.
    pub fn issue(&self, params: CertificateParams) -> Leaf {
        self.issue_for(params, KeyPair::generate().unwrap())
    }

    /// Signs a leaf for a key.
    pub fn issue_for(&self, params: CertificateParams, key: KeyPair) -> Leaf {
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its revocation list with this number in PEM, in force for so long from now (or until then).
    pub fn list(&self, number: u64, revoked: &[u64], left: time::Duration) -> String {
        let now = time::OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        });
        CertificateRevocationListParams {
            this_update: now - time::Duration::days(2),
            next_update: now + left,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .unwrap()
        .pem()
        .unwrap()
    }
}

impl Leaf {
    /// The certificate in PEM.
    pub fn cert_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key in PKCS#8 PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// A root's parameters.
pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A server leaf for names and addresses.
pub fn server_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = distinguished_name("test-server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A client leaf with `CN=name`.
pub fn client_params(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(name);
    params
}

fn distinguished_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}
