//! Every number the gateway reports about itself, under the Collector's names where it has one.
//!
//! Guarantees that label sets are bounded: their values come from the configuration or from code,
//! never from a peer. Counting takes no lock on the data path: handles are made once and kept.

mod certificates;
mod exports;
mod handshakes;
mod instruments;
mod process;
mod render;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::config::sections::MetricNames;
use crate::config::types::ComponentId;
use crate::metrics::instruments::{
    Block, Connection, ExportFailure, Handshake, Instruments, Outcome, Reason, Reload,
    exporter_labels, receiver_labels, request_labels,
};
use crate::signal::Signal;

pub(crate) use certificates::{End, Epochs};
pub(crate) use exports::{Exported, LastFailure};
pub(crate) use handshakes::Negotiated;

/// Every instrument of one gateway; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Instruments>);

impl Metrics {
    /// Fresh instruments. `resource` is `service.telemetry.resource`: attributes that are added to
    /// `target_info`, or replace `service.name`, `service.version`, `service.instance.id` there.
    pub(crate) fn new(resource: &BTreeMap<String, String>) -> Self {
        Self(Arc::new(Instruments::new(resource)))
    }

    /// The counters of one receiver; `transport` is `grpc` or `http`.
    pub(crate) fn receiver(&self, id: &ComponentId, transport: &'static str) -> ReceiverMetrics {
        let labels = receiver_labels(id, transport);
        ReceiverMetrics(Arc::new(Received {
            accepted: self.0.accepted.handles(&labels),
            refused: self.0.refused.handles(&labels),
            failed: self.0.failed.handles(&labels),
        }))
    }

    /// The counters of one exporter and one of its endpoints.
    pub(crate) fn exporter(
        &self,
        id: &ComponentId,
        address: &str,
        port: u16,
        url_path: Option<&str>,
    ) -> ExporterMetrics {
        let labels = exporter_labels(id, address, port, url_path);
        let make = |labels: &_| Sent {
            sent: self.0.sent.handles(labels),
            send_failed: self.0.send_failed.handles(labels),
            in_flight: Signal::ALL
                .map(|s| self.0.in_flight.get_or_create_owned(&request_labels(id, s))),
            exporter: id.to_string(),
            failures: self.0.export_failures.clone(),
            last_failure: Mutex::default(),
        };
        ExporterMetrics(self.0.exports.of(labels, make))
    }

    /// What became of the batches, by exporter.
    pub(crate) fn exported(&self) -> BTreeMap<String, Exported> {
        self.0.exports.sums()
    }

    /// Counts a TLS handshake: `result` is `ok` or `refused`, `reason` a stable code or empty.
    pub(crate) fn handshake(&self, result: &'static str, reason: &'static str) {
        self.0.handshakes.get_or_create(&Handshake { result, reason }).inc();
    }

    /// Counts a connection as open until the guard is dropped. `listener` is a config key.
    pub(crate) fn connection_opened(&self, listener: &str) -> OpenGuard {
        let labels = Connection { listener: listener.to_owned() };
        self.0.connections_opened.get_or_create(&labels).inc();
        OpenGuard::new(self.0.connections.get_or_create_owned(&labels))
    }

    /// Counts a connection that was ended by one of the gateway's deadlines or bounds.
    pub(crate) fn connection_ended(&self, reason: &'static str) {
        self.0.ended.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a live connection whose client is not trusted any more.
    pub(crate) fn connection_distrusted(&self, reason: &'static str) {
        self.0.distrusted.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a connected client that was judged again: `result` is `trusted`, `revoked`, `expired`,
    /// `untrusted`, or `reported` for one of these three that may stay.
    pub(crate) fn live_reverified(&self, result: &'static str) {
        self.0.live_reverified.get_or_create(&Outcome { result }).inc();
    }

    /// Counts a failed `accept` call, by class of error.
    pub(crate) fn accept_error(&self, reason: &'static str) {
        self.0.accept_errors.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a request that the gateway itself refused.
    pub(crate) fn refusal(&self, reason: &'static str) {
        self.0.refusals.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a reload of a `tls` block: `result` is `success`, `failure` or `unchanged` (the files
    /// are the ones in force again after a failure).
    pub(crate) fn reload(&self, block: &str, result: &'static str) {
        let labels = Reload { block: block.to_owned(), result };
        self.0.reloads.get_or_create(&labels).inc();
        let block = Block { block: block.to_owned() };
        self.0.reload_failing.get_or_create(&block).set(i64::from(result == "failure"));
        if result == "success" {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            self.0.reload_succeeded.get_or_create(&block).set(now);
        }
    }

    /// Says whether changed certificates are found by file events (else by the poll alone).
    pub(crate) fn watching(&self, watching: bool) {
        self.0.watching.set(i64::from(watching));
    }

    /// Counts a log record that sampling left out.
    pub(crate) fn log_dropped(&self) {
        self.0.log_dropped.inc();
    }

    /// Everything in Prometheus' text format 0.0.4, with the names of the Collector's default
    /// reader.
    pub(crate) fn render(&self) -> String {
        self.render_as(MetricNames::default())
    }

    /// The same, with the names of a configured reader.
    pub(crate) fn render_as(&self, names: MetricNames) -> String {
        self.0.render(names)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&BTreeMap::new())
    }
}

/// The `Content-Type` of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// One counter for each signal, by [`Signal::index`].
type PerSignal<T> = [T; 4];

/// What one receiver did with the items it was sent.
#[derive(Clone, Debug)]
pub(crate) struct ReceiverMetrics(Arc<Received>);

#[derive(Debug)]
struct Received {
    accepted: PerSignal<Counter>,
    refused: PerSignal<Counter>,
    failed: PerSignal<Counter>,
}

impl ReceiverMetrics {
    /// Items that the pipeline accepted.
    pub(crate) fn accepted(&self, signal: Signal, items: u64) {
        add(&self.0.accepted, signal, items);
    }

    /// Items that the pipeline refused.
    pub(crate) fn refused(&self, signal: Signal, items: u64) {
        add(&self.0.refused, signal, items);
    }

    /// Items that the receiver itself could not handle.
    pub(crate) fn failed(&self, signal: Signal, items: u64) {
        add(&self.0.failed, signal, items);
    }
}

/// What became of the items given to one exporter.
#[derive(Clone, Debug)]
pub(crate) struct ExporterMetrics(Arc<Sent>);

#[derive(Debug)]
struct Sent {
    sent: PerSignal<Counter>,
    send_failed: PerSignal<Counter>,
    in_flight: PerSignal<Gauge>,
    exporter: String,
    failures: Family<ExportFailure, Counter>,
    last_failure: Mutex<Option<LastFailure>>,
}

impl ExporterMetrics {
    /// Items that upstream accepted.
    pub(crate) fn sent(&self, signal: Signal, items: u64) {
        add(&self.0.sent, signal, items);
    }

    /// Items that upstream did not accept.
    pub(crate) fn send_failed(&self, signal: Signal, items: u64) {
        add(&self.0.send_failed, signal, items);
    }

    /// Counts a batch that was not delivered, by the reason code that log and sender see.
    pub(crate) fn failure(&self, reason: &'static str) {
        let exporter = self.0.exporter.clone();
        self.0.failures.get_or_create(&ExportFailure { exporter, reason }).inc();
    }

    /// Remembers what was said of a batch that was not delivered, for the status page.
    pub(crate) fn said_of_failure(&self, reason: &'static str, message: &str) {
        let message = message.to_owned();
        let last = LastFailure { at: SystemTime::now(), reason, message };
        *self.0.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn in_flight(&self, signal: Signal) -> OpenGuard {
        OpenGuard::new(of(&self.0.in_flight, signal).clone())
    }
}

/// Holds a gauge one higher for as long as it lives.
#[derive(Debug)]
pub(crate) struct OpenGuard(Gauge);

impl OpenGuard {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn add(counters: &PerSignal<Counter>, signal: Signal, items: u64) {
    of(counters, signal).inc_by(items);
}

fn of<T>(all: &PerSignal<T>, signal: Signal) -> &T {
    let [traces, metrics, logs, profiles] = all;
    match signal {
        Signal::Traces => traces,
        Signal::Metrics => metrics,
        Signal::Logs => logs,
        Signal::Profiles => profiles,
    }
}

#[cfg(test)]
mod tests;
