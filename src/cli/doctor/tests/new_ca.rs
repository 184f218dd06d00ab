//! Which clients a new CA would lock out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Doctor, answer_once};
use crate::cli::ExitStatus;

#[test]
fn a_new_ca_tells_who_stays_and_who_breaks() {
    let doctor = Doctor::new();
    let page = serde_json::json!({ "clients": [
        { "last_seen_unix": 1, "chain": [STANDARD.encode(doctor.pki.client.certificate.der())] },
    ] });
    let said = |file: &str| {
        let port = status(&page.to_string());
        let file = doctor.pki.path(file).display().to_string();
        doctor.say(&["--new-ca", &file, "--status", &format!("http://127.0.0.1:{port}")])
    };
    let stays = said("ca.crt");
    stays.has("ok", &["CN=test-client", "stays"]);
    stays.ends(ExitStatus::Success);
    let breaks = said("other-ca.crt");
    let parts = ["CN=test-client", "would break", "client_cert_unknown_issuer"];
    breaks.has("problem", &parts);
    breaks.ends(ExitStatus::Failure);
    let unasked = doctor.say(&["--new-ca", doctor.pki.path("ca.crt").to_str().unwrap()]);
    unasked.has("problem", &["no zpages extension", "status_unreachable"]);
    unasked.ends(ExitStatus::Failure);
}

/// A status page for one question.
fn status(body: &str) -> u16 {
    answer_once("GET /debug/clientsz HTTP/1.0\r\n", format!("HTTP/1.0 200 OK\r\n\r\n{body}"))
}

/// Guarantees: a bundle that cannot be used is told also when nobody can be asked, and a gateway
/// that has seen nobody is no promise that nobody breaks.
#[test]
fn a_bundle_that_cannot_be_used_and_a_gateway_that_saw_nobody_are_told() {
    let doctor = Doctor::new();
    let path = |name: &str| doctor.pki.path(name).display().to_string();
    let url = |body: &str| format!("http://127.0.0.1:{}", status(body));
    let nobody = r#"{ "clients": [] }"#;

    let said = doctor.say(&["--new-ca", &path("none.crt"), "--status", &url(nobody)]);
    said.has("problem", &["--new-ca", "none.crt", "does not exist", "file_missing"]);
    said.has("warning", &["has seen no client certificate", "no_clients_seen"]);
    said.ends(ExitStatus::Failure);

    let said = doctor.say(&["--new-ca", &path("client.key"), "--status", &url(nobody)]);
    said.has("problem", &["--new-ca", "client.key", "holds a private key", "ca_has_private_key"]);

    let said = doctor.say(&["--new-ca", &path("client.crt"), "--status", &url(nobody)]);
    said.has("warning", &["--new-ca", "is not a CA: it is trusted as itself alone", "ca_is_leaf"]);
    said.ends(ExitStatus::Success);

    let said = doctor.say(&["--new-ca", &path("ca.crt"), "--status", &url("<html>")]);
    said.has("problem", &["answered with something else", "status_unreachable"]);
    for (address, words) in [
        ("https://localhost:1", "has the scheme https; the page is plain HTTP"),
        ("localhost", "names no host with a port"),
        ("http://127.0.0.1:1", "does not tell which clients it has seen: "),
    ] {
        let said = doctor.say(&["--new-ca", &path("ca.crt"), "--status", address]);
        said.has("problem", &[words, "status_unreachable"]);
        said.ends(ExitStatus::Failure);
    }
}

/// Guarantees: where everybody is let in nobody breaks, and it is said who would be reported.
#[test]
fn a_new_ca_of_a_receiver_that_only_reports_locks_nobody_out() {
    let doctor = Doctor::new();
    let page = serde_json::json!({ "clients": [
        { "last_seen_unix": 1, "chain": [STANDARD.encode(doctor.pki.client.certificate.der())] },
    ] });
    let url = format!("http://127.0.0.1:{}", status(&page.to_string()));
    let file = doctor.pki.path("other-ca.crt").display().to_string();
    let mode = "receivers.otlp.protocols.grpc.tls.client_auth=report_only";
    let said = doctor.say(&["--new-ca", &file, "--status", &url, "--set", mode]);
    said.has("warning", &["would be reported (report_only)", "client_cert_unknown_issuer"]);
    said.ends(ExitStatus::Success);
}
