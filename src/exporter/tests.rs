//! Large batches are encoded beside the thread that sends them, and fail alone.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::time::{Instant, timeout};
use tonic::Code;

use super::testing::web::{Web, http_config, success};
use super::testing::{Backend, Reply, eventually, grpc_config};
use super::{Blueprint, Exporter};
use crate::aside::Aside;
use crate::batch::{Batch, Room, Rope};
use crate::config::sections::{ClientTls, Exporter as Section, GrpcExporter, HttpExporter};
use crate::config::types::{ComponentId, Compression};
use crate::metrics::Metrics;
use crate::outcome::{Accepted, Failure, Side};
use crate::signal::Signal;

/// A way to send on which a large batch is encoded first.
struct Way {
    exporter: Exporter,
    aside: Aside,
    metrics: Metrics,
    backend: Upstream,
}

enum Upstream {
    Grpc(Backend),
    Http(Web),
}

impl Way {
    fn new(section: &Section, backend: Upstream) -> Self {
        Self::within(section, backend, &Room::new(usize::MAX))
    }

    fn within(section: &Section, backend: Upstream, room: &Room) -> Self {
        let (aside, metrics) = (Aside::new(1), Metrics::default());
        let id = ComponentId { kind: "otlp".to_owned(), name: None };
        let blueprint =
            Blueprint::load(&id, section, (&aside, room), &metrics, &mut Vec::new()).unwrap();
        Self { exporter: Exporter::new(&blueprint), aside, metrics, backend }
    }

    async fn grpc() -> Self {
        let backend = Backend::start(None, |_, _| Reply::ok()).await;
        let config =
            GrpcExporter { compression: Compression::Gzip, ..grpc_config(backend.address, None) };
        Self::new(&Section::Grpc(Box::new(config)), Upstream::Grpc(backend))
    }

    async fn http(change: impl FnOnce(&mut HttpExporter)) -> Self {
        let web = Web::start(None, |_, _| success()).await;
        let base = format!("http://{}", web.address);
        let mut config = http_config(&base, ClientTls::default());
        change(&mut config);
        Self::new(&Section::Http(Box::new(config)), Upstream::Http(web))
    }

    /// Each protocol with compression, and JSON.
    async fn all() -> [Self; 3] {
        [
            Self::grpc().await,
            Self::http(|config| config.compression = Compression::Gzip).await,
            Self::http(|config| config.json = true).await,
        ]
    }

    /// Requests that arrived.
    fn arrived(&self) -> usize {
        match &self.backend {
            Upstream::Grpc(backend) => backend.seen().len(),
            Upstream::Http(web) => web.seen().len(),
        }
    }

    async fn accepts(&self, batch: Batch) {
        assert_eq!(self.exporter.export(&batch).await, Ok(Accepted::default()));
    }

    /// Shows that a large batch is answered so, counted, and not sent.
    async fn fails(&self, patience: Duration, code: Code, reason: &str) -> Failure {
        let before = self.arrived();
        let failure = self.exporter.export(&large(patience)).await.unwrap_err();
        assert_eq!((failure.code, failure.side), (code, Side::Internal), "{failure:?}");
        assert_eq!(failure.reason, reason);
        let text = self.metrics.render();
        let label = format!("reason=\"{reason}\"");
        let counted = text.lines().find(|line| line.contains(&label));
        assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{counted:?}");
        assert_eq!(self.arrived(), before, "nothing was sent");
        failure
    }
}

/// One span with a name of so many bytes, from a sender that waits so long.
fn batch(length: usize, patience: Duration) -> Batch {
    let span = Span { name: "x".repeat(length), ..Span::default() };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
    Batch {
        signal: Signal::Traces,
        items: 1,
        decoded: Rope::from(bytes::Bytes::from(request.encode_to_vec())),
        encoded: None,
        identity: None,
        deadline: Instant::now() + patience,
    }
}

fn large(patience: Duration) -> Batch {
    batch(1 << 20, patience)
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Scenario: no room beside the worker for a large batch, and a small one.
/// Guarantees: the small one is sent at once. The large one is refused before its sender gives up,
/// so that it is sent again, and keeps nobody out after that.
#[tokio::test]
async fn a_large_batch_without_room_fails_at_its_deadline_and_small_ones_are_sent() {
    for way in Way::all().await {
        let busy = way.aside.occupy().await;
        way.accepts(batch(1, PATIENCE)).await;
        let patience = Duration::from_millis(200);
        let failure = way.fails(patience, Code::DeadlineExceeded, "encoding_deadline").await;
        assert!(failure.is_retryable());
        assert!(failure.message.starts_with("exporter otlp: "), "{}", failure.message);
        assert!(failure.message.contains("service.side_threads"), "{}", failure.message);
        drop(busy);
        way.accepts(large(PATIENCE)).await;
    }
}

/// Scenario: senders go away while the upstream is silent.
/// Guarantees: their batches count as failed, and as in flight no more.
#[tokio::test]
async fn a_batch_that_is_given_up_counts_as_failed() {
    let backend = Backend::start(None, |_, _| Reply::Hang).await;
    let config = grpc_config(backend.address, None);
    let way = Way::new(&Section::Grpc(Box::new(config)), Upstream::Grpc(backend));
    let sent = batch(1, PATIENCE);
    let mut export = Box::pin(way.exporter.export(&sent));
    while way.arrived() == 0 {
        let _silent = timeout(Duration::from_millis(5), &mut export).await;
    }
    drop(export);
    let text = way.metrics.render();
    let value = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(value("otelcol_exporter_send_failed_spans").ends_with(" 1"), "{text}");
    assert!(value("otelcol_exporter_in_flight_requests").ends_with(" 0"), "{text}");
    assert!(text.contains("reason=\"given_up\"} 1\n"), "{text}");
}

/// Scenario: what becomes JSON may hold little; one batch fits beside nothing else, another does not
/// fit at all.
/// Guarantees: the one is refused so that it is sent again, and is sent once there is room; the other
/// is refused for good. Neither holds anything after that.
#[tokio::test]
async fn json_holds_no_more_bytes_than_it_may() {
    let web = Web::start(None, |_, _| success()).await;
    let mut config = http_config(&format!("http://{}", web.address), ClientTls::default());
    config.json = true;
    let room = Room::new(100 << 10);
    let section = Section::Http(Box::new(config));
    let way = Way::within(&section, Upstream::Http(web), &room);
    let others = room.hold(vec![0; 60 << 10]).unwrap();
    let fits = batch(64 << 10, PATIENCE);
    let failure = way.exporter.export(&fits).await.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "encoding_no_room"));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
    drop(others);
    way.accepts(fits).await;
    let failure = way.exporter.export(&batch(128 << 10, PATIENCE)).await.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::ResourceExhausted, "encoding_too_large"));
    assert_eq!((failure.is_retryable(), failure.http_status), (false, Some(413)));
    eventually("all is given back", || room.hold(vec![0; 100 << 10]).is_some()).await;
    assert_eq!(way.arrived(), 1);
}

/// Scenario: the program breaks down over one batch while another is under way.
/// Guarantees: the one fails for good and is not sent; the other, and what comes after, notice
/// nothing.
#[tokio::test]
async fn a_panic_over_one_batch_is_an_internal_error_of_that_batch_alone() {
    for way in Way::all().await {
        way.aside.break_next();
        let failure = way.fails(PATIENCE, Code::Internal, "encoding_panicked").await;
        assert!(!failure.is_retryable());
        way.aside.break_next();
        let (broken, small) = (large(PATIENCE), batch(1, PATIENCE));
        let (broken, small) =
            tokio::join!(way.exporter.export(&broken), way.exporter.export(&small));
        assert_eq!(broken.unwrap_err().reason, "encoding_panicked");
        assert_eq!(small, Ok(Accepted::default()));
        way.accepts(large(PATIENCE)).await;
    }
}
