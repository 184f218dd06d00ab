//! Lists of the `openssl` command line.

use std::process::Command;

use super::{load, revoking, verdict};
use crate::config::sections::ServerTls;
use crate::tls::testing::{TestPki, pem_file};
use crate::tls::verifier::Verdict;

const OPENSSL_CA: &str = "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\nserial=serial\n\
    new_certs_dir=.\ndefault_md=sha256\npolicy=p\ndefault_days=30\ndefault_crl_days=7\n\
    [p]\ncommonName=supplied\n";

/// Scenario: `openssl ca -gencrl` without `crlnumber`, which makes a list of version 1 without a
/// number, and one with a number.
#[test]
fn lists_of_the_openssl_command_line_are_taken() {
    let pki = TestPki::new();
    let openssl = |words: &str| {
        let output = Command::new("openssl")
            .args(words.split_whitespace())
            .current_dir(pki.dir())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {new_key} -keyout o.key -out o.crt -subj /CN=openssl-ca -days 9"));
    pki.write("o.cnf", OPENSSL_CA);
    pki.write("index.txt", "");
    pki.write("serial", "0A\n");
    for name in ["good", "bad"] {
        openssl(&format!("req {new_key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "ca -config o.cnf -batch -notext -cert o.crt -keyfile o.key -in {name}.csr -out \
             {name}.crt"
        ));
        openssl(&format!("x509 -in {name}.crt -outform DER -out {name}.der"));
    }
    let sign = "ca -config o.cnf -cert o.crt -keyfile o.key";
    openssl(&format!("{sign} -revoke bad.crt -crl_reason keyCompromise"));
    let tls = ServerTls {
        client_ca: Some(pem_file("tls.client_ca_file", pki.path("o.crt"))),
        ..revoking(&pki, &["o.crl"])
    };
    let der = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "a file of this test")]
        std::fs::read(pki.path(name)).unwrap()
    };
    for numbered in [false, true] {
        if numbered {
            pki.write("o.cnf", format!("{OPENSSL_CA}[x]\ncrlnumber=number\n"));
            pki.write("number", "0F\n");
        }
        openssl(&format!("{sign} -gencrl -out o.crl"));
        let snapshot = load(&tls);
        let edition = snapshot.revocations().unwrap().lists().remove(0).edition;
        assert_eq!(edition.starts_with("number 0xf of "), numbered, "{edition}");
        // The recipe makes X.509 v1 leaves, which path validation never sees.
        assert!(matches!(verdict(&snapshot, &[&der("good.der")]), Verdict::Trusted));
        let bad = verdict(&snapshot, &[&der("bad.der")]);
        assert!(matches!(bad, Verdict::Revoked(_)), "{bad:?}");
    }
}

/// A CA with `o.key`, `o.crt` and what `openssl ca -gencrl` needs.
fn ca(pki: &TestPki, more: &str) -> ServerTls {
    pki.openssl(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout o.key -out o.crt \
         -subj /CN=openssl-ca -days 9 {more}"
    ));
    pki.write("o.cnf", OPENSSL_CA);
    pki.write("index.txt", "");
    ServerTls {
        client_ca: Some(pem_file("tls.client_ca_file", pki.path("o.crt"))),
        ..revoking(pki, &["o.crl"])
    }
}

const SIGN: &str = "ca -config o.cnf -cert o.crt -keyfile o.key -gencrl -out o.crl";

/// Guarantees: a signature that nobody verifies is said of the list, not of every client.
#[test]
fn a_list_signed_with_sha1_is_refused_at_loading() {
    let pki = TestPki::new();
    let tls = ca(&pki, "");
    pki.openssl(&format!("{SIGN} -md sha1"));
    let problem = super::refused(&tls);
    assert_eq!(problem.reason, "crl_signature_algorithm");
    assert!(problem.message.contains("the list of CN=openssl-ca is signed"), "{problem}");
    assert_eq!(problem.help.as_deref(), Some("have the CA sign its lists with SHA-256"));
}

#[test]
fn a_list_of_a_ca_without_the_usage_counts() {
    let pki = TestPki::new();
    let tls = ca(&pki, "-addext keyUsage=critical,keyCertSign");
    pki.openssl(SIGN);
    assert_eq!(load(&tls).revocations().unwrap().lists().len(), 1);
}
