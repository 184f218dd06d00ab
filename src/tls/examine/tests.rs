//! Files as people have them, made with `openssl`.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::tls::testing::TestPki;

fn reasons(pki: &TestPki, file: &str) -> Vec<&'static str> {
    examine(&pki.path(file)).complaints.iter().map(|complaint| complaint.reason).collect()
}

fn only(pki: &TestPki, file: &str) -> Complaint {
    let mut complaints = examine(&pki.path(file)).complaints;
    assert_eq!(complaints.len(), 1, "{file}: {complaints:?}");
    complaints.remove(0)
}

fn close(pki: &TestPki, file: &str) {
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(pki.path(file), mode).unwrap();
}

#[test]
fn sound_files_have_no_complaints() {
    let pki = TestPki::new();
    for file in ["ca.crt", "server.crt", "client.crt"] {
        assert_eq!(reasons(&pki, file), [""; 0], "{file}");
    }
    close(&pki, "server.key");
    assert_eq!(reasons(&pki, "server.key"), [""; 0]);
    let windows = pki.server.cert_pem().replace('\n', "\r\n");
    pki.write("windows.crt", windows);
    assert_eq!(reasons(&pki, "windows.crt"), [""; 0]);
}

/// Name, extensions, further words, and the one complaint.
const LEAVES: [(&str, &str, &str, &str); 7] = [
    ("v1", "", "", "cert_x509_v1"),
    ("sha1", "basicConstraints=CA:FALSE", "-sha1", "cert_signature_algorithm"),
    ("email", "extendedKeyUsage=emailProtection", "", "own_cert_eku"),
    ("nameless", "extendedKeyUsage=serverAuth", "", "own_cert_no_names"),
    ("odd", "1.2.3.4=critical,ASN1:UTF8String:x", "", "cert_extension"),
    ("selfish", "basicConstraints=CA:TRUE\nsubjectAltName=DNS:a", "", "cert_is_ca"),
    ("old", "basicConstraints=CA:FALSE", "-days -1", "cert_expired"),
];

#[test]
fn leaves_that_somebody_refuses_are_explained() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    for (name, extensions, more, expected) in LEAVES {
        pki.openssl_request(name);
        pki.openssl_sign(name, "my-ca", extensions, more);
        let complaint = only(&pki, &format!("{name}.crt"));
        assert_eq!(complaint.reason, expected, "{name}");
        assert!(complaint.serious && !complaint.help.is_empty(), "{name}: {complaint:?}");
    }
    pki.openssl("req -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj /CN=weak");
    pki.openssl_sign("weak", "my-ca", "basicConstraints=CA:FALSE", "");
    assert!(only(&pki, "weak.crt").message.contains("1024 bits"));
}

#[test]
fn files_of_another_kind_are_named_with_the_command_that_converts_them() {
    let pki = TestPki::new();
    pki.openssl("pkcs8 -topk8 -in server.key -out encrypted.key -passout pass:secret");
    pki.openssl("x509 -in server.crt -outform DER -out der.crt");
    pki.openssl("x509 -in server.crt -trustout -addtrust serverAuth -out trusted.crt");
    pki.openssl("pkcs12 -export -in server.crt -inkey server.key -out s.p12 -passout pass:secret");
    pki.openssl("pkey -in server.key -pubout -out public.pem");
    pki.openssl_request("asked");
    pki.write("marked.crt", [b"\xef\xbb\xbf", pki.server.cert_pem().as_bytes()].concat());
    pki.write("empty.crt", "");
    pki.write("cut.crt", &pki.server.cert_pem()[..200]);
    for (file, reason, mend) in [
        ("encrypted.key", "key_encrypted", "openssl pkey -in"),
        ("der.crt", "pem_der", "openssl x509 -inform DER"),
        ("trusted.crt", "pem_other", "openssl x509 -in FILE -out plain.crt"),
        ("s.p12", "pem_der", "openssl pkcs12 -in FILE"),
        ("public.pem", "key_is_public", "the private key is wanted"),
        ("asked.csr", "cert_request", "the file the CA gave back"),
        ("marked.crt", "pem_bom", "sed -i"),
        ("empty.crt", "pem_empty", "has not written it yet"),
        ("cut.crt", "pem_truncated", "copy the file again"),
        ("missing.crt", "file_missing", ""),
    ] {
        let complaint = only(&pki, file);
        assert_eq!(complaint.reason, reason, "{file}");
        assert!(complaint.help.contains(mend), "{file}: {complaint:?}");
    }
    assert!(matches!(&examine(&pki.path("der.crt")).items[0].kind, Kind::Certificate(facts)
            if facts.identity.subject == "CN=test-server"));
}

#[test]
fn swapped_reversed_and_open_files_are_noticed() {
    let pki = TestPki::new();
    pki.write("swapped.key", pki.server.cert_pem());
    assert_eq!(reasons(&pki, "swapped.key"), ["key_is_certificate"]);
    pki.write("swapped.crt", pki.server.key_pem());
    close(&pki, "swapped.crt");
    assert_eq!(reasons(&pki, "swapped.crt"), ["cert_is_key"]);
    pki.write("reversed.crt", pki.ca.pem() + &pki.server.cert_pem());
    assert_eq!(reasons(&pki, "reversed.crt"), ["chain_order"]);
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(pki.path("server.key"), mode).unwrap();
    assert_eq!(reasons(&pki, "server.key"), ["key_world_readable"]);
}

#[test]
fn a_key_of_another_certificate_is_noticed_when_both_are_asked_about() {
    let pki = TestPki::new();
    let look = |files: &[&str]| {
        let files: Vec<_> = files.iter().map(|file| examine(&pki.path(file))).collect();
        unmatched_keys(&files).iter().map(|(file, one)| (*file, one.reason)).collect::<Vec<_>>()
    };
    assert_eq!(look(&["server.crt", "server.key"]), []);
    assert_eq!(look(&["client.key"]), []);
    assert_eq!(look(&["server.crt", "server.key", "client.key"]), [(2, "own_key_mismatch")]);
}

#[test]
fn a_key_shows_nothing_secret() {
    let pki = TestPki::new();
    let examined = format!("{:?}", examine(&pki.path("server.key")));
    let secret: String = pki.server.key_pem().lines().nth(1).unwrap().to_owned();
    assert!(!examined.contains(&secret) && !examined.contains("der"), "{examined}");
}
