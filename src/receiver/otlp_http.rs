//! OTLP/HTTP: one POST with protobuf or JSON to one answer (contract 6.2).
//!
//! Guarantees that every answer is in the request's encoding and every failure a
//! `google.rpc.Status`. Knows nothing of HTTP versions and connections.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use tokio::time::Instant;
use tonic::Code;

use super::answer::Answer;
use super::body::{Intake, Taken};
use super::deliver::deliver;
use super::read::{Frames, Source};
use super::route::Protocol;
use super::settings::Settings;
use super::{Peer, Receiver, http1, refusal};
use crate::coding::Coding;
use crate::otlp::answer::{Encoding, encode_status, encode_success, http_status};
use crate::outcome::{Accepted, Failure};
use crate::pipeline::Consumer;
use crate::signal::Signal;

/// Answers a request that is not gRPC over HTTP/2.
pub(super) async fn answer<C: Consumer, B: Frames>(
    receiver: &Receiver<C>,
    peer: &Peer,
    head: &Parts,
    protocol: Protocol,
    source: &mut Source<B>,
) -> Response<Answer> {
    let settings = receiver.settings();
    let encoding = encoding_of(protocol);
    let started = Instant::now();
    let deadline = started + settings.request_timeout;
    let taken = match Export::read(receiver, peer, head, protocol) {
        Ok(export) => take(settings, &export, source, started, deadline).await,
        Err(failure) => Err(failure),
    };
    let taken = match taken {
        Ok(taken) => taken,
        // Probes ask by GET and HEAD, and lose nothing.
        Err(failure) if head.method == Method::POST => {
            return refused(&settings.refused_data(peer, failure), encoding);
        }
        Err(failure) => return refused(&settings.refused(peer, failure), encoding),
    };
    let signal = taken.signal;
    match deliver(receiver, &settings.http, peer, taken, deadline).await {
        Ok(accepted) => succeeded(signal, &accepted, encoding),
        Err(failure) => refused(&failure, encoding),
    }
}

/// How the answer is written: as the request is, where that is known.
pub(super) fn encoding_of(protocol: Protocol) -> Encoding {
    match protocol {
        Protocol::Http(encoding) => encoding,
        Protocol::Grpc | Protocol::GrpcOther | Protocol::Other => Encoding::Json,
    }
}

/// What the head of a request says.
#[derive(Debug)]
struct Export {
    signal: Signal,
    encoding: Encoding,
    coding: Option<Coding>,
}

impl Export {
    /// Checks in the Collector's order: who, content coding, path, method, content type.
    fn read<C: Consumer>(
        receiver: &Receiver<C>,
        peer: &Peer,
        head: &Parts,
        protocol: Protocol,
    ) -> Result<Self, Failure> {
        let settings = receiver.let_in(peer)?;
        if matches!(protocol, Protocol::Grpc | Protocol::GrpcOther) {
            return Err(not_grpc(head));
        }
        if head.version == Version::HTTP_11 {
            http1::check(&head.headers)?;
        }
        let coding = coding(settings, &head.headers)?;
        let path = head.uri.path();
        let signal = settings.signal_of_path(path).ok_or_else(|| unknown_path(settings, path))?;
        receiver.takes(peer, signal)?;
        if head.method != Method::POST {
            return Err(wrong_method());
        }
        let Protocol::Http(encoding) = protocol else { return Err(wrong_type(&head.headers)) };
        if head.version < Version::HTTP_2 {
            http1::check_length(&head.headers)?;
        }
        Ok(Self { signal, encoding, coding })
    }
}

async fn take<B: Frames>(
    settings: &Settings,
    export: &Export,
    source: &mut Source<B>,
    started: Instant,
    deadline: Instant,
) -> Result<Taken, Failure> {
    if source.announced() > settings.max_request_bytes as u64 {
        return Err(refusal::too_large("request body", settings.max_request_bytes));
    }
    let reservation = settings.budget.request().ok_or_else(refusal::no_room)?;
    let mut intake =
        Intake::new(settings, reservation, export.signal, export.encoding, export.coding);
    let take = |piece: Option<Bytes>| match piece {
        Some(piece) => intake.push(piece),
        None => intake.go_on(),
    };
    source.read(settings, started, deadline, take).await?;
    intake.finish_by(&settings.aside, deadline).await
}

/// The coding that `Content-Encoding` names, if it is allowed.
fn coding(settings: &Settings, headers: &HeaderMap) -> Result<Option<Coding>, Failure> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let coding = match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(one), None) => one.to_str().ok().and_then(named),
        (Some(_), Some(_)) => None,
    };
    match coding {
        Some(coding) if settings.allows(coding) => Ok(coding),
        _ => {
            let value = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
            let value = String::from_utf8_lossy(value.unwrap_or_default());
            Err(refusal::bad(
                Code::InvalidArgument,
                "content_encoding",
                format!(
                    "Content-Encoding {} is not accepted here: send one of gzip, zstd, zlib, \
                     deflate, snappy, x-snappy-framed, lz4 or identity that \
                     compression_algorithms of the gateway allows",
                    refusal::quote(&value),
                ),
            ))
        }
    }
}

fn named(name: &str) -> Option<Option<Coding>> {
    let name = name.trim();
    if name.is_empty() || name.eq_ignore_ascii_case("identity") {
        return Some(None);
    }
    Coding::from_http_name(name)
}

fn unknown_path(settings: &Settings, path: &str) -> Failure {
    refusal::bad(
        Code::Unimplemented,
        "unknown_path",
        format!(
            "there is nothing at {}{}: OTLP/HTTP is POST to {}, {}, {} or {}, exactly as written, \
             and OTLP/gRPC needs content-type application/grpc",
            refusal::quote(path),
            misled(settings, path),
            settings.path_of(Signal::Traces),
            settings.path_of(Signal::Metrics),
            settings.path_of(Signal::Logs),
            settings.path_of(Signal::Profiles),
        ),
    )
    .with_http_status(404)
}

/// How a sender comes to a path that is nearly right.
fn misled(settings: &Settings, path: &str) -> String {
    if path == "/" {
        return " (the sender used its endpoint as it stands: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT \
                and its like take the whole URL)"
            .to_owned();
    }
    if settings.signal_of_path(path.trim_end_matches('/')).is_some() {
        return " (leave the last slash off)".to_owned();
    }
    let paths = Signal::ALL.into_iter().map(|signal| settings.path_of(signal));
    let prefixes = paths.filter_map(|own| path.strip_suffix(own));
    match prefixes.min_by_key(|prefix| prefix.len()) {
        Some(prefix) => format!(
            " (the sender puts the signal's path behind its endpoint: leave {} off the endpoint, as \
             in OTEL_EXPORTER_OTLP_ENDPOINT, or name the whole URL for the signal)",
            refusal::quote(prefix),
        ),
        None => String::new(),
    }
}

fn wrong_method() -> Failure {
    refusal::bad(Code::Unimplemented, "method", "method not allowed here: OTLP/HTTP uses POST")
        .with_http_status(405)
}

fn wrong_type(headers: &HeaderMap) -> Failure {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    refusal::bad(
        Code::InvalidArgument,
        "content_type",
        format!(
            "Content-Type {} is not supported: OTLP/HTTP uses application/x-protobuf or \
             application/json",
            refusal::quote(&String::from_utf8_lossy(value)),
        ),
    )
    .with_http_status(415)
}

/// gRPC that cannot be answered as gRPC.
fn not_grpc(head: &Parts) -> Failure {
    if head.version == Version::HTTP_2 {
        return wrong_method();
    }
    refusal::bad(
        Code::Unimplemented,
        "grpc_needs_http2",
        "gRPC needs HTTP/2, and this request came over HTTP/1: let the client or the proxy before \
         it use HTTP/2 (ALPN h2), or send OTLP/HTTP",
    )
    .with_http_status(505)
}

fn succeeded(signal: Signal, accepted: &Accepted, encoding: Encoding) -> Response<Answer> {
    let mut response = Response::new(Answer::data(encode_success(signal, accepted, encoding)));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type(encoding));
    response
}

/// The status of a failure, in this encoding.
pub(super) fn refused(failure: &Failure, encoding: Encoding) -> Response<Answer> {
    let mut response = Response::new(Answer::data(encode_status(failure, encoding)));
    let status = StatusCode::from_u16(http_status(failure)).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(encoding));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(delay) = failure.retry_after
        && matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    {
        // Up, so that nobody comes back too early.
        let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn content_type(encoding: Encoding) -> HeaderValue {
    match encoding {
        Encoding::Json => HeaderValue::from_static("application/json"),
        Encoding::Protobuf => HeaderValue::from_static("application/x-protobuf"),
    }
}
