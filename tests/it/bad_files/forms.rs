//! Files in another form than the one that is read, as `openssl` writes them.

use std::fs;
use std::path::PathBuf;

use super::rows::{Row, converted, row};
use super::scene::Scene;

pub(super) fn keys() -> Vec<Row> {
    vec![
        converted(
            "key-encrypted",
            "own.key",
            [
                "key_encrypted",
                "is encrypted (ENCRYPTED PRIVATE KEY)",
                "openssl pkey -in key.pem -out plain.pem",
            ],
            "pkcs8 -topk8 -in server.key -passout pass:x",
        ),
        converted(
            "key-old-encrypted",
            "own.key",
            [
                "key_encrypted",
                "is encrypted (EC PRIVATE KEY (encrypted))",
                "openssl pkey -in key.pem -out plain.pem",
            ],
            "ec -in server.key -aes256 -passout pass:x",
        ),
        converted(
            "key-p224",
            "own.key",
            ["key_unsupported", "is a key of kind EC P-224", "ECDSA on P-256, P-384 or P-521"],
            "ecparam -name secp224r1 -genkey -noout",
        ),
        converted(
            "key-short",
            "own.key",
            ["key_unsupported", "is a key of kind RSA 1024", "RSA from 2048 to 8192 bits"],
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        ),
        converted(
            "key-ed448",
            "own.key",
            ["key_unsupported", "is a key of kind Ed448", "and have a certificate issued for it"],
            "genpkey -algorithm ed448",
        ),
        converted(
            "key-public",
            "own.key",
            [
                "key_is_public",
                "has no private key (found: 1 PUBLIC KEY)",
                "the private key is wanted",
            ],
            "pkey -in server.key -pubout",
        ),
        row(
            "key-two",
            "own.key",
            ["key_ambiguous", "has 2 private keys; which one", "leave one in the file"],
            |scene, path| {
                let both = scene.pki.server.key_pem() + &scene.pki.client.key_pem();
                fs::write(path, both).unwrap();
            },
        ),
    ]
}

pub(super) fn certificates() -> Vec<Row> {
    vec![
        converted(
            "cert-der",
            "own.crt",
            ["own_cert_no_pem", "is a certificate in DER form", "`openssl x509 -inform DER"],
            "x509 -in server.crt -outform DER",
        ),
        converted(
            "cert-trusted",
            "own.crt",
            ["own_cert_other", "TRUSTED CERTIFICATE", "openssl x509 -in"],
            "x509 -in server.crt -trustout",
        ),
        converted(
            "cert-store",
            "own.crt",
            ["own_cert_no_pem", "is a PKCS#12 store (.p12, .pfx)", "`openssl pkcs12 -in FILE"],
            "pkcs12 -export -in server.crt -inkey server.key -passout pass:x",
        ),
        row(
            "cert-is-key",
            "own.crt",
            ["own_cert_is_key", "PRIVATE KEY", "swapped"],
            |scene, path| fs::write(path, scene.pki.server.key_pem()).unwrap(),
        ),
        converted(
            "cert-secret",
            "own.crt",
            ["own_cert_no_pem", "is base64 of PEM, as in a Kubernetes Secret", "`base64 -d FILE"],
            "base64 -A -in server.crt",
        ),
        row(
            "ca-glued",
            "ca.crt",
            [
                "pem_glued",
                "has a PEM marker in the middle of line",
                "join with `awk 1 a.pem b.pem`",
            ],
            glued,
        ),
        converted(
            "ca-der",
            "ca.crt",
            ["ca_no_pem", "is a certificate in DER form", "`openssl x509 -inform DER"],
            "x509 -in ca.crt -outform DER",
        ),
    ]
}

/// Two bundles, joined without a line break between them.
fn glued(scene: &Scene, path: PathBuf) {
    let first = scene.pki.ca.pem();
    fs::write(path, first.trim_end().to_owned() + &scene.pki.other_ca.pem()).unwrap();
}
