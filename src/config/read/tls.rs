//! `tls` blocks (contract 1).

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::node::{Origin, Value};
use crate::config::read::section::Section;
use crate::config::read::{mend, revocation};
use crate::config::sections::{ClientTls, ServerTls, TlsCommon};
use crate::config::types::{CipherSuite, Curve, Pem, PemSource, Redacted, TlsVersion};

/// A receiver's block; the section is there, so TLS is on.
pub(super) fn server(tls: &Section<'_>) -> ServerTls {
    listener(tls, true)
}

/// The block of a page about the gateway. Its documented sample has a `ca_file`, which the Collector
/// does not use: nobody is verified there, and no data comes in.
pub(super) fn page(tls: &Section<'_>) -> ServerTls {
    listener(tls, false)
}

fn listener(tls: &Section<'_>, is_receiver: bool) -> ServerTls {
    let common = common(tls);
    if common.cert.is_none() && common.key.is_none() && !tls.has("cert_file") {
        tls.error_help(
            "",
            "tls_no_certificate",
            "TLS configuration must include both certificate and key for server connections",
            "add cert_file and key_file; `portcullis certs server` makes a pair",
        );
    }
    let client_ca = client_ca(tls);
    if common.ca.is_some() {
        let key = if tls.has("ca_file") { "ca_file" } else { "ca_pem" };
        if client_ca.is_some() || !is_receiver {
            tls.warn(
                key,
                "no_effect",
                "has no effect on a server: client certificates are verified with client_ca_file",
                "remove it",
            );
        } else {
            tls.error_help(
                key,
                "tls_nobody_verified",
                "a receiver does not use ca_file, so no client certificate would be demanded",
                "did you mean client_ca_file, which demands and verifies them?",
            );
        }
    }
    let client_ca_file_reload = tls.boolean("client_ca_file_reload").unwrap_or(false);
    if client_ca_file_reload && client_ca.is_none() {
        tls.warn("client_ca_file_reload", "no_effect", "has no effect without client_ca_file", "");
    }
    if common.include_system_ca_certs_pool {
        let key = "include_system_ca_certs_pool";
        if client_ca.is_some() {
            tls.warn(
                key,
                "tls_public_clients",
                "a client certificate of any public CA would be let in, too",
                "remove it unless that is meant",
            );
        } else {
            tls.warn(key, "no_effect", "has no effect without client_ca_file", "");
        }
    }
    let strict_x509 = tls.boolean("strict_x509").unwrap_or(false);
    let mut server =
        ServerTls { common, client_ca, client_ca_file_reload, strict_x509, ..ServerTls::default() };
    revocation::of_clients(tls, &mut server);
    server
}

/// Its presence is the gate: when it is there and empty, the operator wanted one.
fn client_ca(tls: &Section<'_>) -> Option<Pem> {
    let node = tls.raw("client_ca_file")?;
    let text = match &node.value {
        Value::Null => String::new(),
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => tls.string("client_ca_file")?,
    };
    if text.is_empty() {
        tls.error_help(
            "client_ca_file",
            "empty",
            "is empty, so no client certificate would be demanded",
            "name the CA of the clients, or remove the key to let everybody in",
        );
        return None;
    }
    Some(Pem {
        source: PemSource::File(PathBuf::from(text)),
        key_path: Arc::from(tls.path_of("client_ca_file")),
    })
}

/// A client's block, which may be absent.
pub(super) fn client(tls: &Section<'_>) -> ClientTls {
    let common = common(tls);
    let insecure = tls.boolean("insecure").unwrap_or(false);
    let insecure_skip_verify = tls.boolean("insecure_skip_verify").unwrap_or(false);
    let server_name_override = tls.string("server_name_override").filter(|text| !text.is_empty());
    if insecure && common.ca.is_some() {
        tls.warn(
            "insecure",
            "no_effect",
            "has no effect beside a CA: the connection is TLS and verified",
            "remove one of the two",
        );
    }
    if common.include_system_ca_certs_pool && common.ca.is_none() {
        let why = "has no effect without ca_file: the system's roots are used anyway";
        tls.warn("include_system_ca_certs_pool", "no_effect", why, "");
    }
    if insecure_skip_verify && (!insecure || common.ca.is_some()) {
        tls.warn(
            "insecure_skip_verify",
            "tls_unverified",
            "the upstream is not verified: anyone on the path can read and change everything",
            "name its CA with ca_file instead",
        );
    }
    let crl = revocation::lists(tls, "crl_file");
    let revocation = revocation::policy(tls, "crl_file", !crl.is_empty());
    if !crl.is_empty() && insecure_skip_verify {
        let help = "remove insecure_skip_verify, or crl_file";
        let message = "looks nobody up beside insecure_skip_verify: the upstream is not verified";
        tls.error_help("crl_file", "contradiction", message, help);
    } else if !crl.is_empty() && insecure && common.ca.is_none() {
        tls.warn("crl_file", "no_effect", "has no effect: the connection is not TLS", "");
    }
    ClientTls { common, insecure, insecure_skip_verify, server_name_override, crl, revocation }
}

fn common(tls: &Section<'_>) -> TlsCommon {
    let ca = pem(tls, "ca", "provide either a CA file or the PEM-encoded string, but not both");
    let cert = pem(tls, "cert", "provide either certificate file or PEM, but not both");
    let key = pem(tls, "key", "provide either key file or PEM, but not both");
    if cert.is_some() != key.is_some() {
        let (there, missing) =
            if cert.is_some() { ("cert", "key_file") } else { ("key", "cert_file") };
        let there = if tls.has(&format!("{there}_file")) {
            format!("{there}_file")
        } else {
            format!("{there}_pem")
        };
        tls.error_help(
            &there,
            "tls_half_pair",
            "TLS configuration must include both certificate and key (CertFile/CertPem and \
             KeyFile/KeyPem)",
            format!("add {missing}"),
        );
    }
    let min_version = version(tls, "min_version");
    let max_version = version(tls, "max_version");
    if min_version.is_some() && max_version.is_some() && min_version > max_version {
        tls.error(
            "min_version",
            "tls_version",
            "invalid TLS configuration: min_version cannot be greater than max_version",
        );
    }
    tls.boolean("include_insecure_cipher_suites");
    tpm(tls);
    TlsCommon {
        ca,
        cert,
        key,
        include_system_ca_certs_pool: tls.boolean("include_system_ca_certs_pool").unwrap_or(false),
        min_version,
        max_version,
        cipher_suites: cipher_suites(tls, min_version, max_version),
        curve_preferences: curves(tls),
        reload_interval: tls.duration("reload_interval"),
    }
}

fn tpm(tls: &Section<'_>) {
    let wanted = tls.section("tpm", |tpm| {
        for key in ["path", "owner_auth", "auth"] {
            tpm.string(key);
        }
        tpm.boolean("enabled").unwrap_or(false)
    });
    if wanted {
        tls.error_help(
            "tpm",
            "tls_tpm",
            "keys inside a TPM are not supported",
            "use key_file with a PEM key, readable by this process alone",
        );
    }
}

/// `<name>_file` or `<name>_pem`.
fn pem(tls: &Section<'_>, name: &str, both: &str) -> Option<Pem> {
    let (file_key, pem_key) = (format!("{name}_file"), format!("{name}_pem"));
    let file = material(tls, &file_key);
    let inline = material(tls, &pem_key);
    match (file, inline) {
        (Some(path), inline) => {
            if inline.is_some() {
                tls.error(&pem_key, "tls_both", both);
            }
            Some(Pem {
                source: PemSource::File(PathBuf::from(path)),
                key_path: Arc::from(tls.path_of(&file_key)),
            })
        }
        (None, Some(text)) => Some(Pem {
            source: PemSource::Inline(Redacted::new(text)),
            key_path: Arc::from(tls.path_of(&pem_key)),
        }),
        (None, None) => None,
    }
}

/// A path or text. A written `""` is no value, as in the Collector; an empty variable is a mistake.
fn material(tls: &Section<'_>, key: &str) -> Option<String> {
    let origin = tls.raw(key).map(|node| &node.origin);
    let text = tls.string(key)?;
    if text.is_empty() && origin.is_some_and(|origin| *origin != Origin::Written) {
        tls.error_help(
            key,
            "empty",
            "comes from a ${...} that is empty",
            "set the variable, or remove the key",
        );
        return None;
    }
    (!text.is_empty()).then_some(text)
}

fn version(tls: &Section<'_>, key: &str) -> Option<TlsVersion> {
    let text = tls.string(key)?;
    match text.as_str() {
        "" => None,
        "1.2" => Some(TlsVersion::V12),
        "1.3" => Some(TlsVersion::V13),
        "1.0" | "1.1" => {
            let help = "use \"1.2\" or \"1.3\"; every supported OpenTelemetry SDK speaks 1.2";
            let message = format!("TLS {text} is broken (RFC 8996) and not offered");
            tls.error_help(key, "tls_version", message, help);
            None
        }
        _ => {
            let message = format!("invalid TLS {key}: unsupported TLS version: {text:?}");
            tls.error_help(key, "tls_version", message, "use \"1.2\" or \"1.3\"");
            None
        }
    }
}

fn curves(tls: &Section<'_>) -> Vec<Curve> {
    let mut curves = Vec::new();
    for text in tls.strings("curve_preferences").unwrap_or_default() {
        if let Some((_, curve)) = CURVES.iter().find(|(name, _)| *name == text) {
            if !curves.contains(curve) {
                curves.push(*curve);
            }
            continue;
        }
        let known = CURVES.map(|(name, _)| name).join(", ");
        let (message, help) = if text == "P521" {
            ("P521 is not offered for key exchange".to_owned(), format!("use one of: {known}"))
        } else {
            let help = mend::nearest(&text, CURVES.iter().map(|(name, _)| *name)).map_or_else(
                || format!("use one of: {known}"),
                |name| format!("did you mean {name:?}?"),
            );
            (format!("invalid curve type: {text:?}"), help)
        };
        tls.error_help("curve_preferences", "tls_curve", message, help);
    }
    curves
}

fn cipher_suites(
    tls: &Section<'_>,
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
) -> Vec<CipherSuite> {
    let texts = tls.strings("cipher_suites").unwrap_or_default();
    let mut suites = Vec::new();
    for text in &texts {
        if let Some((_, suite)) = SUITES.iter().find(|(name, _)| name == text) {
            if !suites.contains(suite) {
                suites.push(*suite);
            }
            continue;
        }
        let (message, help) = if UNSUPPORTED_SUITES.contains(&text.as_str()) {
            (
                format!("{text} is not offered: CBC, RC4, 3DES and RSA key exchange are unsafe"),
                "use a suite with ECDHE and GCM or CHACHA20_POLY1305".to_owned(),
            )
        } else {
            let help = mend::nearest(text, SUITES.iter().map(|(name, _)| *name)).map_or_else(
                || "names are as Go spells them".to_owned(),
                |name| format!("did you mean {name:?}?"),
            );
            (format!("invalid TLS cipher suite: {text:?}"), help)
        };
        tls.error_help("cipher_suites", "tls_cipher_suite", message, help);
    }
    let only_13 = suites.iter().all(|suite| {
        matches!(
            suite,
            CipherSuite::Tls13Aes128GcmSha256
                | CipherSuite::Tls13Aes256GcmSha384
                | CipherSuite::Tls13Chacha20Poly1305Sha256
        )
    });
    if !suites.is_empty() && suites.len() == texts.len() {
        if only_13 && max == Some(TlsVersion::V12) {
            let message = "no suite of TLS 1.2 is left, and max_version allows nothing else";
            tls.error("cipher_suites", "tls_cipher_suite", message);
        }
        if min == Some(TlsVersion::V13) {
            let why = "the suites of TLS 1.3 are always offered";
            tls.warn("cipher_suites", "no_effect", format!("has no effect: {why}"), "");
        }
    }
    suites
}

const CURVES: [(&str, Curve); 4] = [
    ("X25519MLKEM768", Curve::X25519MlKem768),
    ("X25519", Curve::X25519),
    ("P256", Curve::P256),
    ("P384", Curve::P384),
];

const SUITES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", CipherSuite::Tls13Aes128GcmSha256),
    ("TLS_AES_256_GCM_SHA384", CipherSuite::Tls13Aes256GcmSha384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::Tls13Chacha20Poly1305Sha256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::EcdheEcdsaAes128GcmSha256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::EcdheRsaAes128GcmSha256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::EcdheEcdsaAes256GcmSha384),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::EcdheRsaAes256GcmSha384),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::EcdheEcdsaChacha20Poly1305Sha256,
    ),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::EcdheRsaChacha20Poly1305Sha256),
];

/// What Go knows beyond these (contract 1.3).
const UNSUPPORTED_SUITES: [&str; 16] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];
