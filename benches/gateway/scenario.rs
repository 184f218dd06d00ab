//! What is measured: the rows of the table.

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Version;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::Outcome;
use crate::load::Shot;
use crate::requests::requests;

/// One row.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For `--only`.
    pub name: &'static str,
    pub title: &'static str,
    pub shot: Shot,
    /// Connections, and requests in flight on each; nothing for a connection per request.
    pub kept: Option<(usize, usize)>,
    /// Of the gateway's exporter.
    pub compression: &'static str,
    /// The Collector's name for the way in.
    pub protocol: &'static str,
    /// At most so many times the better proxy.
    pub limit: Option<f64>,
}

const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// All rows that are measured by CPU time.
pub fn scenarios() -> Outcome<Vec<Scenario>> {
    let (full, ten, one) = (spans(512)?, spans(10)?, spans(1)?);
    let json = serde_json::to_vec(&full)?;
    let (full, ten, one) = (full.encode_to_vec(), ten.encode_to_vec(), one.encode_to_vec());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&full)?;
    let gzip = gzip.finish()?;
    println!(
        "bodies: 512 spans {} bytes, gzip {}, JSON {}; 10 spans {}; 1 span {}",
        full.len(),
        gzip.len(),
        json.len(),
        ten.len(),
        one.len()
    );
    let plain = Scenario {
        name: "grpc-512",
        title: "gRPC, 512 spans",
        shot: grpc(&full, None),
        kept: Some((4, 4)),
        compression: "none",
        protocol: "grpc",
        limit: Some(1.25),
    };
    Ok(vec![
        plain.clone(),
        Scenario {
            name: "grpc-10",
            title: "gRPC, 10 spans",
            shot: grpc(&ten, None),
            ..plain.clone()
        },
        Scenario {
            name: "grpc-gzip",
            title: "gRPC, 512 spans, gzip in and out (proxies only move the bytes)",
            shot: grpc(&gzip, Some("gzip")),
            compression: "gzip",
            limit: None,
            ..plain.clone()
        },
        Scenario {
            name: "http-protobuf",
            title: "HTTP protobuf in, gRPC out, 512 spans (proxies: HTTP out)",
            shot: http(&full, "application/x-protobuf"),
            kept: Some((16, 1)),
            protocol: "http",
            limit: None,
            ..plain.clone()
        },
        Scenario {
            name: "http-json",
            title: "HTTP JSON in, gRPC protobuf out, 512 spans (proxies: JSON out)",
            shot: http(&json, "application/json"),
            kept: Some((16, 1)),
            protocol: "http",
            limit: None,
            ..plain.clone()
        },
        Scenario {
            name: "handshake",
            title: "full mTLS handshake + 1 span",
            shot: grpc(&one, None),
            kept: None,
            limit: None,
            ..plain
        },
    ])
}

fn spans(count: usize) -> Outcome<ExportTraceServiceRequest> {
    let all = requests();
    let traces = all.iter().find(|request| request.signal == "traces").ok_or("no traces")?;
    if !(traces.decode)(&traces.bytes) {
        return Err("the traces cannot be decoded".into());
    }
    let mut request = ExportTraceServiceRequest::decode(traces.bytes.as_slice())?;
    for scope in request.resource_spans.iter_mut().flat_map(|part| &mut part.scope_spans) {
        scope.spans.truncate(count);
    }
    Ok(request)
}

fn grpc(message: &[u8], encoding: Option<&'static str>) -> Shot {
    let mut body = BytesMut::with_capacity(message.len() + 5);
    body.put_u8(u8::from(encoding.is_some()));
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.extend_from_slice(message);
    let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
    headers.extend(encoding.map(|encoding| ("grpc-encoding", encoding)));
    Shot { version: Version::HTTP_2, path: GRPC, headers, body: body.freeze() }
}

fn http(message: &[u8], content_type: &'static str) -> Shot {
    let body = Bytes::copy_from_slice(message);
    let headers = vec![("content-type", content_type)];
    Shot { version: Version::HTTP_11, path: "/v1/traces", headers, body }
}
