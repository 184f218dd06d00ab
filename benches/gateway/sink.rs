//! A backend that reads everything, decodes nothing and answers OK, over h2 and HTTP/1.1.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Outcome;

/// A listening sink.
#[derive(Debug)]
pub struct Sink {
    pub port: u16,
    /// Requests answered so far.
    pub requests: Arc<AtomicU64>,
}

impl Sink {
    /// Listens on a port of its own until the process ends.
    pub async fn start(tls: Arc<ServerConfig>) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let requests = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&requests);
        let acceptor = TlsAcceptor::from(tls);
        tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&counter)));
                }
            }
        });
        Ok(Self { port, requests })
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, counter: Arc<AtomicU64>) {
    let _best_effort = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let answer = service_fn(move |request| answer(request, Arc::clone(&counter)));
    // A gateway that goes away ends its connections with errors.
    if is_h2 {
        let _ended = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(16 << 20)
            .max_concurrent_streams(1000)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    } else {
        let _ended = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }
}

async fn answer(
    request: Request<Incoming>,
    requests: Arc<AtomicU64>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        drop(frame?);
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let grpc = content_type.as_ref().is_some_and(|value| value.as_bytes() == b"application/grpc");
    let body = if grpc {
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]);
        Full::new(Bytes::from_static(&[0; 5]))
            .with_trailers(async move { Some(Ok(trailers)) })
            .boxed_unsync()
    } else if content_type.as_ref().is_some_and(|value| value.as_bytes() == b"application/json") {
        Full::new(Bytes::from_static(b"{}")).boxed_unsync()
    } else {
        Full::new(Bytes::new()).boxed_unsync()
    };
    let mut response = Response::new(body);
    if let Some(value) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(response)
}
