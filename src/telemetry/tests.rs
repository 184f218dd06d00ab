//! What a log line looks like and which ones are written.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::sections::{LogEncoding, LogLevel, LogSampling, Logs};
use crate::metrics::Metrics;
use crate::telemetry::Telemetry;
use crate::telemetry::output::Outputs;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(logs: &Logs, act: impl FnOnce()) -> (Vec<String>, Telemetry) {
    let sink = Sink::default();
    let (subscriber, telemetry) = Telemetry::subscriber(logs, Outputs::to(Box::new(sink.clone())));
    tracing::subscriber::with_default(subscriber, act);
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    (text.lines().map(str::to_owned).collect(), telemetry)
}

fn json() -> Logs {
    Logs { encoding: LogEncoding::Json, ..Logs::default() }
}

#[test]
fn a_console_line_has_time_level_target_message_and_fields() {
    let (lines, _) = logged(&Logs::default(), || {
        tracing::info!(port = 4317, peer = %"10.0.0.7", ok = true, "listening");
    });
    let columns: Vec<&str> = lines[0].split('\t').collect();
    assert!(columns[0].ends_with('Z') && columns[0].len() == 24, "{columns:?}");
    assert_eq!(columns[1], "info");
    assert_eq!(columns[2], "telemetry::tests");
    assert_eq!(columns[3], "listening");
    assert_eq!(columns[4], r#"{"port": 4317, "peer": "10.0.0.7", "ok": true}"#);
}

#[test]
fn a_json_line_is_one_object_whatever_a_peer_sends() {
    let hostile = "CN=x\",\"level\":\"error\"\n{\"msg\":\"forged\"}\u{1b}[2J\u{2028}";
    let (lines, _) = logged(&json(), || tracing::warn!(subject = hostile, "refused"));
    assert_eq!(lines.len(), 1);
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(value["level"], "warn");
    assert_eq!(value["msg"], "refused");
    assert_eq!(value["subject"], hostile);
    assert!(!lines[0].contains('\u{1b}'));
}

#[test]
fn a_console_line_stays_one_line_whatever_a_peer_sends() {
    let (lines, _) = logged(&Logs::default(), || {
        tracing::warn!(subject = "a\n2026-01-01T00:00:00.000Z\terror\tforged", "refused\nx");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_block_is_indented_below_its_console_line() {
    let (lines, _) = logged(&Logs::default(), || {
        tracing::info!(text_block = "ResourceSpans #0\n  name: a", "traces");
    });
    assert_eq!(lines[1], "    ResourceSpans #0");
    assert_eq!(lines[2], "      name: a");
}

#[test]
fn the_tls_block_that_a_record_is_about_stands_on_its_own_line() {
    let (lines, recent) = logged(&Logs::default(), || {
        tracing::warn!(block = "receivers.otlp.protocols.grpc.tls", "it ends");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(r#""block": "receivers.otlp.protocols.grpc.tls""#), "{lines:?}");
    let page = recent.recent().records();
    assert!(page[0].text.contains("receivers.otlp.protocols.grpc.tls"), "{page:?}");
}

#[test]
fn initial_fields_stand_on_every_record() {
    let initial_fields = BTreeMap::from([("site".to_owned(), "eu-1".to_owned())]);
    let (lines, _) = logged(&Logs { initial_fields, ..json() }, || tracing::info!("up"));
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(value["site"], "eu-1");
}

#[test]
fn records_below_the_level_and_chatter_of_libraries_are_left_out() {
    let logs = Logs { level: LogLevel::Debug, ..Logs::default() };
    let (lines, _) = logged(&logs, || {
        tracing::debug!("ours");
        tracing::debug!(target: "h2::codec", "theirs");
        tracing::warn!(target: "h2::codec", "their warning");
        tracing::trace!("too fine");
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    let (lines, _) = logged(&Logs::default(), || tracing::debug!("ours"));
    assert!(lines.is_empty());
}

/// Two exporters fail, one of them all the time.
#[test]
fn records_of_another_exporter_or_reason_are_not_hidden_by_a_flood() {
    let sampling = LogSampling { tick: Duration::from_secs(3600), initial: 2, thereafter: 0 };
    let logs = Logs { sampling: Some(sampling), ..Logs::default() };
    let (lines, _) = logged(&logs, || {
        for batch in 0..100 {
            tracing::warn!(exporter = "a", reason = "upstream_refused", batch, "export failed");
        }
        tracing::warn!(exporter = "b", reason = "upstream_refused", "export failed");
        tracing::warn!(exporter = "a", reason = "upstream_deadline", "export failed");
    });
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].contains(r#""b""#) && lines[3].contains("upstream_deadline"), "{lines:?}");
}

#[test]
fn repeated_records_are_sampled_but_the_debug_exporter_is_not() {
    let sampling = LogSampling { tick: Duration::from_secs(3600), initial: 2, thereafter: 0 };
    let logs = Logs { sampling: Some(sampling), ..Logs::default() };
    let (lines, _) = logged(&logs, || {
        for _ in 0..5 {
            tracing::info!("same");
            tracing::info!(target: "portcullis::exporter::debug", "batch");
        }
    });
    assert_eq!(lines.iter().filter(|line| line.contains("same")).count(), 2);
    assert_eq!(lines.iter().filter(|line| line.contains("batch")).count(), 5);
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot load certificate")]
    struct Outer(#[source] io::Error);
    let (lines, _) = logged(&json(), || {
        let error = Outer(io::Error::other("permission denied"));
        tracing::error!(error = &error as &dyn std::error::Error, "reload failed");
    });
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(value["error"], "cannot load certificate: permission denied");
}

#[test]
fn warnings_are_kept_for_the_status_page() {
    let (_, telemetry) = logged(&Logs::default(), || {
        tracing::info!("fine");
        tracing::warn!(reason = "client_cert_expired", "handshake refused");
    });
    let records = telemetry.recent().records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].level, "warn");
    assert_eq!(records[0].text, r#"handshake refused reason="client_cert_expired""#);
}

/// Takes nothing, as a disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_an_output_does_not_take_is_counted() {
    let outputs = Outputs::to(Box::new(Full));
    let (subscriber, telemetry) = Telemetry::subscriber(&Logs::default(), outputs);
    let metrics = Metrics::default();
    telemetry.report_to(&metrics);
    tracing::subscriber::with_default(subscriber, || tracing::info!("said to nobody"));
    assert!(metrics.render().contains("portcullis_log_records_dropped_total 1\n"));
}

#[test]
fn an_output_that_cannot_be_opened_is_named() {
    let error =
        Outputs::open("some.output_paths", &["/nonexistent/x.log".to_owned()]).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("some.output_paths"), "{text}");
    assert!(text.contains("/nonexistent/x.log"), "{text}");
}
