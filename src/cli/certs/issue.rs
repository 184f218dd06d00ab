//! Makes authorities and leaf certificates. Pure: touches no file.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, RsaKeySize, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::cli::certs::signer;
use crate::config::types::Redacted;

/// Kinds of key that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeyType {
    /// Ed25519; some SDKs cannot use it.
    Ed25519,
    /// ECDSA on P-256: small, fast, understood by everything.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA with 2048 bits, for what cannot do ECDSA; slow handshakes.
    Rsa,
}

/// Which side of a connection a leaf is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Identifies a sender.
    Client,
    /// Identifies a listener.
    Server,
}

/// What a leaf certificate shall say.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// Extended key usage.
    pub(crate) usage: Usage,
    /// Subject common name.
    pub(crate) common_name: String,
    /// Subject alternative names.
    pub(crate) names: Vec<SanType>,
    /// Kind of key.
    pub(crate) key_type: KeyType,
    /// Validity; cut to the authority's.
    pub(crate) days: u32,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// `CERTIFICATE`.
    pub(crate) cert_pem: String,
    /// `PRIVATE KEY` (PKCS#8).
    pub(crate) key_pem: Redacted<String>,
    /// Last instant of validity.
    pub(crate) not_after: OffsetDateTime,
    /// Whether the authority ends before the days asked for.
    pub(crate) cut_to_authority: bool,
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    /// The library refused.
    #[error("cannot make the certificate")]
    Make(#[from] rcgen::Error),
    /// The authority's key file holds something else.
    #[error("the authority's key cannot be used; it must be an unencrypted PEM key (PKCS#8)")]
    AuthorityKey(#[source] rcgen::Error),
    /// The authority's certificate file holds something else.
    #[error("the authority's certificate is not a PEM certificate")]
    AuthorityCertificate,
    /// The library cannot write such a name.
    #[error("the authority's name has a form that cannot be repeated here; sign with openssl")]
    AuthorityName,
    /// The authority's certificate is not one of an authority.
    #[error("the signing certificate is not one of an authority (basicConstraints CA is not set)")]
    NotAnAuthority,
    /// Two files of two authorities.
    #[error("the authority's key does not belong to its certificate")]
    KeyMismatch,
    /// Nothing it signed would be valid.
    #[error("the authority's certificate ended on {ended}; make a new authority")]
    Expired {
        /// When.
        ended: OffsetDateTime,
    },
}

/// Something that signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    not_after: OffsetDateTime,
}

impl Authority {
    /// A new authority and its files.
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub(crate) fn create(
        common_name: &str,
        key_type: KeyType,
        days: u32,
    ) -> Result<(Self, Pair), IssueError> {
        let key = key_type.generate()?;
        let mut params = params(common_name, days);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let not_after = params.not_after;
        let certificate = params.self_signed(&key)?;
        let pair = Pair {
            cert_pem: certificate.pem(),
            key_pem: Redacted::new(key.serialize_pem()),
            not_after,
            cut_to_authority: false,
        };
        Ok((Self { issuer: Issuer::new(params, key), not_after }, pair))
    }

    /// The authority of a certificate and its key, both PEM. The first certificate counts.
    ///
    /// # Errors
    ///
    /// When they cannot be read, do not belong together, or the certificate may not sign.
    pub(crate) fn load(cert_pem: &str, key_pem: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key_pem).map_err(IssueError::AuthorityKey)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(cert_pem.as_bytes())
            .map_err(|_not_pem| IssueError::AuthorityCertificate)?;
        let certificate = pem.parse_x509().map_err(|_not_der| IssueError::AuthorityCertificate)?;
        if !certificate.is_ca() {
            return Err(IssueError::NotAnAuthority);
        }
        if certificate.public_key().raw != key.subject_public_key_info().as_slice() {
            return Err(IssueError::KeyMismatch);
        }
        let not_after = certificate.validity().not_after.to_datetime();
        if not_after <= OffsetDateTime::now_utc() {
            return Err(IssueError::Expired { ended: not_after });
        }
        let params = signer::params(&certificate).ok_or(IssueError::AuthorityName)?;
        Ok(Self { issuer: Issuer::new(params, key), not_after })
    }

    /// A new leaf certificate with a new key.
    ///
    /// # Errors
    ///
    /// When no key can be made or the authority's key cannot sign.
    pub(crate) fn issue(&self, leaf: &Leaf) -> Result<Pair, IssueError> {
        let key = leaf.key_type.generate()?;
        let mut params = params(&leaf.common_name, leaf.days);
        let cut_to_authority = params.not_after > self.not_after;
        params.not_after = params.not_after.min(self.not_after);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if leaf.key_type == KeyType::Rsa && leaf.usage == Usage::Server {
            // For the RSA key exchange of old peers; harmless beside ECDHE.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![match leaf.usage {
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.subject_alt_names.clone_from(&leaf.names);
        let not_after = params.not_after;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            cert_pem: certificate.pem(),
            key_pem: Redacted::new(key.serialize_pem()),
            not_after,
            cut_to_authority,
        })
    }
}

impl KeyType {
    fn generate(self) -> Result<KeyPair, rcgen::Error> {
        match self {
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Rsa => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        }
    }
}

fn params(common_name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    let now = OffsetDateTime::now_utc();
    // Clocks of peers are a little behind now and then.
    params.not_before = now - Duration::minutes(5);
    params.not_after = now + Duration::days(i64::from(days));
    params
}
