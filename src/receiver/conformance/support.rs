//! A receiver, in memory or behind a socket, and its answers taken apart.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep};

use super::requests::{TestBody, media};
use super::wire::{Line, Wire};
use crate::aside::Aside;
use crate::batch::Batch;
use crate::config::sections::{GrpcServer, HttpServer, Server, UrlPaths};
use crate::config::types::{ComponentId, ListenAddress};
use crate::config::{self, Source};
use crate::metrics::Metrics;
use crate::otlp::answer::{Encoding, Status, decode_status, decode_success};
use crate::outcome::{Accepted, Outcome};
use crate::pipeline::Consumer;
use crate::receiver::{Admission, Distrust, Peer, Receiver, Shared};
use crate::signal::Signal;

/// A pipeline that remembers what it was given.
#[derive(Clone, Debug)]
pub(super) struct Pipeline(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    seen: Vec<Batch>,
    /// `None` never answers.
    answer: Option<Outcome>,
    served: Vec<Signal>,
    dropped: usize,
    /// It panics over the next so many.
    faults: usize,
}

impl Consumer for Pipeline {
    fn serves(&self, signal: Signal) -> bool {
        self.0.lock().unwrap().served.contains(&signal)
    }

    async fn consume(&self, batch: Batch) -> Outcome {
        struct Guard(Option<Pipeline>);
        impl Drop for Guard {
            fn drop(&mut self) {
                if let Some(pipeline) = &self.0 {
                    pipeline.0.lock().unwrap().dropped += 1;
                }
            }
        }
        let (answer, breaks) = {
            let mut state = self.0.lock().unwrap();
            let breaks = state.faults > 0;
            state.faults = state.faults.saturating_sub(1);
            state.seen.push(batch);
            (state.answer.clone(), breaks)
        };
        tokio::task::yield_now().await;
        assert!(!breaks, "as the test wants it");
        let mut guard = Guard(Some(self.clone()));
        let outcome = match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        };
        guard.0 = None;
        outcome
    }
}

/// A receiver, its pipeline and its counters.
pub(super) struct Gate {
    pub(super) receiver: Receiver<Pipeline>,
    pub(super) pipeline: Pipeline,
    pub(super) metrics: Metrics,
    pub(super) shared: Shared,
    /// `None` when requests are handed to the receiver.
    line: Option<Line>,
}

impl Gate {
    /// A listener of `protocols.http` with default settings.
    pub(super) fn new() -> Self {
        Self::http(|_| {})
    }

    /// A listener of `protocols.http`.
    pub(super) fn http(change: impl FnOnce(&mut HttpServer)) -> Self {
        let mut server = HttpServer {
            server: server("receivers.otlp.protocols.http"),
            paths: UrlPaths::default(),
            cors: None,
            response_headers: Vec::new(),
            compression_algorithms: None,
            keep_alives_enabled: true,
        };
        change(&mut server);
        let metrics = Metrics::default();
        Self::with(Shared::http(&id(), &server, &Aside::new(1), &metrics), metrics)
    }

    /// A listener of `protocols.grpc`.
    pub(super) fn grpc(change: impl FnOnce(&mut Server)) -> Self {
        let mut server = GrpcServer {
            server: server("receivers.otlp.protocols.grpc"),
            read_buffer_size: 1 << 19,
            write_buffer_size: 1 << 15,
        };
        change(&mut server.server);
        let metrics = Metrics::default();
        Self::with(Shared::grpc(&id(), &server, &Aside::new(1), &metrics), metrics)
    }

    fn with(shared: Shared, metrics: Metrics) -> Self {
        let state = State {
            seen: Vec::new(),
            answer: Some(Ok(Accepted::default())),
            served: Signal::ALL.to_vec(),
            dropped: 0,
            faults: 0,
        };
        let pipeline = Pipeline(Arc::new(Mutex::new(state)));
        let receiver = Receiver::new(&shared, pipeline.clone());
        Self { receiver, pipeline, metrics, shared, line: None }
    }

    /// The same behind a socket, unless the wire is [`Wire::Memory`].
    pub(super) fn over(mut self, wire: Wire) -> Self {
        self.line = Line::lay(wire, &self.receiver, &self.metrics);
        self
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.line.as_ref().expect("over a socket").address
    }

    /// Connections so far; none without a socket.
    pub(super) fn connections(&self) -> usize {
        self.line.as_ref().map_or(0, Line::opened)
    }

    /// The same, whose pipeline answers this.
    pub(super) fn answering(self, answer: Outcome) -> Self {
        self.pipeline.0.lock().unwrap().answer = Some(answer);
        self
    }

    /// The same, whose pipeline never answers.
    pub(super) fn silent(self) -> Self {
        self.pipeline.0.lock().unwrap().answer = None;
        self
    }

    /// The pipeline panics over the next so many requests.
    pub(super) fn break_next(&self, requests: usize) {
        self.pipeline.0.lock().unwrap().faults = requests;
    }

    /// The same, with pipelines for these signals only.
    pub(super) fn serving(self, served: &[Signal]) -> Self {
        self.pipeline.0.lock().unwrap().served = served.to_vec();
        self
    }

    pub(super) async fn ask(&self, request: Request<TestBody>) -> Reply {
        if let Some(line) = &self.line {
            return Reply::read(line.ask(request).await).await;
        }
        let Ok(response) = self.receiver.answer(&peer(), request).await;
        Reply::read(response).await
    }

    /// What reached the pipeline.
    pub(super) fn seen(&self) -> Vec<Batch> {
        self.pipeline.0.lock().unwrap().seen.clone()
    }

    /// Requests that the pipeline had to give up.
    pub(super) fn dropped(&self) -> usize {
        self.pipeline.0.lock().unwrap().dropped
    }

    /// The one batch that reached the pipeline.
    #[track_caller]
    pub(super) fn only(&self) -> Batch {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one batch reaches the pipeline");
        seen.into_iter().next().unwrap()
    }

    /// Asks, and shows that nothing reached the pipeline and that the reason was counted.
    pub(super) async fn refuses(&self, reason: &str, request: Request<TestBody>) -> Reply {
        let before =
            self.count(&format!("portcullis_requests_refused_total{{reason=\"{reason}\"}}"));
        let reply = self.ask(request).await;
        assert_eq!(self.seen().len(), 0, "nothing reaches the pipeline: {reply:?}");
        let name = format!("portcullis_requests_refused_total{{reason=\"{reason}\"}}");
        assert_eq!(self.count(&name), before + 1, "{reason} is counted: {reply:?}");
        self.settled().await;
        reply
    }

    /// Shows that no bytes stay reserved. Over a socket the client may have its answer before the
    /// request is over.
    pub(super) async fn settled(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.line.is_some() && self.shared.0.budget.held() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(self.shared.0.budget.held(), 0, "no bytes stay reserved");
    }

    /// The value of a counter.
    pub(super) fn count(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }
}

/// Where a receiver listens whose configuration only names the protocol.
pub(super) fn default_address(protocol: &str) -> String {
    let text = format!(
        "yaml:{{receivers: {{otlp: {{protocols: {{{protocol}: {{}}}}}}}}, exporters: {{nop: {{}}}}, \
         service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [nop]}}}}}}}}"
    );
    let source = Source { configs: vec![text], ..Source::default() };
    let (config, _) = config::load(&source).unwrap();
    let receiver = &config.receivers[&id()];
    let grpc = receiver.grpc.as_ref().map(|grpc| &grpc.server);
    let http = receiver.http.as_ref().map(|http| &http.server);
    match &grpc.or(http).unwrap().listen {
        ListenAddress::Tcp(address) => address.clone(),
        ListenAddress::Unix(path) => panic!("{path:?}"),
    }
}

fn id() -> ComponentId {
    ComponentId { kind: "otlp".to_owned(), name: None }
}

pub(super) fn peer() -> Peer {
    Peer {
        address: "192.0.2.1:4711".into(),
        identity: None,
        admission: Admission::Open,
        distrust: Distrust::default(),
    }
}

fn server(key_path: &str) -> Server {
    Server::at(key_path, ListenAddress::Tcp("127.0.0.1:0".to_owned()))
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) http: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

impl Reply {
    async fn read<B>(response: http::Response<B>) -> Self
    where
        B: Body<Data = Bytes, Error: std::fmt::Debug>,
    {
        let (head, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Self { http: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
    }

    /// A header or trailer as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.map(|value| value.to_str().unwrap())
    }

    /// The code of gRPC; shows that the call is answered as gRPC.
    #[track_caller]
    pub(super) fn grpc(&self) -> tonic::Code {
        assert_eq!(self.http, StatusCode::OK, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/grpc"));
        let code = self.header("grpc-status").expect("grpc-status").parse::<i32>().unwrap();
        if code != 0 {
            assert!(self.body.is_empty() && self.trailers.is_empty(), "the status comes alone");
            assert!(!self.header("grpc-message").unwrap_or_default().is_empty(), "with a text");
        }
        tonic::Code::from(code)
    }

    /// The status of a refused call with its details.
    #[track_caller]
    pub(super) fn grpc_status(&self) -> Status {
        use base64::Engine as _;
        let details = self.header("grpc-status-details-bin").expect("details");
        let details = base64::engine::general_purpose::STANDARD_NO_PAD.decode(details).unwrap();
        decode_status(&details, Encoding::Protobuf).expect("a Status")
    }

    /// The Export response of a call that went well.
    #[track_caller]
    pub(super) fn grpc_accepted(&self, signal: Signal) -> Accepted {
        assert_eq!(self.grpc(), tonic::Code::Ok, "{self:?}");
        assert_eq!(self.body[0], 0, "not compressed");
        let length = u32::from_be_bytes(self.body[1..5].try_into().unwrap());
        assert_eq!(self.body.len(), 5 + usize::try_from(length).unwrap());
        decode_success(signal, &self.body[5..], Encoding::Protobuf).unwrap()
    }

    /// The `google.rpc.Status` of a refused HTTP request; shows that it is in this encoding.
    #[track_caller]
    pub(super) fn http_status(&self, status: u16, encoding: Encoding) -> Status {
        assert_eq!(self.http, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some(media(encoding)));
        let status = decode_status(&self.body, encoding).expect("a Status");
        assert!(!status.message.is_empty(), "with a text");
        status
    }

    /// The Export response of an HTTP request that went well.
    #[track_caller]
    pub(super) fn http_accepted(&self, signal: Signal, encoding: Encoding) -> Accepted {
        assert_eq!(self.http, 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some(media(encoding)));
        decode_success(signal, &self.body, encoding).unwrap()
    }
}
