use super::*;
use crate::tls::profile;
use crate::tls::testing::{TestPki, pem_file, pem_inline};

fn load_files(
    pki: &TestPki,
    cert: &str,
    key: &str,
) -> Result<(Own, Vec<&'static str>), Vec<Problem>> {
    let provider = profile::provider(&crate::config::sections::TlsCommon::default());
    let mut warnings = Vec::new();
    let (cert, key) =
        (pem_file("tls.cert_file", pki.path(cert)), pem_file("tls.key_file", pki.path(key)));
    let own = load(&cert, &key, &Purpose::ServerAuth, &provider, &mut warnings)?;
    let warnings = warnings.iter().map(|warning| warning.reason);
    Ok((own, warnings.filter(|reason| *reason != "key_world_readable").collect()))
}

fn why(pki: &TestPki, cert: &str, key: &str) -> String {
    let problems = load_files(pki, cert, key).map(|_own| ()).unwrap_err();
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn reason(pki: &TestPki, cert: &str, key: &str) -> Vec<&'static str> {
    let problems = load_files(pki, cert, key).map(|_own| ()).unwrap_err();
    problems.iter().map(|problem| problem.reason).collect()
}

#[test]
fn a_good_pair_loads_without_a_warning() {
    let pki = TestPki::new();
    let (own, warnings) = load_files(&pki, "server.crt", "server.key").unwrap();
    assert_eq!((own.leaf.identity.subject.as_str(), warnings), ("CN=test-server", vec![]));
}

#[test]
fn every_form_of_key_that_openssl_writes_loads() {
    let pki = TestPki::new();
    for (name, make) in [
        ("pkcs8", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out K"),
        ("sec1", "ecparam -name prime256v1 -genkey -out K"),
        ("p521", "ecparam -name secp521r1 -genkey -out K"),
        ("pkcs1", "genrsa -traditional -out K 2048"),
        ("ed25519", "genpkey -algorithm ed25519 -out K"),
    ] {
        pki.openssl(&make.replace('K', &format!("{name}.key")));
        pki.openssl(&format!(
            "req -x509 -key {name}.key -out {name}.crt -subj /CN=a -days 9 -addext \
             basicConstraints=CA:FALSE -addext subjectAltName=DNS:a"
        ));
        let loaded = load_files(&pki, &format!("{name}.crt"), &format!("{name}.key"));
        assert!(loaded.is_ok(), "{name}: {:?}", loaded.err());
    }
}

#[test]
fn a_mismatch_names_both_files() {
    let pki = TestPki::new();
    let text = why(&pki, "server.crt", "client.key");
    let (cert, key) = (pki.path("server.crt"), pki.path("client.key"));
    assert!(text.starts_with(&format!("{}: tls.key_file: is not the key of", key.display())));
    assert!(text.contains(&cert.display().to_string()) && text.contains("[own_key_mismatch]"));
}

#[test]
fn files_in_each_others_place_are_named_both_at_once() {
    let pki = TestPki::new();
    assert_eq!(reason(&pki, "server.key", "server.crt"), ["own_cert_is_key", "key_is_certificate"]);
    assert!(why(&pki, "server.key", "server.crt").contains("swapped"));
}

#[test]
fn a_combined_file_serves_as_both() {
    let pki = TestPki::new();
    pki.write("both.pem", pki.server.key_pem() + &pki.server.cert_pem());
    load_files(&pki, "both.pem", "both.pem").unwrap();
}

#[test]
fn a_reversed_chain_is_put_right_with_a_warning() {
    let pki = TestPki::new();
    let below = pki.ca.intermediate("Below");
    let leaf = below.issue(crate::tls::testing::server_params(&["localhost"]));
    pki.write_pair("deep", &leaf);
    pki.write("deep.crt", pki.ca.pem() + &below.pem() + &leaf.cert_pem());
    let (own, warnings) = load_files(&pki, "deep.crt", "deep.key").unwrap();
    assert_eq!(warnings, ["own_cert_chain_order"]);
    let order: Vec<_> = own.certified.cert.iter().map(|der| der.to_vec()).collect();
    let wanted = [&leaf.certificate, &below.certificate, &pki.ca.certificate];
    assert_eq!(order, wanted.map(|certificate| certificate.der().to_vec()));
}

#[test]
fn a_pair_out_of_date_is_refused() {
    let pki = TestPki::new();
    let mut params = crate::tls::testing::server_params(&["localhost"]);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    pki.write_pair("old", &pki.ca.issue(params.clone()));
    assert_eq!(reason(&pki, "old.crt", "old.key"), ["own_cert_expired"]);
    assert!(why(&pki, "old.crt", "old.key").contains("expired on 2021-01-01 00:00:00 UTC"));
    params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    pki.write_pair("new", &pki.ca.issue(params));
    assert_eq!(reason(&pki, "new.crt", "new.key"), ["own_cert_not_yet_valid"]);
}

#[test]
fn a_certificate_made_for_clients_alone_is_no_servers() {
    let pki = TestPki::new();
    let text = why(&pki, "client.crt", "client.key");
    let why = "does not allow serverAuth: peers will refuse it as a server's: CN=test-client";
    assert!(text.contains(why), "{text}");
    assert!(text.contains("re-issue it with extendedKeyUsage serverAuth"), "{text}");
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let pki = TestPki::new();
    let check = |name: &str, reason: &str, words: &str| {
        let text = why(&pki, "server.crt", name);
        assert!(text.contains(&format!("[{reason}]")) && text.contains(words), "{name}: {text}");
    };
    pki.openssl("pkcs8 -topk8 -in server.key -out encrypted.key -passout pass:x");
    check("encrypted.key", "key_encrypted", "openssl pkey -in key.pem -out plain.pem");
    pki.openssl("ec -in server.key -out proctype.key -aes256 -passout pass:x");
    check("proctype.key", "key_encrypted", "EC PRIVATE KEY (encrypted)");
    pki.openssl("pkey -in server.key -pubout -out public.key");
    check("public.key", "key_is_public", "the private key is wanted");
    pki.openssl("genrsa -out rsa1024.key 1024");
    check("rsa1024.key", "key_unsupported", "RSA 1024");
    pki.openssl("genrsa -traditional -out rsa1024t.key 1024");
    check("rsa1024t.key", "key_unsupported", "RSA 1024");
    pki.openssl("ecparam -name secp224r1 -genkey -noout -out p224.key");
    check("p224.key", "key_unsupported", "EC P-224");
    pki.openssl("genpkey -algorithm ed448 -out ed448.key");
    check("ed448.key", "key_unsupported", "Ed448");
    pki.openssl("pkey -in server.key -outform DER -out der.key");
    check("der.key", "key_not_pem", "a private key in DER form");
    pki.write("empty.key", "");
    check("empty.key", "key_not_pem", "is empty");
    pki.write("two.key", pki.server.key_pem() + &pki.client.key_pem());
    check("two.key", "key_ambiguous", "2 private keys");
    check("missing.key", "file_missing", "does not exist");
}

#[test]
fn certificates_in_other_forms_are_named() {
    let pki = TestPki::new();
    let check = |name: &str, reason: &str, words: &str| {
        let text = why(&pki, name, "server.key");
        assert!(text.contains(&format!("[{reason}]")) && text.contains(words), "{name}: {text}");
    };
    pki.openssl("x509 -in server.crt -outform DER -out der.crt");
    check("der.crt", "own_cert_no_pem", "openssl x509 -inform DER");
    pki.openssl("x509 -in server.crt -trustout -addtrust serverAuth -out trusted.crt");
    check("trusted.crt", "own_cert_other", "TRUSTED CERTIFICATE");
    pki.openssl("pkcs12 -export -in server.crt -inkey server.key -out all.p12 -passout pass:x");
    check("all.p12", "own_cert_no_pem", "PKCS#12");
    pki.openssl("crl2pkcs7 -nocrl -certfile server.crt -outform DER -out all.p7b");
    check("all.p7b", "own_cert_no_pem", "PKCS#7");
    pki.openssl("crl2pkcs7 -nocrl -certfile server.crt -out pem.p7b");
    check("pem.p7b", "own_cert_other", "openssl pkcs7 -print_certs");
    pki.openssl_request("csr");
    check("csr.csr", "own_cert_other", "CERTIFICATE REQUEST");
    pki.write("cut.crt", &pki.server.cert_pem()[..200]);
    check("cut.crt", "pem_truncated", "cut short");
}

#[test]
fn the_v1_certificate_of_the_recipe_loads_with_a_warning() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("recipe");
    pki.openssl_sign("recipe", "my-ca", "", "");
    let (own, warnings) = load_files(&pki, "recipe.crt", "recipe.key").unwrap();
    assert_eq!(own.leaf.version, 1);
    assert_eq!(warnings, ["own_cert_x509_v1", "own_cert_no_names"]);
    // Whoever follows the advice gets what the side needs.
    for (purpose, usage) in
        [(Purpose::ServerAuth, "extendedKeyUsage=serverAuth"), (Purpose::ClientAuth, "clientAuth")]
    {
        for (reason, _message, help) in complaints(&own.leaf, &purpose) {
            assert!(help.contains(usage), "{reason}: {help}");
        }
    }
}

#[test]
fn a_key_that_everyone_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let pki = TestPki::new();
    let provider = profile::provider(&crate::config::sections::TlsCommon::default());
    for (mode, expected) in [(0o644, vec!["key_world_readable"]), (0o640, vec![])] {
        let path = pki.path("server.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut warnings = Vec::new();
        key::load(&pem_file("tls.key_file", path), &provider, &mut warnings).unwrap();
        let reasons: Vec<_> = warnings.iter().map(|warning| warning.reason).collect();
        assert_eq!(reasons, expected);
    }
}

#[test]
fn inline_text_is_named_by_its_key_and_never_shown() {
    let pki = TestPki::new();
    let provider = profile::provider(&crate::config::sections::TlsCommon::default());
    let key = pem_inline("tls.key_pem", &pki.client.key_pem());
    let cert = pem_inline("tls.cert_pem", &pki.server.cert_pem());
    let problems = load(&cert, &key, &Purpose::ServerAuth, &provider, &mut Vec::new()).unwrap_err();
    let text = problems[0].to_string();
    assert!(text.starts_with("tls.key_pem: is not the key"), "{text}");
    assert!(!text.contains("BEGIN") && !text.contains("MIG"), "{text}");
}

/// Guarantees: an intermediate that is sent with our own certificate is warned about before it ends,
/// too: peers refuse the leaf with it.
#[test]
fn the_end_of_everything_that_is_sent_is_known() {
    let pki = TestPki::new();
    let issuer = pki.ca.intermediate("Issuer");
    let leaf = issuer.issue(crate::tls::testing::server_params(&["localhost"]));
    pki.write("chain.crt", format!("{}{}", leaf.certificate.pem(), issuer.pem()));
    pki.write("chain.key", leaf.key.serialize_pem());
    let (own, _warnings) = load_files(&pki, "chain.crt", "chain.key").unwrap();
    let ends: Vec<_> = own.ends().map(|end| (end.role, end.name)).collect();
    assert_eq!(ends, [("own", "CN=test-server".to_owned()), ("own", "CN=Issuer".to_owned())]);
}
