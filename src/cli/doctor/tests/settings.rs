//! Settings and files beside a receiver's pair: modes, revocation lists, trust domains, and files of
//! the wrong kind.

use super::Doctor;
use crate::cli::ExitStatus;

const GRPC: &str = "receivers.otlp.protocols.grpc.tls";

/// Guarantees: each mode has words of its own, for a client that is good and for one that is not.
#[test]
fn optional_certificates_and_reports_are_told_in_their_own_words() {
    let doctor = Doctor::new();
    let say = |mode: &str, client: &str| {
        let client = doctor.pki.path(client).display().to_string();
        let mode = format!("{GRPC}.client_auth={mode}");
        doctor.say(&["--client", &client, "--set", &mode])
    };
    let said = say("optional", "client.crt");
    said.has("ok", &["client_auth: optional: whoever shows no certificate is let in"]);
    said.has("ok", &["would be admitted"]);
    let said = say("optional", "other-client.crt");
    let words = "would be refused, while whoever shows no certificate is let in";
    said.has("problem", &[words, "client_auth: optional", "client_cert_unknown_issuer"]);
    said.ends(ExitStatus::Failure);

    let said = say("report_only", "other-client.crt");
    said.has("warning", &["every sender is let in", "tls_clients_unverified"]);
    said.has("ok", &["client_auth: report_only: everybody is let in"]);
    let words = "is let in and reported (client_auth: report_only); `require` would refuse it";
    said.has("warning", &[words, "Other CA", "client_cert_unknown_issuer"]);
    said.ends(ExitStatus::Success);
}

/// Guarantees: a list is told with issuer, number, count and the date of the next; a client on it is
/// told so; a CA without a list is a warning.
#[test]
fn revocation_lists_are_judged_and_a_revoked_client_is_told() {
    let doctor = Doctor::new();
    let mut params = crate::tls::testing::client_params("taken-back");
    params.serial_number = Some(rcgen::SerialNumber::from(77_u64));
    let leaf = doctor.pki.ca.issue(params);
    let client = doctor.write("taken-back.crt", &leaf.cert_pem());
    let left = time::Duration::days(9) + time::Duration::hours(1);
    let list = doctor.write("ca.crl", &doctor.pki.ca.list(5, &[77, 78], left));
    let setting = format!("{GRPC}.client_crl_file={list}");

    let said = doctor.say(&["--set", &setting, "--client", &client]);
    let file = format!("client_crl_file {list}");
    let parts = [&*file, "list of CN=Test CA, number 0x5 of ", "2 certificates revoked"];
    said.has("ok", &parts);
    said.has("ok", &["the next one is due ", "(in 9 days)"]);
    said.has("problem", &["would be refused", "client_cert_revoked"]);
    said.ends(ExitStatus::Failure);

    let both = doctor.pki.ca.pem() + &doctor.pki.other_ca.pem();
    let both = format!("{GRPC}.client_ca_file={}", doctor.write("both.crt", &both));
    let said = doctor.say(&["--set", &setting, "--set", &both]);
    said.has("warning", &[&file, "has no list of CN=Other CA", "crl_missing"]);
    said.ends(ExitStatus::Success);

    doctor.write("ca.crl", &doctor.pki.ca.list(6, &[], time::Duration::days(-1)));
    let said = doctor.say(&["--set", &setting]);
    said.has("problem", &[&file, "is out of date since", "everybody of that CA", "crl_expired"]);
    said.ends(ExitStatus::Failure);
    let allowed = format!("{GRPC}.revocation.expired=allow");
    let said = doctor.say(&["--set", &setting, "--set", &allowed]);
    said.has("warning", &[&file, "is out of date since", "let in", "crl_out_of_date"]);
    said.ends(ExitStatus::Success);
}

/// Guarantees: the bundles of trust domains have a section of their own, and what is wrong with one
/// is told there, once.
#[test]
fn bundles_of_trust_domains_are_listed_apart() {
    let doctor = Doctor::new();
    let bundle = doctor.write("domain.crt", &doctor.pki.ca.pem());
    let rules = format!(
        "extensions: {{ client_identity: {{ allow: any, trust_domains: {{ test.example: {bundle} }} }} }}\n\
         service: {{ extensions: [client_identity] }}\n\
         receivers: {{ otlp: {{ protocols: {{ grpc: {{ auth: {{ authenticator: client_identity }} }} }} }} }}\n"
    );
    let rules = doctor.write("rules.yaml", &rules);
    let client = doctor.pki.path("client.crt").display().to_string();
    let said = doctor.say(&["--config", &rules, "--client", &client]);
    said.has("extensions.client_identity.trust_domains", &[]);
    said.has("ok", &["test.example ", "domain.crt", "1 CA: CN=Test CA"]);
    said.has("ok", &["would be admitted"]);
    said.ends(ExitStatus::Success);

    doctor.write("domain.crt", &doctor.pki.client.key_pem());
    let said = doctor.say(&["--config", &rules, "--client", &client]);
    said.has("problem", &["test.example ", "domain.crt", "holds a private key"]);
    said.has("warning", &["the bundles of its trust domains have problems", "not_judged"]);
    assert_eq!(said.text.matches("ca_has_private_key").count(), 1, "{}", said.text);
    said.ends(ExitStatus::Failure);
}

/// Guarantees: a CA that stands twice in one bundle is a problem with both lines; in the bundles of
/// two trust domains and in `client_ca_file` it may stand.
#[test]
fn a_ca_that_stands_twice_is_a_problem_within_one_bundle_only() {
    let doctor = Doctor::new();
    let ca = doctor.pki.ca.pem();
    let twice = doctor.write("twice.crt", &ca.repeat(2));
    let said = doctor.say(&["--set", &format!("{GRPC}.client_ca_file={twice}")]);
    let second = format!("repeats on line {} the certificate of line 1", ca.lines().count() + 1);
    said.has("problem", &["client_ca_file", &twice, &second, "CN=Test CA", "ca_duplicate"]);
    said.has("next:", &["leave one of them"]);
    said.ends(ExitStatus::Failure);

    let (a, b) = (doctor.write("a.crt", &ca), doctor.write("b.crt", &ca));
    let rules = format!(
        "extensions: {{ client_identity: {{ allow: any, trust_domains: {{ a.example: {a}, b.example: {b} }} }} }}\n\
         service: {{ extensions: [client_identity] }}\n\
         receivers: {{ otlp: {{ protocols: {{ grpc: {{ auth: {{ authenticator: client_identity }} }} }} }} }}\n"
    );
    let rules = doctor.write("rules.yaml", &rules);
    let said = doctor.say(&["--config", &rules]);
    said.has("ok", &["a.example ", "1 CA: CN=Test CA"]);
    said.has("ok", &["b.example ", "1 CA: CN=Test CA"]);
    said.ends(ExitStatus::Success);
}

/// Scenario: what people give to `--client` by mistake.
#[test]
fn a_client_file_of_the_wrong_kind_is_told_with_the_mend() {
    let doctor = Doctor::new();
    let below = doctor.pki.ca.intermediate("Below");
    let leaf = below.issue(crate::tls::testing::client_params("deep"));
    let reversed = doctor.write("reversed.crt", &(below.pem() + &leaf.cert_pem()));
    let der = doctor.pki.write("client.der", doctor.pki.client.certificate.der());
    let fifo = doctor.pki.path("fifo");
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    let request = doctor.write("client.csr", request);
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let path = |name: &str| doctor.pki.path(name).display().to_string();

    let said = doctor.say(&["--client", &reversed]);
    let words = "its leaf is certificate 2 of the file, behind its CA";
    said.has("problem", &[words, "client_cert_chain_order"]);
    said.has("ok", &["would be admitted"]);
    said.ends(ExitStatus::Failure);
    for (file, words, help) in [
        (path("client.key"), "has 0 CERTIFICATE blocks (found: 1 PRIVATE KEY)", "not its key"),
        (request, "(found: 1 CERTIFICATE REQUEST)", "name the file the CA gave back"),
        (der.display().to_string(), "is a certificate in DER form", "openssl x509 -inform DER"),
        (fifo.display().to_string(), "is a FIFO, not a regular file", "name a regular file"),
        (path(""), "is a directory", "name the file inside it"),
        (path("none.crt"), "does not exist", ""),
    ] {
        let said = doctor.say(&["--client", &file]);
        said.has("problem", &[words]);
        said.has("next:", &[help]);
        said.ends(ExitStatus::Failure);
    }
}

/// Scenario: a configuration without TLS, and two receivers with different CAs.
#[test]
fn receivers_without_tls_and_with_different_cas_are_judged_one_by_one() {
    let doctor = Doctor::new();
    let client = doctor.pki.path("client.crt").display().to_string();
    let dir = doctor.pki.dir().display().to_string();
    let more = format!(
        "receivers: {{ otlp/b: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0', tls: {{ cert_file: \
         {dir}/server.crt, key_file: {dir}/server.key, client_ca_file: {dir}/other-ca.crt }} }} }} }}, \
         otlp/c: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0' }} }} }}, otlp/d: {{ protocols: {{ \
         http: {{ endpoint: '127.0.0.1:0', tls: {{ cert_file: {dir}/server.crt, key_file: \
         {dir}/server.key }} }} }} }} }}\n"
    );
    let more = doctor.write("more.yaml", &more);
    let said = doctor.say(&["--config", &more, "--client", &client]);
    said.has("ok", &["receivers.otlp.protocols.grpc: would be admitted"]);
    said.has("problem", &["receivers.otlp/b.protocols.http: would be refused", "Other CA"]);
    said.has("ok", &["receivers.otlp/c.protocols.http: plaintext: admits everyone"]);
    said.has("ok", &["client_ca_file: not set: no certificate is asked for"]);
    said.has("ok", &["receivers.otlp/d.protocols.http: asks for no certificate: admits everyone"]);
    said.ends(ExitStatus::Failure);
}
