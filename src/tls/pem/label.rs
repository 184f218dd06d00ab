//! What a PEM block says it is.

use std::fmt;

use crate::tls::inspect;

/// The words between `-----BEGIN ` and `-----`, sorted by what they mean here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// `CERTIFICATE`.
    Certificate,
    /// `CERTIFICATE REQUEST`, `NEW CERTIFICATE REQUEST`.
    CertificateRequest,
    /// `X509 CRL`.
    Crl,
    /// `EC PARAMETERS`, `DH PARAMETERS`: nothing that anyone needs.
    Parameters,
    /// A private key behind a password, by its words.
    EncryptedKey(&'static str),
    /// Anything else, by its words.
    Other(String),
    /// A private key.
    PrivateKey(KeyForm),
    /// `PUBLIC KEY`, `RSA PUBLIC KEY`.
    PublicKey,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// `RSA PRIVATE KEY`.
    Pkcs1,
    /// `PRIVATE KEY`.
    Pkcs8,
    /// `EC PRIVATE KEY`.
    Sec1,
}

impl Label {
    pub(super) fn new(words: &str, encrypted: bool) -> Self {
        match words {
            "CERTIFICATE" => Self::Certificate,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::CertificateRequest,
            "X509 CRL" => Self::Crl,
            "EC PARAMETERS" | "DH PARAMETERS" => Self::Parameters,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedKey("ENCRYPTED PRIVATE KEY"),
            "RSA PRIVATE KEY" if encrypted => Self::EncryptedKey("RSA PRIVATE KEY"),
            "EC PRIVATE KEY" if encrypted => Self::EncryptedKey("EC PRIVATE KEY"),
            "RSA PRIVATE KEY" => Self::PrivateKey(KeyForm::Pkcs1),
            "PRIVATE KEY" => Self::PrivateKey(KeyForm::Pkcs8),
            "EC PRIVATE KEY" => Self::PrivateKey(KeyForm::Sec1),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::PublicKey,
            other => Self::Other(inspect::shown(other)),
        }
    }

    /// Whether it is a secret, readable or not.
    pub(crate) fn is_private_key(&self) -> bool {
        matches!(self, Self::PrivateKey(_) | Self::EncryptedKey(_))
            || matches!(self, Self::Other(words) if words.contains("PRIVATE KEY"))
    }

    /// How to make it what is wanted, for the labels that people bring by mistake.
    pub(crate) fn mend(&self) -> &'static str {
        match self {
            Self::EncryptedKey(_) => {
                "a gateway starts without anyone to type a password: write the key without one, \
                 `openssl pkey -in key.pem -out plain.pem`, and protect the file by its mode"
            }
            Self::Other(words) => match words.as_str() {
                "TRUSTED CERTIFICATE" => {
                    "OpenSSL's own form; rewrite it: `openssl x509 -in FILE -out plain.crt`"
                }
                "X509 CERTIFICATE" => {
                    "an old spelling; rewrite it: `openssl x509 -in FILE -out plain.crt`"
                }
                "PKCS7" => "unpack it: `openssl pkcs7 -print_certs -in FILE -out certificates.pem`",
                "OPENSSH PRIVATE KEY" => {
                    "an SSH key; TLS needs one of its own, with a certificate for it"
                }
                "TSS2 PRIVATE KEY" => "keys inside a TPM are not supported: use a key in a file",
                _ => "",
            },
            Self::CertificateRequest => {
                "a request becomes a certificate when a CA signs it: name the file the CA gave back"
            }
            Self::PublicKey => "the private key is wanted, the file it was made from",
            _ => "",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "CERTIFICATE",
            Self::CertificateRequest => "CERTIFICATE REQUEST",
            Self::Crl => "X509 CRL",
            Self::Parameters => "PARAMETERS",
            Self::EncryptedKey("ENCRYPTED PRIVATE KEY") => "ENCRYPTED PRIVATE KEY",
            Self::EncryptedKey(words) => return write!(f, "{words} (encrypted)"),
            Self::Other(words) => words,
            Self::PrivateKey(KeyForm::Pkcs1) => "RSA PRIVATE KEY",
            Self::PrivateKey(KeyForm::Pkcs8) => "PRIVATE KEY",
            Self::PrivateKey(KeyForm::Sec1) => "EC PRIVATE KEY",
            Self::PublicKey => "PUBLIC KEY",
        })
    }
}
