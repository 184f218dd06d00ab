//! A gateway with exporters whose upstreams fail, each behind a receiver of its own, and a
//! pipeline beside them whose client must never notice.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use prost::Message as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic_types::StatusExt as _;
use tonic_types::pb;

use super::log;
use crate::support::agent::{self, span};
use crate::support::gateway::RunningGateway;
use crate::support::upstream::Upstream;

/// See the module.
pub struct Stage {
    pub gateway: RunningGateway,
    exporters: Vec<Watched>,
    /// The client beside.
    well: Sending,
    _upstream: Upstream,
    /// What was not as it should be; all of it is told at the end.
    faults: String,
}

struct Watched {
    id: String,
    address: SocketAddr,
}

/// What a sender was told.
#[derive(Debug)]
pub struct Told {
    pub code: Code,
    /// `None` on gRPC.
    pub http: Option<u16>,
    pub message: String,
    /// `RetryInfo`, or `Retry-After`.
    pub retry: Option<Duration>,
}

/// What a sender must be told, and the log and the metrics with it.
pub struct Expected<'a> {
    pub code: Code,
    pub http: u16,
    /// Whether there is a hint when to try again.
    pub hint: bool,
    pub reason: &'a str,
    /// In this order within the message.
    pub says: &'a [&'a str],
}

impl Stage {
    /// Type and block of each exporter, in YAML's flow style.
    pub async fn start(exporters: &[(&str, String)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        log::keep();
        let upstream = Upstream::plaintext().await;
        let (mut receivers, mut blocks, mut pipelines) =
            (String::new(), String::new(), String::new());
        let mut ids = Vec::new();
        for (kind, block) in exporters {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let id = format!("{kind}{}{number}", log::MARK);
            writeln!(receivers, "  otlp/{number}: {{ protocols: {{ grpc: {LISTEN} }} }}").unwrap();
            writeln!(blocks, "  {id}: {block}").unwrap();
            for signal in ["traces", "metrics", "logs"] {
                writeln!(
                    pipelines,
                    "    {signal}/{number}: {{ receivers: [otlp/{number}], exporters: [{id}] }}"
                )
                .unwrap();
            }
            ids.push((id, format!("receivers.otlp/{number}.protocols.grpc")));
        }
        let yaml = format!(
            "receivers:
  otlp: {{ protocols: {{ grpc: {LISTEN} }} }}
{receivers}
exporters:
  otlp_grpc: {{ endpoint: '{}', tls: {{ insecure: true }} }}
{blocks}
service:
  workers: 1
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_grpc] }}
{pipelines}",
            upstream.address
        );
        let keys: Vec<_> = ids.iter().map(|(_, key)| key.as_str()).collect();
        let gateway = RunningGateway::start_with(&yaml, &keys).await;
        let watched = |(id, key): (String, String)| Watched { id, address: gateway.address(&key) };
        let exporters = ids.into_iter().map(watched).collect();
        let well = Sending::start(gateway.grpc()).await;
        Self { gateway, exporters, well, _upstream: upstream, faults: String::new() }
    }

    /// Where senders reach an exporter, over gRPC and over HTTP.
    pub fn address(&self, which: usize) -> SocketAddr {
        self.exporters[which].address
    }

    /// The name of an exporter.
    pub fn id(&self, which: usize) -> &str {
        &self.exporters[which].id
    }

    /// Sends a batch over gRPC; what it was told, or that it was accepted, with how many rejected.
    pub async fn over_grpc(&self, which: usize) -> Result<i64, Told> {
        grpc_to(self.address(which)).await
    }

    /// The same over HTTP/1.1 with protobuf.
    pub async fn over_http(&self, which: usize) -> Result<i64, Told> {
        http_to(self.address(which)).await
    }

    /// Sends through an exporter over both protocols, twice (what was learned by the first attempt
    /// must not change the answer), and looks at answers, log and metric.
    pub async fn expect(&mut self, which: usize, expected: &Expected<'_>) {
        for _ in 0..2 {
            for answer in [self.over_grpc(which).await, self.over_http(which).await] {
                self.judge(&answer, expected);
            }
        }
        self.judge_log(which, expected, 4.0);
    }

    /// Sends over both protocols through all exporters that these are of, at once and only once, for
    /// each takes its time.
    pub async fn expect_at_once(&mut self, cases: &[Expected<'_>]) {
        let mut sending = tokio::task::JoinSet::new();
        for which in 0..cases.len() {
            let address = self.address(which);
            sending.spawn(async move { (which, grpc_to(address).await) });
            sending.spawn(async move { (which, http_to(address).await) });
        }
        while let Some(ended) = sending.join_next().await {
            let (which, answer) = ended.unwrap();
            self.judge(&answer, &cases[which]);
        }
        for (which, expected) in cases.iter().enumerate() {
            self.judge_log(which, expected, 2.0);
        }
    }

    fn judge(&mut self, answer: &Result<i64, Told>, expected: &Expected<'_>) {
        let fault = match answer {
            Ok(_) => Some("it was accepted".to_owned()),
            Err(told) => expected.differs(told),
        };
        if let Some(fault) = fault {
            let reason = expected.reason;
            writeln!(self.faults, "{reason}: {fault}\n    told: {answer:?}").unwrap();
        }
    }

    /// What is in the log and the metrics after so many failures.
    fn judge_log(&mut self, which: usize, expected: &Expected<'_>, least: f64) {
        let id = self.id(which).to_owned();
        let lines = log::of(&id);
        let failed = lines.iter().find(|line| line["message"] == FAILED);
        let fault = failed.map_or_else(
            || Some("no line about it in the log".to_owned()),
            |line| expected.differs_in_log(line),
        );
        if let Some(fault) = fault {
            writeln!(self.faults, "{}: {fault}\n    log: {failed:?}", expected.reason).unwrap();
        }
        let metric = format!(
            "portcullis_export_failures_total{{exporter=\"{id}\",reason=\"{}\"}}",
            expected.reason
        );
        let counted = self.gateway.metric(&metric);
        if counted < least {
            writeln!(self.faults, "{metric} is {counted}").unwrap();
        }
    }

    /// The same of every exporter.
    pub async fn expect_of_all(&mut self, expected: &Expected<'_>) {
        for which in 0..self.exporters.len() {
            self.expect(which, expected).await;
        }
    }

    /// Sends through an exporter over both protocols; nothing may fail.
    pub async fn expect_ok(&mut self, which: usize) {
        for answer in [self.over_grpc(which).await, self.over_http(which).await] {
            if let Err(told) = answer {
                let id = &self.exporters[which].id;
                writeln!(self.faults, "{id}: {told:?}").unwrap();
            }
        }
    }

    /// Ends the gateway. Fails if anything was not as expected, or if the client beside noticed.
    pub async fn end(self) {
        let slowest = self.well.end().await;
        assert!(self.faults.is_empty(), "\n{}", self.faults);
        // Far below any timeout here, and far above what a busy machine costs.
        assert!(slowest < Duration::from_secs(5), "the client beside waited {slowest:?}");
        self.gateway.ask_to_end().await;
        self.gateway.ask_to_end().await;
        self.gateway.ended().await;
    }
}

async fn grpc_to(address: SocketAddr) -> Result<i64, Told> {
    let mut client = agent::plaintext(address).await;
    match client.export(span("grpc")).await {
        Ok(answer) => {
            Ok(answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_spans))
        }
        Err(status) => Err(Told {
            code: status.code(),
            http: None,
            message: status.message().to_owned(),
            retry: status.get_details_retry_info().and_then(|info| info.retry_delay),
        }),
    }
}

async fn http_to(address: SocketAddr) -> Result<i64, Told> {
    let stream = TcpStream::connect(address).await.unwrap();
    let body = span("http").encode_to_vec();
    let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await.unwrap();
    if answer.status() == 200 {
        return Ok(rejected(answer.body()));
    }
    let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
    let retry = header.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let status = pb::Status::decode(answer.body().clone()).unwrap();
    Err(Told {
        code: Code::from(status.code),
        http: Some(answer.status().as_u16()),
        message: status.message,
        retry,
    })
}

impl<'a> Expected<'a> {
    /// Nothing was sent: `UNAVAILABLE` or 503, with a hint when to try again.
    pub fn unavailable(reason: &'a str, says: &'a [&'a str]) -> Self {
        Self { code: Code::Unavailable, http: 503, hint: true, reason, says }
    }

    /// It was sent and broke off: as above, and without a hint.
    pub fn perhaps_taken(reason: &'a str, says: &'a [&'a str]) -> Self {
        Self { hint: false, ..Self::unavailable(reason, says) }
    }

    /// It was sent, and no answer came in time.
    pub fn too_late(says: &'a [&'a str]) -> Self {
        let code = Code::DeadlineExceeded;
        Self { code, ..Self::perhaps_taken("upstream_deadline", says) }
    }

    /// `INTERNAL` or 500: not to be sent again.
    pub fn internal(reason: &'a str, says: &'a [&'a str]) -> Self {
        Self { code: Code::Internal, http: 500, hint: false, reason, says }
    }

    /// `UNKNOWN` or 500: not to be sent again.
    pub fn unknown(reason: &'a str, says: &'a [&'a str]) -> Self {
        Self { code: Code::Unknown, ..Self::internal(reason, says) }
    }

    fn retryable(&self) -> bool {
        let codes = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        codes.contains(&self.code) || self.code == Code::ResourceExhausted && self.hint
    }

    fn differs(&self, told: &Told) -> Option<String> {
        let Self { code, http, .. } = self;
        // Only where HTTP defines it.
        let hint = self.hint && told.http.is_none_or(|status| matches!(status, 429 | 503));
        if told.code != *code || told.http.is_some_and(|status| status != *http) {
            return Some(format!("expected {code:?}, HTTP {http}"));
        }
        if told.retry.is_some() != hint {
            return Some(format!("a hint when to retry: expected {hint}"));
        }
        missing(&told.message, self.says)
    }

    fn differs_in_log(&self, line: &log::Line) -> Option<String> {
        if line["reason"] != self.reason {
            return Some("another reason in the log".to_owned());
        }
        if line["retryable"] != self.retryable() {
            return Some(format!("retryable: expected {}", self.retryable()));
        }
        missing(line["error"].as_str().unwrap_or_default(), self.says)
    }
}

/// An exporter of each kind, without TLS, with more keys.
pub fn in_clear(grpc: impl Display, http: impl Display, more: &str) -> [(&'static str, String); 2] {
    [
        ("otlp_grpc", format!("{{ endpoint: '{grpc}', tls: {{ insecure: true }}{more} }}")),
        ("otlp_http", format!("{{ endpoint: 'http://{http}'{more} }}")),
    ]
}

/// An exporter of each kind, with these keys in its `tls` block.
pub fn over_tls(grpc: impl Display, http: impl Display, keys: &str) -> [(&'static str, String); 2] {
    [
        ("otlp_grpc", format!("{{ endpoint: '{grpc}', tls: {{ {keys} }} }}")),
        ("otlp_http", format!("{{ endpoint: 'https://{http}', tls: {{ {keys} }} }}")),
    ]
}

/// The first of these texts that does not follow those before it.
pub fn missing(text: &str, says: &[&str]) -> Option<String> {
    let mut rest = text;
    for wanted in says {
        match rest.split_once(wanted) {
            Some((_, after)) => rest = after,
            None => return Some(format!("it does not say {wanted:?}")),
        }
    }
    None
}

fn rejected(body: &[u8]) -> i64 {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

    let answer = ExportTraceServiceResponse::decode(body).unwrap();
    answer.partial_success.map_or(0, |partial| partial.rejected_spans)
}

/// A client over gRPC that sends all the time, and whose requests must not fail.
pub struct Sending {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Duration>,
}

impl Sending {
    pub async fn start(address: SocketAddr) -> Self {
        let mut client = agent::plaintext(address).await;
        client.export(span("first")).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            while !stopping.load(Ordering::SeqCst) {
                let began = Instant::now();
                client.export(span("steady")).await.expect("a request failed");
                slowest = slowest.max(began.elapsed());
                sleep(Duration::from_millis(3)).await;
            }
            slowest
        });
        Self { stop, task }
    }

    /// The slowest of its requests.
    pub async fn end(self) -> Duration {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

const LISTEN: &str = "{ endpoint: '127.0.0.1:0' }";
const FAILED: &str = "export failed; the sender was told";
