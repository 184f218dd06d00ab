//! The first sender of a quickstart: one batch of three spans over mTLS, as an SDK would send it.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::cli::quickstart::backend::client_tls;
use crate::cli::quickstart::folder::Folder;
use crate::signal::Signal;
use crate::tls::store::Store;
use crate::tls::{Connector, CredentialsError, UpstreamTlsError, client};

/// Why the first batch was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The sender's certificates.
    #[error("the sender's certificates cannot be used")]
    Credentials(#[from] CredentialsError),
    /// The gateway is not there.
    #[error("cannot connect to the gateway")]
    Connect(#[from] io::Error),
    /// The handshake failed.
    #[error("no TLS with the gateway")]
    Tls(#[from] UpstreamTlsError),
    /// The connection broke.
    #[error("the connection to the gateway broke")]
    Http(#[from] hyper::Error),
    /// The request could not be written.
    #[error("the request could not be made")]
    Request(#[from] http::Error),
    /// No answer in time.
    #[error("the gateway did not answer within {} s", PATIENCE.as_secs())]
    Late,
    /// An answer, and not the wanted one.
    #[error("the gateway refused the batch: grpc-status {status}: {message}")]
    Refused {
        /// The code.
        status: String,
        /// Its text.
        message: String,
    },
}

/// Sends the batch and waits for the gateway's OK.
pub(super) async fn send_first(folder: &Folder, port: u16) -> Result<(), SendError> {
    let deadline = Instant::now() + PATIENCE;
    match timeout_at(deadline, Box::pin(exchange(folder, port, deadline))).await {
        Ok(answered) => answered,
        Err(_) => Err(SendError::Late),
    }
}

async fn exchange(folder: &Folder, port: u16, deadline: Instant) -> Result<(), SendError> {
    let tls = client_tls(&folder.sender, &folder.senders_ca);
    let (_store, watch) = Store::new(client::load(&tls, &[b"h2"])?.snapshot);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let target = format!("localhost:{port}");
    let connected =
        Connector::new(watch, "localhost".to_owned()).connect(stream, &target, deadline).await?;
    let io = TokioIo::new(connected.io);
    let (mut requests, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    let request = Request::post(format!("https://{target}{}", Signal::Traces.grpc_path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("portcullis-quickstart/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(framed(&first_batch())))?;
    let answer = async {
        let response = requests.send_request(request).await?;
        let (head, body) = response.into_parts();
        let trailers = body.collect().await?.trailers().cloned().unwrap_or_default();
        verdict(&head.headers, &trailers)
    };
    // The answer comes while the connection is driven; both are cancel-safe.
    tokio::select! {
        answer = answer => answer,
        ended = connection => match ended {
            Ok(()) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Err(error) => Err(error.into()),
        },
    }
}

fn verdict(head: &HeaderMap, trailers: &HeaderMap) -> Result<(), SendError> {
    let find = |name: &str| {
        let value = trailers.get(name).or_else(|| head.get(name));
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let status = find("grpc-status");
    if status == "0" {
        return Ok(());
    }
    Err(SendError::Refused { status, message: find("grpc-message") })
}

/// gRPC's five bytes, then the message.
fn framed(message: &ExportTraceServiceRequest) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(length + 5);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A BytesMut grows as needed: there is always room.
    let _has_room = message.encode(&mut bytes);
    bytes.freeze()
}

fn first_batch() -> ExportTraceServiceRequest {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let trace_id = (u128::from(now) << 32 | 1).to_be_bytes().to_vec();
    let span = |id: u64, parent: u64, name: &str, from_ms: u64, to_ms: u64| Span {
        trace_id: trace_id.clone(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
        name: name.to_owned(),
        kind: if parent == 0 { 2 } else { 1 },
        start_time_unix_nano: now + from_ms * 1_000_000,
        end_time_unix_nano: now + to_ms * 1_000_000,
        ..Span::default()
    };
    let mut root = span(1, 0, "GET /checkout", 0, 42);
    root.attributes = vec![text("http.request.method", "GET"), text("url.path", "/checkout")];
    let spans =
        vec![root, span(2, 1, "load the basket", 2, 11), span(3, 1, "take the money", 12, 40)];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "quickstart-shop")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
