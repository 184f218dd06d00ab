//! Senders: tonic's client for gRPC, hyper's for HTTP/1.1.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::pki::{Leaf, TestPki};

/// A gRPC client in clear.
pub async fn plaintext(address: SocketAddr) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    TraceServiceClient::new(endpoint.connect().await.unwrap())
}

/// A gRPC client over TLS that trusts the first CA and shows `leaf`, if any.
pub async fn mtls(
    address: SocketAddr,
    pki: &TestPki,
    leaf: Option<&Leaf>,
) -> Result<TraceServiceClient<Channel>, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pki.ca.pem()))
        .domain_name("localhost");
    if let Some(leaf) = leaf {
        tls = tls.identity(Identity::from_pem(leaf.cert_pem(), leaf.key_pem()));
    }
    let endpoint =
        Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
    Ok(TraceServiceClient::new(endpoint.connect().await?))
}

/// One span with this name.
pub fn span(name: &str) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.to_owned(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
    }
}

/// The name of the first span.
pub fn first_name(request: &ExportTraceServiceRequest) -> &str {
    &request.resource_spans[0].scope_spans[0].spans[0].name
}

/// Posts a body over a fresh HTTP/1.1 connection on `stream`.
pub async fn post(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> hyper::Result<Response<Bytes>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let request = Request::post(path)
        .header("host", "localhost")
        .header("content-type", content_type)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    driving.abort();
    Ok(Response::from_parts(head, body))
}
