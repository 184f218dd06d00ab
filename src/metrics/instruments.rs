//! The instruments, their names, help texts and label sets.
//!
//! Names are contract 9.4's for what the Collector counts too and `portcullis_*` for what is ours.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::config::sections::MetricNames;
use crate::config::types::ComponentId;
use crate::metrics::certificates::Certificates;
use crate::metrics::exports::Exports;
use crate::metrics::handshakes::Handshakes;
use crate::metrics::process::{self, ProcessCollector};
use crate::metrics::{PerSignal, render};
use crate::signal::Signal;

/// The instruments and the two registries that hold them.
#[derive(Debug)]
pub(super) struct Instruments {
    /// Rendered as the reader wants them, without `_total` by default.
    collector: Registry,
    /// Rendered as Prometheus wants it.
    own: Registry,
    pub(super) accepted: ItemCounters,
    pub(super) refused: ItemCounters,
    pub(super) failed: ItemCounters,
    pub(super) sent: ItemCounters,
    pub(super) send_failed: ItemCounters,
    pub(super) in_flight: Family<Labels, Gauge>,
    pub(super) export_failures: Family<ExportFailure, Counter>,
    pub(super) exports: Exports,
    pub(super) handshakes: Family<Handshake, Counter>,
    pub(super) connections: Family<Connection, Gauge>,
    pub(super) connections_opened: Family<Connection, Counter>,
    pub(super) accept_errors: Family<Reason, Counter>,
    pub(super) refusals: Family<Reason, Counter>,
    pub(super) distrusted: Family<Reason, Counter>,
    pub(super) live_reverified: Family<Outcome, Counter>,
    pub(super) ended: Family<Reason, Counter>,
    pub(super) log_dropped: Counter,
    pub(super) reloads: Family<Reload, Counter>,
    pub(super) reload_failing: Family<Block, Gauge>,
    pub(super) reload_succeeded: Family<Block, Gauge>,
    pub(super) watching: Gauge,
    pub(super) certificates: Certificates,
    pub(super) handshake: Handshakes,
}

impl Instruments {
    pub(super) fn new(resource: &BTreeMap<String, String>) -> Self {
        let mut instruments = Self {
            collector: Registry::default(),
            own: Registry::default(),
            accepted: ItemCounters::default(),
            refused: ItemCounters::default(),
            failed: ItemCounters::default(),
            sent: ItemCounters::default(),
            send_failed: ItemCounters::default(),
            in_flight: Family::default(),
            export_failures: Family::default(),
            exports: Exports::default(),
            handshakes: Family::default(),
            connections: Family::default(),
            connections_opened: Family::default(),
            accept_errors: Family::default(),
            refusals: Family::default(),
            distrusted: Family::default(),
            live_reverified: Family::default(),
            ended: Family::default(),
            log_dropped: Counter::default(),
            reloads: Family::default(),
            reload_failing: Family::default(),
            reload_succeeded: Family::default(),
            watching: Gauge::default(),
            certificates: Certificates::default(),
            handshake: Handshakes::default(),
        };
        instruments.register_collector_names(resource);
        instruments.register_own_names();
        instruments.register_losses();
        instruments
    }

    pub(super) fn render(&self, names: MetricNames) -> String {
        render::both(&self.collector, &self.own, names)
    }

    fn register_collector_names(&mut self, resource: &BTreeMap<String, String>) {
        let registry = &mut self.collector;
        let receiver = "otelcol_receiver";
        self.accepted.register(registry, receiver, "accepted", "accepted by the pipeline");
        self.refused.register(registry, receiver, "refused", "that the pipeline refused");
        self.failed.register(registry, receiver, "failed", "that the receiver could not handle");
        let exporter = "otelcol_exporter";
        self.sent.register(registry, exporter, "sent", "that upstream accepted");
        self.send_failed.register(registry, exporter, "send_failed", "upstream did not accept");
        registry.register(
            "otelcol_exporter_in_flight_requests",
            "Export requests waiting for upstream's answer",
            self.in_flight.clone(),
        );
        registry.register("target", "Target metadata", Info::new(process::target_labels(resource)));
        registry.register_collector(Box::new(ProcessCollector::start()));
    }

    /// What did not get through, batches and log records.
    fn register_losses(&mut self) {
        let registry = &mut self.own;
        registry.register(
            "portcullis_export_failures",
            "Batches that an exporter did not deliver, by reason",
            self.export_failures.clone(),
        );
        registry.register(
            "portcullis_log_records_dropped",
            "Log records left out by service.telemetry.logs.sampling, or not taken by their output in time",
            self.log_dropped.clone(),
        );
    }

    fn register_own_names(&mut self) {
        let registry = &mut self.own;
        self.certificates.register(registry);
        self.handshake.register(registry);
        registry.register(
            "portcullis_tls_handshakes",
            "TLS handshakes of senders by result and reason",
            self.handshakes.clone(),
        );
        registry.register(
            "portcullis_connections",
            "Open connections of senders",
            self.connections.clone(),
        );
        registry.register(
            "portcullis_connections_opened",
            "Connections accepted from senders",
            self.connections_opened.clone(),
        );
        registry.register(
            "portcullis_accept_errors",
            "Failed accept calls by class of error",
            self.accept_errors.clone(),
        );
        registry.register(
            "portcullis_requests_refused",
            "Requests refused by the gateway itself, by reason",
            self.refusals.clone(),
        );
        registry.register(
            "portcullis_connections_revoked",
            "Live connections ended because their client's certificate is not accepted any more",
            self.distrusted.clone(),
        );
        registry.register(
            "portcullis_tls_live_reverify",
            "Clients of open connections that were judged again, once for all their connections, by \
             result",
            self.live_reverified.clone(),
        );
        registry.register(
            "portcullis_connections_ended",
            "Connections of senders ended by a deadline or bound of the gateway, by reason",
            self.ended.clone(),
        );
        registry.register(
            "portcullis_tls_reloads",
            "Reloads of certificates by tls block and result",
            self.reloads.clone(),
        );
        registry.register(
            "portcullis_tls_reload_failing",
            "1 while the files of a tls block cannot be used and the last good ones are in force",
            self.reload_failing.clone(),
        );
        registry.register(
            "portcullis_tls_last_reload_success_timestamp_seconds",
            "When the files of a tls block were last reloaded",
            self.reload_succeeded.clone(),
        );
        registry.register(
            "portcullis_tls_watcher",
            "1 while changed certificates are found by file events, 0 when by the poll alone",
            self.watching.clone(),
        );
    }
}

/// One counter family for each signal, named by what an item of the signal is called.
#[derive(Debug, Default)]
pub(super) struct ItemCounters(PerSignal<Family<Labels, Counter>>);

impl ItemCounters {
    /// The counters of one label set. They exist from here on, so that a rate has a zero to start
    /// from.
    pub(super) fn handles(&self, labels: &Labels) -> PerSignal<Counter> {
        self.0.each_ref().map(|family| family.get_or_create_owned(labels))
    }

    fn register(&self, registry: &mut Registry, prefix: &str, verb: &str, help: &str) {
        for (signal, family) in Signal::ALL.into_iter().zip(&self.0) {
            let items = signal.items_name();
            registry.register(
                format!("{prefix}_{verb}_{items}"),
                format!("Number of {} {help}", items.replace('_', " ")),
                family.clone(),
            );
        }
    }
}

/// Labels that differ from one component to the next.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The labels of `otelcol_receiver_*`.
pub(super) fn receiver_labels(id: &ComponentId, transport: &'static str) -> Labels {
    vec![("receiver", id.to_string()), ("transport", transport.to_owned())]
}

/// The labels of `otelcol_exporter_sent_*` and `_send_failed_*`.
pub(super) fn exporter_labels(
    id: &ComponentId,
    address: &str,
    port: u16,
    url_path: Option<&str>,
) -> Labels {
    let mut labels = vec![
        ("exporter", id.to_string()),
        ("server_address", address.to_owned()),
        ("server_port", port.to_string()),
    ];
    labels.extend(url_path.map(|path| ("url_path", path.to_owned())));
    labels
}

/// The labels of `otelcol_exporter_in_flight_requests`.
pub(super) fn request_labels(id: &ComponentId, signal: Signal) -> Labels {
    vec![("exporter", id.to_string()), ("data_type", signal.name().to_owned())]
}

/// Labels of `portcullis_tls_handshakes_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Handshake {
    pub(super) result: &'static str,
    pub(super) reason: &'static str,
}

/// Labels of the connection instruments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Connection {
    pub(super) listener: String,
}

/// Labels of `portcullis_tls_reloads_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reload {
    pub(super) block: String,
    pub(super) result: &'static str,
}

/// The config key of a `tls` block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Block {
    pub(super) block: String,
}

/// What became of something, alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    pub(super) result: &'static str,
}

/// Labels of `portcullis_export_failures_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ExportFailure {
    pub(super) exporter: String,
    pub(super) reason: &'static str,
}

/// A stable reason code alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
}
