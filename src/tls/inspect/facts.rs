//! What one certificate says, parsed once.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::certificate::{TbsCertificate, X509Certificate};
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;

use crate::identity::Identity;
use crate::tls::inspect::key::{self, KeyFacts};
use crate::tls::inspect::names;

/// What a certificate says of itself. Texts are as they stand in the certificate, DN in RFC 4514
/// form: print them through [`names::shown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// 1, 2 or 3.
    pub(crate) version: u32,
    /// Subject, issuer, names, serial, fingerprint and dates.
    pub(crate) identity: Identity,
    /// Other subject alternative names, such as `otherName` or ones that cannot be read.
    pub(crate) other_names: usize,
    /// The public key.
    pub(crate) key: KeyFacts,
    /// SHA-256 of the SubjectPublicKeyInfo in lower-case hexadecimal.
    pub(crate) spki_sha256: String,
    /// subjectKeyIdentifier: what certificates that it signed call its key.
    pub(crate) key_id: Option<Vec<u8>>,
    /// authorityKeyIdentifier: what it calls the key that signed it.
    pub(crate) issuer_key_id: Option<Vec<u8>>,
    /// Such as `ecdsa-with-SHA256`; an object identifier when unknown.
    pub(crate) signature_algorithm: String,
    /// First second of validity, Unix time.
    pub(crate) not_before: i64,
    /// Last second of validity, Unix time.
    pub(crate) not_after: i64,
    /// `CA` of basicConstraints; `None` without the extension.
    pub(crate) ca: Option<bool>,
    /// `None` without a keyUsage extension.
    pub(crate) key_usage: Option<Vec<&'static str>>,
    /// `None` without an extendedKeyUsage extension.
    pub(crate) purposes: Option<Vec<Purpose>>,
    /// Whether there is a nameConstraints extension.
    pub(crate) name_constraints: bool,
    /// Whether that one constrains URIs, such as SPIFFE ids.
    pub(crate) uri_constraints: bool,
    /// Object identifiers of critical extensions that path validation does not know.
    pub(crate) unknown_critical: Vec<String>,
    /// Whether the serial number is negative, which Go refuses.
    pub(crate) negative_serial: bool,
    /// Whether an extension could not be parsed.
    pub(crate) damaged_extension: Option<String>,
}

/// One value of extendedKeyUsage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// anyExtendedKeyUsage.
    Any,
    /// clientAuth.
    ClientAuth,
    /// Another one, by name or object identifier.
    Other(String),
    /// serverAuth.
    ServerAuth,
}

impl Purpose {
    /// The name that OpenSSL and RFC 5280 give it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Any => "anyExtendedKeyUsage",
            Self::ClientAuth => "clientAuth",
            Self::Other(name) => name,
            Self::ServerAuth => "serverAuth",
        }
    }
}

impl CertificateFacts {
    /// Whether it is in force at a time.
    pub(crate) fn holds_at(&self, unix_seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&unix_seconds)
    }

    /// Whether extendedKeyUsage is absent, or names this purpose or any.
    pub(crate) fn permits(&self, wanted: &Purpose) -> bool {
        match &self.purposes {
            None => true,
            Some(list) => list.iter().any(|one| one == wanted || *one == Purpose::Any),
        }
    }

    /// Whether keyUsage is absent or holds this bit, such as `keyCertSign`.
    pub(crate) fn key_may(&self, usage: &str) -> bool {
        self.key_usage.as_ref().is_none_or(|list| list.contains(&usage))
    }

    /// `CN=shop (issuer CN=ca, serial 3a, sha256 ...)`, escaped and capped.
    pub(crate) fn summary(&self) -> String {
        let identity = &self.identity;
        format!(
            "{} (issuer {}, serial {}, sha256 {})",
            named(&identity.subject),
            named(&identity.issuer),
            names::shown(&identity.serial),
            identity.sha256,
        )
    }
}

/// A distinguished name to be printed; says so when it is empty.
pub(crate) fn named(distinguished_name: &str) -> String {
    if distinguished_name.is_empty() {
        "an empty name".to_owned()
    } else {
        names::shown(distinguished_name)
    }
}

/// Reads the facts of a certificate in DER; `None` when it is not one.
pub(crate) fn describe(der: &[u8]) -> Option<CertificateFacts> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let tbs = &certificate.tbs_certificate;
    let mut facts = CertificateFacts {
        version: tbs.version.0.saturating_add(1),
        identity: identity(tbs, der),
        other_names: 0,
        key: key::describe(&tbs.subject_pki),
        spki_sha256: sha256_hex(tbs.subject_pki.raw),
        key_id: None,
        issuer_key_id: None,
        signature_algorithm: signature_name(
            &certificate.signature_algorithm.algorithm.to_id_string(),
        ),
        not_before: tbs.validity.not_before.timestamp(),
        not_after: tbs.validity.not_after.timestamp(),
        ca: None,
        key_usage: None,
        purposes: None,
        name_constraints: false,
        uri_constraints: false,
        unknown_critical: Vec::new(),
        negative_serial: tbs.raw_serial().first().is_some_and(|byte| byte & 0x80 != 0),
        damaged_extension: None,
    };
    for extension in tbs.iter_extensions() {
        facts.take_extension(extension);
    }
    Some(facts)
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

impl CertificateFacts {
    fn take_extension(&mut self, extension: &X509Extension<'_>) {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                self.ca = Some(constraints.ca);
                self.identity.may_sign |= constraints.ca;
            }
            ParsedExtension::KeyUsage(usage) => {
                self.identity.may_sign |= usage.key_cert_sign() || usage.crl_sign();
                self.key_usage = Some(
                    USAGES
                        .iter()
                        .filter(|(bit, _)| usage.flags & bit != 0)
                        .map(|(_, name)| *name)
                        .collect(),
                );
            }
            ParsedExtension::ExtendedKeyUsage(usage) => self.purposes = Some(purposes(usage)),
            ParsedExtension::SubjectAlternativeName(list) => {
                for name in &list.general_names {
                    self.take_name(name);
                }
            }
            ParsedExtension::NameConstraints(constraints) => {
                self.name_constraints = true;
                self.uri_constraints =
                    [&constraints.permitted_subtrees, &constraints.excluded_subtrees]
                        .into_iter()
                        .flatten()
                        .flatten()
                        .any(|subtree| matches!(subtree.base, GeneralName::URI(_)));
            }
            ParsedExtension::SubjectKeyIdentifier(id) if !extension.critical => {
                self.key_id = Some(id.0.to_vec());
            }
            ParsedExtension::AuthorityKeyIdentifier(authority) if !extension.critical => {
                self.issuer_key_id = authority.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::CertificatePolicies(_) => {}
            ParsedExtension::ParseError { .. } => {
                let oid = extension.oid.to_id_string();
                self.identity.unreadable_names |= oid == SUBJECT_ALT_NAME;
                self.identity.may_sign |= oid == BASIC_CONSTRAINTS || oid == KEY_USAGE;
                self.damaged_extension = Some(oid);
            }
            _ if extension.critical => self.unknown_critical.push(extension.oid.to_id_string()),
            _ => {}
        }
    }

    fn take_name(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(dns) => self.identity.dns.push((*dns).to_owned()),
            GeneralName::URI(uri) => self.identity.uris.push((*uri).to_owned()),
            GeneralName::RFC822Name(email) => self.identity.emails.push((*email).to_owned()),
            GeneralName::IPAddress(bytes) => match ip(bytes) {
                Some(ip) => self.identity.ips.push(ip),
                None => {
                    self.other_names += 1;
                    self.identity.unreadable_names = true;
                }
            },
            GeneralName::Invalid(..) => {
                self.other_names += 1;
                self.identity.unreadable_names = true;
            }
            _ => self.other_names += 1,
        }
    }
}

fn identity(tbs: &TbsCertificate<'_>, der: &[u8]) -> Identity {
    let (common_name, common_names) = names::common_names(&tbs.subject);
    Identity {
        subject: names::distinguished_name(&tbs.subject),
        issuer: names::distinguished_name(&tbs.issuer),
        common_name,
        common_names,
        serial: hex(without_sign_byte(tbs.raw_serial())),
        sha256: sha256_hex(der),
        not_before: system_time(tbs.validity.not_before.timestamp()),
        not_after: system_time(tbs.validity.not_after.timestamp()),
        ..Identity::nobody()
    }
}

fn purposes(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Vec<Purpose> {
    let other = |set: bool, name: &str| set.then(|| Purpose::Other(name.to_owned()));
    let known = [
        usage.any.then_some(Purpose::Any),
        usage.client_auth.then_some(Purpose::ClientAuth),
        usage.server_auth.then_some(Purpose::ServerAuth),
        other(usage.code_signing, "codeSigning"),
        other(usage.email_protection, "emailProtection"),
        other(usage.time_stamping, "timeStamping"),
        other(usage.ocsp_signing, "OCSPSigning"),
    ];
    let unknown = usage.other.iter().map(|oid| Purpose::Other(oid.to_id_string()));
    known.into_iter().flatten().chain(unknown).collect()
}

fn signature_name(oid: &str) -> String {
    match oid {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.113549.1.1.14" => "sha224WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        _ => oid,
    }
    .to_owned()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// DER puts a zero before a positive number whose first bit is set; nobody prints it.
fn without_sign_byte(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => serial,
    }
}

fn system_time(unix_seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(unix_seconds.unsigned_abs());
    let moved = if unix_seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    moved.unwrap_or(UNIX_EPOCH)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";

/// keyUsage bits as x509-parser holds them, with the names of RFC 5280.
const USAGES: [(u16, &str); 9] = [
    (1, "digitalSignature"),
    (1 << 1, "nonRepudiation"),
    (1 << 2, "keyEncipherment"),
    (1 << 3, "dataEncipherment"),
    (1 << 4, "keyAgreement"),
    (1 << 5, "keyCertSign"),
    (1 << 6, "cRLSign"),
    (1 << 7, "encipherOnly"),
    (1 << 8, "decipherOnly"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::TestPki;

    #[test]
    fn of_several_common_names_none_is_the_name_and_all_are_known() {
        let pki = TestPki::new();
        for (subject, one, several) in
            [("/CN=a", Some("a"), &[][..]), ("/CN=a/CN=b", None, &["a", "b"]), ("/O=a", None, &[])]
        {
            pki.openssl(&format!(
                "req -x509 -key client.key -outform DER -out a.der -days 9 -subj {subject}"
            ));
            let der = crate::tls::file::read(&pki.path("a.der")).unwrap();
            let identity = describe(&der).unwrap().identity;
            assert_eq!(identity.common_name.as_deref(), one, "{subject}");
            assert_eq!(identity.common_names, several, "{subject}");
        }
    }
}
