//! Reading as an operator meets it: sources, merging, expansion, defaults.

mod accepted;
mod advice;
mod expansion;
mod identity;
mod wrong;

use std::time::Duration;

use crate::config::sections::{
    ClientAuth, Config, Exporter, MetricsLevel, OnDoubt, RevocationScope,
};
use crate::config::types::{ComponentId, ListenAddress, PemSource, Upstream};
use crate::config::{Environment, Problem, Problems, Source, load};
use crate::signal::Signal;

fn source(configs: &[&str], sets: &[&str], env: &[(&str, &str)]) -> Source {
    let env: Vec<(String, String)> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Source {
        configs: configs.iter().map(|text| (*text).to_owned()).collect(),
        sets: sets.iter().map(|text| (*text).to_owned()).collect(),
        env: Environment::new(move |name| {
            env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        }),
    }
}

fn read(
    configs: &[&str],
    sets: &[&str],
    env: &[(&str, &str)],
) -> Result<(Config, Problems), Problems> {
    let configs: Vec<String> = configs.iter().map(|text| format!("yaml:{text}")).collect();
    let configs: Vec<&str> = configs.iter().map(String::as_str).collect();
    load(&source(&configs, sets, env))
}

fn config(text: &str) -> (Config, Vec<Problem>) {
    match read(&[text], &[], &[]) {
        Ok((config, problems)) => (config, problems.warnings),
        Err(problems) => panic!("{problems}"),
    }
}

fn id(text: &str) -> ComponentId {
    let (kind, name) = text.split_once('/').map_or((text, None), |(k, n)| (k, Some(n)));
    ComponentId { kind: kind.to_owned(), name: name.map(str::to_owned) }
}

/// What the tables change.
const BASE: &str = "
receivers: {otlp: {protocols: {grpc: {}}}}
exporters: {otlp_grpc: {endpoint: 'backend:4317'}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_grpc]}}}
";

const MINIMAL: &str = "
receivers:
  otlp:
    protocols:
      grpc:
exporters:
  otlp_grpc:
    endpoint: backend:4317
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp_grpc]
";

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let (config, warnings) = config(MINIMAL);
    assert_eq!(warnings, []);
    let receiver = &config.receivers[&id("otlp")];
    let grpc = receiver.grpc.as_ref().unwrap();
    assert_eq!(grpc.server.listen, ListenAddress::Tcp("localhost:4317".to_owned()));
    assert_eq!(grpc.server.max_request_bytes, 64 << 20);
    assert_eq!(grpc.server.key_path, "receivers.otlp.protocols.grpc");
    assert!(grpc.server.tls.is_none() && receiver.http.is_none());
    let Exporter::Grpc(exporter) = &config.exporters[&id("otlp_grpc")] else { panic!() };
    assert_eq!(exporter.upstream, Upstream::Tcp { host: "backend".to_owned(), port: 4317 });
    assert_eq!(exporter.timeout, Duration::from_secs(5));
    assert!(exporter.tls.is_some(), "TLS against the system's roots");
    assert!(exporter.queue.as_ref().unwrap().wait_for_result);
    assert_eq!(config.service.telemetry.metrics_level, MetricsLevel::Normal);
    assert_eq!(config.service.telemetry.metrics_readers[0].port, 8888);
}

#[test]
fn a_tls_block_names_its_files_and_keys() {
    let (config, _) = config(&MINIMAL.replace(
        "      grpc:\n",
        "      grpc:\n        tls: {cert_file: /c, key_pem: KEY, client_ca_file: /ca, min_version: '1.3'}\n",
    ));
    let tls = config.receivers[&id("otlp")].grpc.as_ref().unwrap().server.tls.clone().unwrap();
    let cert = tls.common.cert.unwrap();
    assert_eq!(cert.source, PemSource::File("/c".into()));
    assert_eq!(cert.key_path.as_ref(), "receivers.otlp.protocols.grpc.tls.cert_file");
    assert!(!format!("{:?}", tls.common.key).contains("KEY"));
    assert!(tls.client_ca.is_some());
}

#[test]
fn a_tls_block_names_its_revocation_lists_and_what_they_decide() {
    let (config, warnings) = config(&MINIMAL.replace(
        "      grpc:\n",
        "      grpc:\n        tls: {cert_file: /c, key_file: /k, client_ca_file: /ca, client_crl_file: [/1, /2],\n          revocation: {scope: leaf, expired: allow}, session_resumption: enabled}\n",
    ));
    let tls = config.receivers[&id("otlp")].grpc.as_ref().unwrap().server.tls.clone().unwrap();
    let paths: Vec<_> = tls.client_crl.iter().map(|crl| crl.key_path.as_ref()).collect();
    assert_eq!(paths[1], "receivers.otlp.protocols.grpc.tls.client_crl_file[1]");
    assert_eq!(tls.revocation.scope, RevocationScope::Leaf);
    assert_eq!((tls.revocation.unknown, tls.revocation.expired), (OnDoubt::Deny, OnDoubt::Allow));
    assert_eq!((tls.client_auth, tls.session_resumption), (ClientAuth::Require, Some(true)));
    assert_eq!(tls.trust_loss_grace, Duration::from_secs(10));
    let reasons: Vec<_> = warnings.iter().map(|warning| warning.reason).collect();
    assert_eq!(reasons, ["tls_revocation_lenient"]);
}

#[test]
fn later_sources_merge_maps_and_replace_the_rest_and_set_comes_last() {
    let over = "exporters: {otlp_grpc: {timeout: 1s, headers: {a: b}}}";
    let more = "service: {pipelines: {traces: {exporters: [otlp_grpc, debug]}}}\nexporters::debug:";
    let (config, _) =
        read(&[MINIMAL, over, more], &["exporters.otlp_grpc.timeout=9s"], &[]).unwrap();
    let Exporter::Grpc(exporter) = &config.exporters[&id("otlp_grpc")] else { panic!() };
    assert_eq!((exporter.timeout, exporter.headers.len()), (Duration::from_secs(9), 1));
    assert_eq!(exporter.endpoint, "backend:4317");
    let traces = config.service.pipelines.iter().find(|(p, _)| p.signal == Signal::Traces);
    assert_eq!(traces.unwrap().1.exporters, [id("otlp_grpc"), id("debug")]);
}

/// Scenario: the default reader, and configured ones of both generations of the schema.
#[test]
fn a_configured_metrics_reader_spells_names_as_the_collectors_does() {
    let of = |keys: &str| {
        let reader = format!("{{pull: {{exporter: {{{keys}}}}}}}");
        let (config, _) =
            config(&format!("{MINIMAL}  telemetry: {{metrics: {{readers: [{reader}]}}}}"));
        let names = config.service.telemetry.metrics_readers[0].names;
        (names.type_suffix, names.units)
    };
    assert_eq!(of("prometheus: {port: 1}"), (true, true));
    assert_eq!(of("prometheus: {port: 1, without_type_suffix: true}"), (false, true));
    assert_eq!(of("prometheus: {port: 1, without_units: true}"), (true, false));
    let with = |strategy: &str| {
        of(&format!("prometheus/development: {{port: 1, translation_strategy: {strategy}}}"))
    };
    assert_eq!(with("UnderscoreEscapingWithoutSuffixes"), (false, false));
    assert_eq!(with("underscore_escaping_with_suffixes/development"), (true, true));
    let (config, _) = config(MINIMAL);
    let names = config.service.telemetry.metrics_readers[0].names;
    assert_eq!((names.type_suffix, names.units), (false, false));
}

/// Scenario: the same limits of idle connections, in the block and in the keys before it.
/// Guarantees: both say the same, and `enabled: false` is what the old switches were.
#[test]
fn a_keepalive_block_says_what_the_flat_keys_say() {
    let of = |server: &str, client: &str| {
        let (config, _) = config(&format!(
            "receivers: {{otlp: {{protocols: {{http: {{{server}}}}}}}}}\n\
             exporters: {{otlp_http: {{endpoint: 'https://backend', {client}}}}}\n\
             service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [otlp_http]}}}}}}",
        ));
        let http = config.receivers[&id("otlp")].http.clone().unwrap();
        let Exporter::Http(out) = &config.exporters[&id("otlp_http")] else { panic!() };
        let idle =
            (out.idle_conn_timeout.as_secs(), out.max_idle_conns, out.max_idle_conns_per_host);
        let server = (http.keep_alives_enabled, http.server.limits.idle_timeout);
        (server, idle, out.disable_keep_alives)
    };
    let minutes = Some(Duration::from_secs(120));
    let flat = "idle_conn_timeout: 7s, max_idle_conns: 5, max_idle_conns_per_host: 3";
    let block = format!("keepalive: {{{flat}}}");
    let wanted = ((true, minutes), (7, 5, 3), false);
    assert_eq!(of("idle_timeout: 2m", flat), wanted);
    assert_eq!(of("keepalive: {idle_timeout: 2m}", &block), wanted);
    let wanted = ((false, None), (90, 100, 2), true);
    assert_eq!(of("keep_alives_enabled: false", "disable_keep_alives: true"), wanted);
    let off = "keepalive: {enabled: false}";
    assert_eq!(of(off, off), wanted);
    assert_eq!(of("", ""), ((true, None), (90, 100, 2), false));
    assert_eq!(of("keepalive: {}", "keepalive:"), of("", ""));
}

#[test]
fn a_connection_may_grow_old_unless_an_age_is_written_and_zero_is_none() {
    let http = "      http:\n        max_connection_age: AGE\n";
    let grpc = "      grpc:\n        keepalive: {server_parameters: {max_connection_age: AGE}}\n";
    let ages = |text: &str| {
        let (config, _) = config(&MINIMAL.replace("      grpc:\n", text));
        let receiver = &config.receivers[&id("otlp")];
        let of = |server: &crate::config::sections::Server| server.limits.max_connection_age;
        (of(&receiver.grpc.as_ref().unwrap().server), of(&receiver.http.as_ref().unwrap().server))
    };
    let written = |age: &str| ages(&format!("{grpc}{http}").replace("AGE", age));
    let age = Some(Duration::from_secs(1800));
    assert_eq!(written("30m"), (age, age));
    assert_eq!(written("0s"), (None, None));
    assert_eq!(ages("      grpc:\n      http:\n"), (None, None));
}

/// Guarantees: both ends of a range of ours are accepted; what is beyond them is in the table of
/// wrong ones.
#[test]
fn side_threads_may_be_from_one_to_as_many_as_a_runtime_has() {
    for count in [1, 512] {
        let set = format!("service.side_threads={count}");
        let (config, _) = read(&[MINIMAL], &[&set], &[]).unwrap();
        assert_eq!(config.service.side_threads, Some(count));
    }
}

#[test]
fn edited_requests_may_hold_half_a_gibibyte_or_what_is_written() {
    for (sets, expected) in [(&[][..], 512 << 20), (&["service.max_edited_bytes=1MiB"], 1 << 20)] {
        let (config, _) = read(&[MINIMAL], sets, &[]).unwrap();
        assert_eq!(config.service.max_edited_bytes, expected);
    }
}
