//! What a scrape shows.

use std::collections::BTreeMap;

use crate::config::sections::MetricNames;
use crate::config::types::ComponentId;
use crate::metrics::{End, Epochs, Metrics};
use crate::signal::Signal;

fn id(kind: &str, name: Option<&str>) -> ComponentId {
    ComponentId { kind: kind.to_owned(), name: name.map(str::to_owned) }
}

fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[test]
fn receiver_counters_have_the_names_and_labels_of_the_collector() {
    let metrics = Metrics::default();
    let receiver = metrics.receiver(&id("otlp", Some("2")), "grpc");
    receiver.accepted(Signal::Traces, 512);
    receiver.accepted(Signal::Traces, 1);
    receiver.refused(Signal::Logs, 3);
    let text = metrics.render();
    let labels = r#"{receiver="otlp/2",transport="grpc"}"#;
    let series = format!("otelcol_receiver_accepted_spans{labels}");
    assert_eq!(value(&text, &series), Some("513"));
    let series = format!("otelcol_receiver_refused_log_records{labels}");
    assert_eq!(value(&text, &series), Some("3"));
    let series = format!("otelcol_receiver_failed_profile_samples{labels}");
    assert_eq!(value(&text, &series), Some("0"));
    assert!(text.contains("# TYPE otelcol_receiver_accepted_spans counter\n"));
}

/// Scenario: the reader as charts write it, and as the Collector's documentation mends it.
/// Guarantees: a dashboard finds the names that it would find at the Collector.
#[test]
#[cfg(target_os = "linux")]
fn a_configured_reader_has_suffixes_unless_it_is_told_not_to() {
    let metrics = Metrics::default();
    metrics.receiver(&id("otlp", None), "grpc").accepted(Signal::Traces, 3);
    metrics.handshake("ok", "");
    let names = |type_suffix, units| metrics.render_as(MetricNames { type_suffix, units });
    let labels = r#"{receiver="otlp",transport="grpc"}"#;
    let both = names(true, true);
    for series in ["otelcol_process_uptime_seconds_total", "otelcol_process_cpu_seconds_total"] {
        assert!(value(&both, series).is_some(), "{series}:\n{both}");
    }
    assert!(value(&both, "otelcol_process_memory_rss_bytes").is_some(), "{both}");
    let accepted = format!("otelcol_receiver_accepted_spans_total{labels}");
    assert_eq!(value(&both, &accepted), Some("3"));
    assert!(both.contains("# TYPE otelcol_receiver_accepted_spans_total counter\n"), "{both}");
    assert_eq!(value(&names(true, false), &accepted), Some("3"));
    assert!(value(&names(true, false), "otelcol_process_uptime_total").is_some());
    assert!(value(&names(false, true), "otelcol_process_uptime_seconds").is_some());
    assert!(value(&names(false, false), "otelcol_process_uptime").is_some());
    // Ours have one spelling.
    let own = r#"portcullis_tls_handshakes_total{result="ok",reason=""}"#;
    assert_eq!(value(&names(false, false), own), Some("1"));
    assert_eq!(value(&both, own), Some("1"));
}

#[test]
fn exporter_counters_name_the_endpoint_and_a_guard_counts_requests_in_flight() {
    let metrics = Metrics::default();
    let exporter = metrics.exporter(&id("otlp_http", None), "b.example", 443, Some("/v1/logs"));
    exporter.sent(Signal::Logs, 7);
    exporter.send_failed(Signal::Logs, 2);
    let labels = concat!(
        r#"{exporter="otlp_http",server_address="b.example","#,
        r#"server_port="443",url_path="/v1/logs"}"#
    );
    let in_flight = r#"otelcol_exporter_in_flight_requests{exporter="otlp_http",data_type="logs"}"#;
    let guard = exporter.in_flight(Signal::Logs);
    let text = metrics.render();
    let series = format!("otelcol_exporter_sent_log_records{labels}");
    assert_eq!(value(&text, &series), Some("7"));
    let series = format!("otelcol_exporter_send_failed_log_records{labels}");
    assert_eq!(value(&text, &series), Some("2"));
    assert_eq!(value(&text, in_flight), Some("1"));
    drop(guard);
    assert_eq!(value(&metrics.render(), in_flight), Some("0"));
}

#[test]
fn our_own_counters_keep_the_total_suffix() {
    let metrics = Metrics::default();
    metrics.handshake("refused", "client_cert_expired");
    metrics.handshake("refused", "client_cert_expired");
    metrics.refusal("body_too_large");
    metrics.accept_error("too_many_files");
    metrics.log_dropped();
    let open = metrics.connection_opened("receivers.otlp.protocols.grpc");
    let text = metrics.render();
    let handshakes =
        r#"portcullis_tls_handshakes_total{result="refused",reason="client_cert_expired"}"#;
    assert_eq!(value(&text, handshakes), Some("2"));
    let refused = r#"portcullis_requests_refused_total{reason="body_too_large"}"#;
    assert_eq!(value(&text, refused), Some("1"));
    let connections = r#"portcullis_connections{listener="receivers.otlp.protocols.grpc"}"#;
    assert_eq!(value(&text, connections), Some("1"));
    assert_eq!(value(&text, "portcullis_log_records_dropped_total"), Some("1"));
    drop(open);
    assert_eq!(value(&metrics.render(), connections), Some("0"));
}

#[test]
fn a_block_shows_the_ends_of_its_generation_in_force_and_no_others() {
    let metrics = Metrics::default();
    let end = |name: &str, not_after| End {
        role: "ca",
        name: name.to_owned(),
        fingerprint: "12345678".to_owned(),
        not_before: 4,
        not_after,
    };
    let epochs = |trust: &str| Epochs { trust: trust.to_owned(), identity: "own".to_owned() };
    metrics.certificates("a.tls", 1, &epochs("1"), &[end("CN=old", 5), end("CN=kept", 6)]);
    metrics.certificates("b.tls", 2, &epochs("2"), &[end("CN=old", 7)]);
    metrics.certificates("a.tls", 3, &epochs("3"), &[end("CN=kept", 6)]);
    let text = metrics.render();
    let series = |block: &str, name: &str| {
        format!(
            "portcullis_tls_not_after_timestamp_seconds{{block=\"{block}\",role=\"ca\",\
             name=\"{name}\",fingerprint=\"12345678\"}}"
        )
    };
    assert_eq!(value(&text, &series("a.tls", "CN=kept")), Some("6"));
    assert_eq!(value(&text, &series("a.tls", "CN=old")), None);
    assert_eq!(value(&text, &series("b.tls", "CN=old")), Some("7"));
    let before = series("a.tls", "CN=kept").replace("not_after", "not_before");
    assert_eq!(value(&text, &before), Some("4"));
    let epoch = |block: &str, trust: &str| {
        let labels = format!("block=\"{block}\",trust=\"{trust}\",identity=\"own\"");
        value(&text, &format!("portcullis_tls_epoch_info{{{labels}}}"))
    };
    let shown = [epoch("a.tls", "1"), epoch("a.tls", "3"), epoch("b.tls", "2")];
    assert_eq!(shown, [None, Some("1"), Some("1")]);
    let open = metrics.connection_of("CN=kept");
    let by_issuer = "portcullis_tls_connections_by_issuer{ca=\"CN=kept\"}";
    assert_eq!(value(&metrics.render(), by_issuer), Some("1"));
    drop(open);
    assert_eq!(value(&metrics.render(), by_issuer), Some("0"));
    assert_eq!(value(&text, "portcullis_tls_generation{block=\"a.tls\"}"), Some("3"));
}

#[test]
fn target_info_carries_the_resource_and_nothing_else_does() {
    let resource = BTreeMap::from([
        ("deployment.environment".to_owned(), "prod \"eu\"".to_owned()),
        ("service.name".to_owned(), "edge".to_owned()),
    ]);
    let text = Metrics::new(&resource).render();
    let line = text.lines().find(|line| line.starts_with("target_info{"));
    let line = line.expect("target_info is always there");
    assert!(line.contains(r#"service_name="edge""#), "{line}");
    assert!(line.contains(r#"deployment_environment="prod \"eu\"""#), "{line}");
    assert!(line.contains("service_instance_id="), "{line}");
    assert_eq!(text.matches("deployment_environment").count(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_reports_uptime_cpu_and_memory() {
    let text = Metrics::default().render();
    for name in ["uptime", "cpu_seconds", "memory_rss", "runtime_heap_alloc_bytes"] {
        assert!(value(&text, &format!("otelcol_process_{name}")).is_some(), "{name}:\n{text}");
    }
}
