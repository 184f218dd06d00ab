//! Senders that number their spans, and remember which were acknowledged. They never send one again.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::support::agent::span;

/// What a sender speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Grpc,
    GrpcGzip,
    HttpJsonGzip,
    HttpProtobuf,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Grpc, Self::GrpcGzip, Self::HttpJsonGzip, Self::HttpProtobuf];

    fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcGzip)
    }

    fn request(self, spans: &ExportTraceServiceRequest) -> Request<Full<Bytes>> {
        let body = match self {
            Self::HttpJsonGzip => serde_json::to_vec(spans).unwrap(),
            _ => spans.encode_to_vec(),
        };
        let is_gzip = matches!(self, Self::GrpcGzip | Self::HttpJsonGzip);
        let body = if is_gzip { gzip(&body) } else { body };
        if !self.is_grpc() {
            let kind = if is_gzip { "application/json" } else { "application/x-protobuf" };
            let coding = if is_gzip { "gzip" } else { "identity" };
            let request = Request::post("/v1/traces").header("host", "localhost");
            let request = request.header("content-type", kind).header("content-encoding", coding);
            return request.body(Full::new(Bytes::from(body))).unwrap();
        }
        let mut frame = BytesMut::new();
        frame.put_u8(u8::from(is_gzip));
        frame.put_u32(u32::try_from(body.len()).unwrap());
        frame.put_slice(&body);
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", if is_gzip { "gzip" } else { "identity" })
            .header("te", "trailers")
            .body(Full::new(frame.freeze()))
            .unwrap()
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// One sender.
pub struct Sender {
    kind: Kind,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    /// Ends with the number of requests that were not acknowledged.
    sending: JoinHandle<usize>,
}

impl Sender {
    /// Sends to the gateway of this folder until it is stopped.
    pub fn start(kind: Kind, folder: &Path) -> Self {
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Arc::default());
        let path = folder.join(if kind.is_grpc() { "grpc" } else { "http" });
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let sending = tokio::spawn(async move {
            let (mut connection, mut failed) = (None, 0);
            for number in 0_u64.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let name = format!("{kind:?}-{number}");
                let request = kind.request(&span(&name));
                let sent = async {
                    if connection.is_none() {
                        connection = Connection::open(kind, &path).await;
                    }
                    connection.as_mut()?.send(request).await
                };
                if timeout(PATIENCE, sent).await == Ok(Some(true)) {
                    let noted: &Mutex<Vec<String>> = &noted;
                    noted.lock().unwrap().push(name);
                } else {
                    (connection, failed) = (None, failed + 1);
                    sleep(Duration::from_millis(2)).await;
                }
            }
            failed
        });
        Self { kind, stop, acknowledged, sending }
    }

    /// The names of the spans that were, so far.
    pub fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// What it is, the names of the spans that were acknowledged, and how many requests were not.
    pub async fn stop(self) -> (Kind, Vec<String>, usize) {
        self.stop.store(true, Ordering::SeqCst);
        let failed = self.sending.await.unwrap();
        let names = std::mem::take(&mut *self.acknowledged.lock().unwrap());
        (self.kind, names, failed)
    }
}

/// Longer than anything that is done to the gateway.
const PATIENCE: Duration = Duration::from_secs(5);

enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn open(kind: Kind, path: &Path) -> Option<Self> {
        let io = TokioIo::new(UnixStream::connect(path).await.ok()?);
        if kind.is_grpc() {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
            tokio::spawn(driver);
            Some(Self::Http2(sender))
        } else {
            let (sender, driver) = http1::handshake(io).await.ok()?;
            tokio::spawn(driver);
            Some(Self::Http1(sender))
        }
    }

    /// Whether it was acknowledged; `None` without an answer.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Option<bool> {
        let response = match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        };
        let (head, body) = response.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        let none = HeaderMap::new();
        let trailers = body.trailers().unwrap_or(&none);
        Some(match self {
            Self::Http1(_) => head.status == 200,
            Self::Http2(_) => trailers.get("grpc-status").is_some_and(|status| status == "0"),
        })
    }
}
