//! What people bring along from published configurations, and whether the advice leads on.

use super::{BASE, read};
use crate::config::{Problem, Problems};

/// What is said of `patch` over [`BASE`].
fn said(patch: &str, env: &[(&str, &str)]) -> Problems {
    match read(&[BASE, patch], &[], env) {
        Ok((_, problems)) | Err(problems) => problems,
    }
}

fn help(problem: &Problem) -> &str {
    problem.help.as_deref().unwrap_or_default()
}

/// Products whose own exporter is not here and that take OTLP themselves.
#[test]
fn exporters_of_products_that_take_otlp_are_answered_with_how_to_reach_them() {
    for (patch, advice) in [
        ("exporters: {jaeger: {endpoint: 'j:14250'}}", "otlp_grpc with endpoint: jaeger:4317"),
        ("exporters: {loki: {endpoint: 'http://l:3100'}}", "http://loki:3100/otlp"),
        ("exporters: {prometheusremotewrite: {}}", "http://mimir:9009/otlp"),
        ("exporters: {sapm: {access_token: x}}", "X-SF-Token"),
        ("exporters: {elasticsearch: {}}", "apm-server:8200"),
        ("exporters: {kafka: {}}", "a Collector that has this exporter"),
        ("extensions: {basicauth: {}}", "base64 -w0"),
        ("extensions: {bearertokenauth: {token: x}}", "Bearer ${file:"),
    ] {
        let problems = said(patch, &[]);
        assert_eq!(problems.errors.len(), 1, "{patch}: {problems}");
        assert_eq!(problems.errors[0].reason, "unknown_component");
        assert!(help(&problems.errors[0]).contains(advice), "{patch}: {problems}");
        assert_eq!(problems.warnings, [], "{patch}: nobody is told to list what does not exist");
    }
}

#[test]
fn a_value_that_is_missing_for_an_unset_variable_is_blamed_on_the_variable() {
    for (patch, path) in [
        ("exporters: {otlp_grpc: {endpoint: '${env:ADDRESS}'}}", "exporters.otlp_grpc.endpoint"),
        ("exporters: {otlp_http: {endpoint: '${ADDRESS}'}}", "exporters.otlp_http.endpoint"),
    ] {
        let problems = said(patch, &[]);
        assert_eq!(problems.errors.len(), 1, "{problems}");
        assert_eq!(problems.errors[0].key_path, path);
        assert!(help(&problems.errors[0]).contains("ADDRESS is not set"), "{problems}");
        assert_eq!(problems.warnings, [], "said once");
    }
}

#[test]
fn an_endpoint_with_the_path_of_a_signal_is_warned_about() {
    let patch = "exporters: {otlp_http: {endpoint: 'https://b:4318/v1/logs'}}";
    let problems = said(patch, &[]);
    assert_eq!(problems.errors, [], "the Collector takes it");
    let warning = problems.warnings.iter().find(|w| w.reason == "doubled_path").unwrap();
    assert!(warning.message.contains("https://b:4318/v1/logs/v1/logs"), "{warning}");
    assert!(help(warning).contains("endpoint: https://b:4318, or logs_endpoint: "), "{warning}");
    let fine = said("exporters: {otlp_http: {endpoint: 'https://b/otlp'}}", &[]);
    assert!(fine.warnings.iter().all(|w| w.reason != "doubled_path"), "{fine}");
}

#[test]
fn a_budget_below_the_largest_request_is_warned_about() {
    let grpc = |keys: &str| {
        said(&format!("receivers: {{otlp: {{protocols: {{grpc: {{{keys}}}}}}}}}"), &[])
    };
    let small = grpc("max_in_flight_bytes: 1MiB");
    assert_eq!(small.warnings.len(), 1, "{small}");
    assert_eq!(small.warnings[0].reason, "never_fits");
    let fitting = grpc("max_in_flight_bytes: 1MiB, max_recv_msg_size_mib: 1");
    assert_eq!(fitting.warnings, []);
}

#[test]
fn what_is_written_without_a_blank_or_a_port_is_answered_with_its_right_spelling() {
    for (patch, advice) in [
        ("exporters:\n  otlp_grpc:\n    endpoint:a:1", "endpoint: a:1"),
        ("exporters: {otlp_grpc: {endpoint: api.example.com}}", "api.example.com:443"),
        ("exporters: {otlp_grpc: {endpoint: 'https://api.example.com'}}", "api.example.com:443"),
    ] {
        let problems = said(patch, &[]);
        assert!(help(&problems.errors[0]).contains(advice), "{patch}: {problems}");
    }
}
