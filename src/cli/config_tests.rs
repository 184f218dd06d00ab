//! `validate` and `print-config` as a user meets them.

use std::path::Path;

use tempfile::TempDir;

use crate::cli::ExitStatus;
use crate::cli::tests::outcome;

/// A folder with certificates and a configuration that uses them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    for args in [
        vec!["certs", "ca", "--dir", &dir],
        vec!["certs", "server", "--dir", &dir, "--san", "localhost"],
        vec!["certs", "client", "--dir", &dir, "--name", "gw"],
    ] {
        let (status, _, err) = outcome(&args);
        assert_eq!(status, ExitStatus::Success, "{err}");
    }
    std::fs::write(folder.path().join("gateway.yaml"), config(folder.path())).unwrap();
    folder
}

fn config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "receivers:
  otlp:
    protocols:
      grpc:
        endpoint: localhost:0
        tls:
          cert_file: {dir}/server.crt
          key_file: {dir}/server.key
          client_ca_file: {dir}/ca.crt
exporters:
  otlp_grpc:
    endpoint: localhost:1
    headers: {{ authorization: Bearer hunter2 }}
    tls:
      ca_file: {dir}/ca.crt
      cert_file: {dir}/gw.crt
      key_file: {dir}/gw.key
service:
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_grpc] }}
"
    )
}

fn path(folder: &TempDir) -> String {
    folder.path().join("gateway.yaml").display().to_string()
}

#[test]
fn validate_is_silent_when_all_is_well() {
    let folder = folder();
    let (status, out, err) = outcome(&["validate", "--config", &path(&folder)]);
    assert_eq!((status, out.as_str(), err.as_str()), (ExitStatus::Success, "", ""));
}

#[test]
fn validate_reports_every_problem_with_its_place() {
    let folder = folder();
    let file = path(&folder);
    let set = ["exporters.otlp_grpc.timout=1s", "service.telemetry.logs.level=loud"];
    let args =
        ["validate", "--feature-gates=-x", "--config", &file, "--set", set[0], "--set", set[1]];
    let (status, out, err) = outcome(&args);
    assert_eq!((status, out.as_str()), (ExitStatus::Failure, ""));
    assert!(err.contains("exporters.otlp_grpc.timout: unknown key"), "{err}");
    assert!(err.contains("did you mean \"timeout\"?"), "{err}");
    assert!(err.contains("service.telemetry.logs.level"), "{err}");
}

#[test]
fn validate_loads_the_files_of_tls_blocks_on_both_sides() {
    let folder = folder();
    let file = path(&folder);
    std::fs::remove_file(folder.path().join("server.key")).unwrap();
    std::fs::write(folder.path().join("gw.crt"), "nothing").unwrap();
    let (status, _, err) = outcome(&["validate", "--config", &file]);
    assert_eq!(status, ExitStatus::Failure);
    for text in [
        "receivers.otlp.protocols.grpc.tls.key_file",
        "server.key",
        "exporters.otlp_grpc.tls.cert_file",
        "gw.crt",
    ] {
        assert!(err.contains(text), "{text} not in {err}");
    }
}

#[test]
fn validate_speaks_json_to_programs() {
    let folder = folder();
    let file = path(&folder);
    let (status, out, _) = outcome(&["validate", "--format", "json", "--config", &file]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &report["valid"]), (ExitStatus::Success, &true.into()));
    let set = "exporters.otlp_grpc.compression=br";
    let (status, out, _) = outcome(&["validate", "--format=json", "--config", &file, "--set", set]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &report["valid"]), (ExitStatus::Failure, &false.into()));
    let error = &report["errors"][0];
    assert_eq!(error["key"], "exporters.otlp_grpc.compression");
    assert_eq!(error["reason"], "unknown_value");
    assert_eq!(error["file"], "--set");
}

#[test]
fn print_config_shows_what_is_read_and_hides_secrets() {
    let folder = folder();
    let file = path(&folder);
    let set = "exporters.otlp_grpc.timeout=9s";
    for name in ["print-config", "print-initial-config"] {
        let (status, out, err) = outcome(&[name, "--config", &file, "--set", set]);
        assert_eq!(status, ExitStatus::Success, "{err}");
        assert!(out.contains("timeout: \"9s\""), "{out}");
        assert!(out.contains("[REDACTED]") && !out.contains("hunter2"), "{out}");
    }
    let (_, out, _) = outcome(&["print-config", "--mode", "unredacted", "--config", &file]);
    assert!(out.contains("Bearer hunter2"), "{out}");
    let again = format!("yaml:{out}");
    let (status, _, err) = outcome(&["validate", "--config", &again]);
    assert_eq!(status, ExitStatus::Success, "{err}");
    let (_, out, _) = outcome(&["print-config", "--format", "json", "--config", &file]);
    serde_json::from_str::<serde_json::Value>(&out).unwrap();
}

#[test]
fn print_config_refuses_a_faulty_configuration_unless_told_not_to_check() {
    let faulty = "yaml:receivers: {otlp: {}}";
    let (status, out, err) = outcome(&["print-config", "--config", faulty]);
    assert_eq!((status, out.as_str()), (ExitStatus::Failure, ""));
    assert!(err.contains("must specify at least one protocol"), "{err}");
    let (status, out, _) = outcome(&["print-config", "--validate=false", "--config", faulty]);
    assert_eq!(status, ExitStatus::Success);
    assert!(out.contains("otlp: {}"), "{out}");
}
