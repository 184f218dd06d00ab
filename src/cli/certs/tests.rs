//! Certificates made on disk, read back by another library.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::cli::certs::{CertsArgs, CertsError, run};

#[derive(Parser)]
struct Shell {
    #[command(flatten)]
    args: CertsArgs,
}

fn certs(folder: &Path, args: &str) -> Result<String, CertsError> {
    let mut words: Vec<_> = std::iter::once("certs").chain(args.split(' ')).collect();
    let dir = folder.to_string_lossy();
    if !words.contains(&"show") {
        words.extend(["--dir", &dir]);
    }
    let shell = Shell::parse_from(words);
    let mut out = Vec::new();
    run(&shell.args.command, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn with_certificate<T>(path: &Path, check: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let pem = fs::File::open(path).unwrap();
    let (pem, _) = x509_parser::pem::Pem::read(std::io::BufReader::new(pem)).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    check(&certificate)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_authority_signs_servers_and_clients_with_the_right_usages() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let said = certs(dir, "ca --name Test-CA").unwrap();
    assert!(said.contains("client_ca_file") && said.contains("OTEL_EXPORTER_OTLP_CERTIFICATE="));
    let said = certs(dir, "server --san localhost,127.0.0.1").unwrap();
    assert!(said.contains("receivers.otlp.protocols.grpc.tls.cert_file"), "{said}");
    let said = certs(dir, "client --name shop --spiffe spiffe://example.org/shop").unwrap();
    assert!(said.contains("OTEL_EXPORTER_OTLP_CLIENT_KEY="), "{said}");

    with_certificate(&dir.join("ca.crt"), |ca| {
        assert!(ca.is_ca());
        let usage = ca.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    });
    with_certificate(&dir.join("server.crt"), |leaf| {
        assert!(!leaf.is_ca());
        assert_eq!(leaf.issuer().to_string(), "CN=Test-CA");
        let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(purposes.server_auth && !purposes.client_auth);
        assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
    });
    with_certificate(&dir.join("shop.crt"), |leaf| {
        let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(purposes.client_auth && !purposes.server_auth);
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names[0].to_string(), "URI(spiffe://example.org/shop)");
    });
}

#[test]
fn keys_are_private_and_no_temporary_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), "ca").unwrap();
    certs(folder.path(), "client --name shop").unwrap();
    assert_eq!(mode(&folder.path().join("ca.key")), 0o600);
    assert_eq!(mode(&folder.path().join("shop.key")), 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn nothing_is_replaced_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    certs(dir, "ca").unwrap();
    let before = fs::metadata(dir.join("ca.key")).unwrap().modified().unwrap();
    let error = certs(dir, "ca").unwrap_err().to_string();
    assert!(error.contains("ca.crt exists already") && error.contains("--force"), "{error}");
    assert_eq!(fs::metadata(dir.join("ca.key")).unwrap().modified().unwrap(), before);
    certs(dir, "ca --force").unwrap();
}

#[test]
fn half_a_pair_in_the_way_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("ca.crt"), "mine").unwrap();
    assert!(certs(dir, "ca").is_err());
    assert!(!dir.join("ca.key").exists());
    assert_eq!(fs::metadata(dir.join("ca.crt")).unwrap().len(), 4);
}

#[test]
fn a_missing_authority_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = certs(folder.path(), "client --name shop").unwrap_err().to_string();
    assert!(error.contains("portcullis certs ca"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    certs(dir, "ca --days 10").unwrap();
    let said = certs(dir, "server --san localhost").unwrap();
    assert!(said.contains("the authority ends on"), "{said}");
    let end = |name| with_certificate(&dir.join(name), |c| c.validity().not_after.timestamp());
    assert_eq!(end("server.crt"), end("ca.crt"));
}

#[test]
fn an_authority_with_the_key_of_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    certs(dir, "ca").unwrap();
    certs(dir, "ca --out other").unwrap();
    fs::copy(dir.join("other.key"), dir.join("ca.key")).unwrap();
    let error = certs(dir, "client --name shop").unwrap_err();
    let text = crate::cli::with_causes(&error);
    assert!(text.contains("ca.crt") && text.contains("does not belong"), "{text}");
}

#[test]
fn every_kind_of_key_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), "ca --key-type p384").unwrap();
    for kind in ["ed25519", "p256", "p384", "rsa"] {
        certs(folder.path(), &format!("client --name {kind} --key-type {kind}")).unwrap();
    }
}

#[test]
fn a_name_that_is_no_file_name_asks_for_one() {
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), "ca").unwrap();
    let error = certs(folder.path(), "client --name ../shop").unwrap_err().to_string();
    assert!(error.contains("--out"), "{error}");
    certs(folder.path(), "client --name ../shop --out shop").unwrap();
}

#[test]
fn show_says_what_files_hold_and_that_nothing_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    certs(dir, "ca --name Test-CA").unwrap();
    certs(dir, "server --san localhost,127.0.0.1").unwrap();
    let (crt, key) = (dir.join("server.crt"), dir.join("server.key"));
    let said = certs(dir, &format!("show {} {}", crt.display(), key.display())).unwrap();
    for part in [
        "    subject      CN=localhost\n",
        "    issuer       CN=Test-CA\n",
        "    names        DNS:localhost, IP:127.0.0.1\n",
        "    usage        serverAuth",
        "    key          EC P-256\n",
        "    sha256       ",
        "(ends in 36",
        "    belongs to   CN=localhost\n",
        "  no problem found\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn show_fails_on_a_problem_and_says_how_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.crt");
    let mut out = Vec::new();
    assert!(!super::show::files(std::slice::from_ref(&missing), &mut out).unwrap());
    let said = String::from_utf8(out).unwrap();
    assert!(said.contains("  PROBLEM file_missing: does not exist\n    mend: "), "{said}");
}
