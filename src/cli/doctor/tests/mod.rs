//! What the doctor says of each of the common mistakes.

mod new_ca;
mod settings;
mod upstreams;

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::cli::{self, Console, ExitStatus};
use crate::tls::server;
use crate::tls::testing::{TestPki, client_params, pem_file, server_params, server_tls};

struct Doctor {
    pki: TestPki,
    config: PathBuf,
}

/// What the command printed, and how it ended.
struct Said {
    text: String,
    status: ExitStatus,
}

impl Doctor {
    /// A receiver that demands certificates of the first CA, and no upstream.
    fn new() -> Self {
        Self::with(TestPki::new(), "nop", "")
    }

    /// The same with an exporter to an upstream that shows this pair.
    fn with_upstream(pair: &str, tweak: impl FnOnce(&mut ServerConfig)) -> Self {
        let pki = TestPki::new();
        let port = upstream(&pki, pair, tweak);
        let dir = pki.dir().display().to_string();
        let settings = format!(
            "{{ endpoint: 'localhost:{port}', tls: {{ ca_file: {dir}/ca.crt, cert_file: \
             {dir}/client.crt, key_file: {dir}/client.key }} }}"
        );
        Self::with(pki, "otlp_grpc", &settings)
    }

    fn with(pki: TestPki, exporter: &str, settings: &str) -> Self {
        let dir = pki.dir().display().to_string();
        let text = format!(
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0', tls: {{ \
             cert_file: {dir}/server.crt, key_file: {dir}/server.key, client_ca_file: {dir}/ca.crt \
             }} }} }} }} }}\nexporters: {{ {exporter}: {settings} }}\nservice: {{ pipelines: {{ \
             traces: {{ receivers: [otlp], exporters: [{exporter}] }} }} }}\n"
        );
        let config = pki.write("gateway.yaml", &text);
        let secret = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(pki.path("server.key"), secret).unwrap();
        Self { pki, config }
    }

    fn write(&self, name: &str, text: &str) -> String {
        self.pki.write(name, text).display().to_string()
    }

    fn say(&self, more: &[&str]) -> Said {
        let config = self.config.clone().into_os_string();
        let args = ["portcullis".into(), "doctor".into(), "--config".into(), config];
        let args = args.into_iter().chain(more.iter().map(OsString::from));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = cli::run(args, &mut Console { out: &mut out, err: &mut err });
        assert_eq!(String::from_utf8(err).unwrap(), "");
        Said { text: String::from_utf8(out).unwrap(), status }
    }
}

/// Shakes hands with whoever comes, demands a certificate of the first CA, and greets in HTTP/2.
fn upstream(pki: &TestPki, pair: &str, tweak: impl FnOnce(&mut ServerConfig)) -> u16 {
    let mut tls = server_tls(pki);
    tls.common.cert = Some(pem_file("cert_file", pki.path(&format!("{pair}.crt"))));
    tls.common.key = Some(pem_file("key_file", pki.path(&format!("{pair}.key"))));
    let mut config = ServerConfig::clone(&server::load(&tls).unwrap().snapshot.config);
    tweak(&mut config);
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let socket = socket.unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            // A probe that ends early is what some tests are about.
            let mut preface = [0; 33];
            if stream.read_exact(&mut preface).is_ok() {
                let _gone = stream.write_all(b"\0\0\0\x04\0\0\0\0\0");
            }
        }
    });
    port
}

/// A server for one question, which must begin so.
fn answer_once(asked: &'static str, answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let length = socket.read(&mut request).unwrap();
        assert!(request[..length].starts_with(asked.as_bytes()));
        socket.write_all(answer.as_bytes()).unwrap();
    });
    port
}

impl Said {
    /// A line of this level with all of these parts.
    fn has(&self, level: &str, parts: &[&str]) {
        let mut lines = self.text.lines();
        let found = lines.any(|line| {
            line.trim_start().starts_with(level) && parts.iter().all(|part| line.contains(part))
        });
        assert!(found, "no {level} line with {parts:?} in:\n{}", self.text);
    }

    fn ends(&self, status: ExitStatus) {
        assert_eq!(self.status, status, "{}", self.text);
    }
}

#[test]
fn a_configuration_in_order_has_no_problems() {
    let doctor = Doctor::new();
    let said = doctor.say(&[]);
    said.has("ok", &["cert_file", "server.crt", "DNS:localhost", "issued by CN=Test CA"]);
    said.has("ok", &["client_ca_file", "1 CA: CN=Test CA"]);
    assert!(said.text.ends_with("no problem, no warning\n"), "{}", said.text);
    said.ends(ExitStatus::Success);
}

#[test]
fn a_client_of_the_right_ca_is_admitted() {
    let doctor = Doctor::new();
    let said = doctor.say(&["--client", doctor.pki.path("client.crt").to_str().unwrap()]);
    said.has("ok", &["receivers.otlp.protocols.grpc", "would be admitted"]);
    said.ends(ExitStatus::Success);
}

#[test]
fn the_identity_rules_are_asked_about_a_client_that_is_admitted() {
    let doctor = Doctor::new();
    let client = doctor.pki.path("client.crt").display().to_string();
    for (id, level, words) in [
        ("*", "ok", "may send logs as spiffe://test.example/client"),
        ("other", "problem", "add { spiffe: \"spiffe://test.example/client\" } [identity_denied]"),
    ] {
        let rules = format!(
            "extensions::client_identity::allow: [{{ spiffe: 'spiffe://test.example/{id}', \
             signals: [logs] }}]\nservice::extensions: [client_identity]\n\
             receivers::otlp::protocols::grpc::auth::authenticator: client_identity"
        );
        let rules = doctor.write("rules.yaml", &rules);
        doctor
            .say(&["--config", &rules, "--client", &client])
            .has(level, &["protocols.grpc", words]);
    }
}

#[test]
fn a_client_of_another_ca_is_refused_with_both_names() {
    let doctor = Doctor::new();
    let said = doctor.say(&["--client", doctor.pki.path("other-client.crt").to_str().unwrap()]);
    let parts = ["would be refused", "Other CA", "Test CA", "client_cert_unknown_issuer"];
    said.has("problem", &parts);
    said.has("next:", &[""]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn an_expired_client_is_refused() {
    let doctor = Doctor::new();
    let mut params = client_params("old");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let file = doctor.write("old.crt", &doctor.pki.ca.issue(params).cert_pem());
    let said = doctor.say(&["--client", &file]);
    said.has("problem", &["would be refused", "expired", "2021-01-01", "client_cert_expired"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn an_expired_certificate_of_our_own_is_a_problem() {
    let doctor = Doctor::new();
    let mut params = server_params(&["localhost"]);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let leaf = doctor.pki.ca.issue(params);
    doctor.pki.write("server.crt", leaf.cert_pem());
    doctor.pki.write("server.key", leaf.key_pem());
    let said = doctor.say(&["--client", doctor.pki.path("client.crt").to_str().unwrap()]);
    said.has("problem", &["cert_file", "server.crt", "expired on 2021-01-01", "own_cert_expired"]);
    said.has("warning", &["receivers.otlp.protocols.grpc", "its own files have problems"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn a_client_without_the_usage_is_refused() {
    let doctor = Doctor::new();
    let mut params = CertificateParams::new(vec!["shop".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let file = doctor.write("shop.crt", &doctor.pki.ca.issue(params).cert_pem());
    let said = doctor.say(&["--client", &file]);
    said.has("problem", &["would be refused", "clientAuth", "client_cert_eku"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn a_key_of_another_certificate_is_a_problem() {
    let doctor = Doctor::new();
    doctor.pki.write("server.key", doctor.pki.client.key_pem());
    let said = doctor.say(&[]);
    said.has("problem", &["key_file", "server.key", "is not the key of", "own_key_mismatch"]);
    said.has("next:", &["renewed without the other"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn a_key_that_cannot_be_read_is_a_problem() {
    let doctor = Doctor::new();
    std::fs::remove_file(doctor.pki.path("server.key")).unwrap();
    for _ in ["missing", "a folder"] {
        let said = doctor.say(&[]);
        said.has("problem", &["key_file", "server.key"]);
        said.has("next:", &[""]);
        said.ends(ExitStatus::Failure);
        let _second_time = std::fs::create_dir(doctor.pki.path("server.key"));
    }
}

#[test]
fn a_faulty_configuration_and_a_wrong_command_line_end_differently() {
    let doctor = Doctor::new();
    doctor.pki.write("gateway.yaml", "receivers: { otlp: { protocol: {} } }\n");
    let said = doctor.say(&[]);
    said.has("problem", &["protocol"]);
    said.ends(ExitStatus::Failure);
    let args = ["portcullis", "doctor", "--clients"].map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = cli::run(args, &mut Console { out: &mut out, err: &mut err });
    assert_eq!(status, ExitStatus::Usage);
}

#[test]
fn findings_can_be_read_by_programs() {
    let doctor = Doctor::new();
    let file = doctor.pki.path("other-client.crt");
    let said = doctor.say(&["--format", "json", "--client", file.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&said.text).unwrap();
    assert_eq!((&report["ok"], &report["problems"]), (&false.into(), &1.into()));
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect();
    let keys: Vec<Vec<String>> =
        [&report, &report["sections"][0], &report["sections"][0]["findings"][0]].map(keys).into();
    let documented: [&[&str]; 3] = [
        &["ok", "problems", "sections", "warnings"],
        &["check", "findings", "subject"],
        &["level", "message", "next", "reason", "what"],
    ];
    assert_eq!(keys, documented, "docs/doctor.md tells them");
    let finding = &report["sections"][1]["findings"][1];
    assert_eq!(finding["level"], "problem");
    assert_eq!(finding["reason"], "client_cert_unknown_issuer");
    assert_eq!(finding["what"], "receivers.otlp.protocols.grpc");
    said.ends(ExitStatus::Failure);
}

#[test]
fn an_x509_v1_client_is_admitted_with_a_warning_and_refused_when_strict() {
    let doctor = Doctor::new();
    doctor.pki.write("ca.key", doctor.pki.ca.issuer.key().serialize_pem());
    let openssl = |words: &str| {
        let run = std::process::Command::new("openssl")
            .current_dir(doctor.pki.dir())
            .args(words.split_whitespace())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout v1.key -out v1.csr -subj \
         /CN=v1",
    );
    openssl("x509 -req -in v1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 90 -out v1.crt");
    let file = doctor.pki.path("v1.crt").display().to_string();
    let said = doctor.say(&["--client", &file]);
    said.has("warning", &["would be admitted", "X.509 v1", "client_cert_x509_v1"]);
    said.ends(ExitStatus::Success);
    let strict = "receivers.otlp.protocols.grpc.tls.strict_x509=true";
    let said = doctor.say(&["--client", &file, "--set", strict]);
    said.has("problem", &["would be refused", "X.509 v1", "client_cert_x509_v1"]);
    said.ends(ExitStatus::Failure);
}
