//! OTLP in: one HTTP request, gRPC or OTLP/HTTP, to one answer.
//!
//! Guarantees that nothing is handed on that was not checked, that every limit holds before memory
//! is spent, and that each answer says what happened. Knows nothing of sockets, TLS or exporters.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::config::sections::{GrpcServer, HttpServer};
use crate::config::types::ComponentId;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::pipeline::Consumer;

/// Who sends on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Remote address, for messages.
    pub(crate) address: Arc<str>,
    /// What its certificate proved.
    pub(crate) identity: Option<Arc<Identity>>,
}

/// What the workers' receivers of one listener share: settings, the byte budget, instruments.
#[derive(Clone, Debug)]
pub(crate) struct Shared(());

impl Shared {
    /// For `protocols.grpc`; OTLP/HTTP is answered there too, on the default paths.
    pub(crate) fn grpc(_id: &ComponentId, _server: &GrpcServer, _metrics: &Metrics) -> Self {
        Self(())
    }

    /// For `protocols.http`; gRPC is answered there too.
    pub(crate) fn http(_id: &ComponentId, _server: &HttpServer, _metrics: &Metrics) -> Self {
        Self(())
    }
}

/// The receiver of one listener on one worker thread.
#[derive(Clone, Debug)]
pub(crate) struct Receiver<C> {
    shared: Shared,
    consumer: C,
}

/// The body of an answer.
pub(crate) type Answer = Full<Bytes>;

impl<C: Consumer> Receiver<C> {
    /// Hands what it receives to `consumer`.
    pub(crate) fn new(shared: &Shared, consumer: C) -> Self {
        Self { shared: shared.clone(), consumer }
    }

    /// Answers one request; dropping the future gives the request up.
    #[expect(clippy::unused_async, reason = "stub")]
    pub(crate) async fn answer(
        &self,
        _peer: &Peer,
        _request: Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        Ok(Response::new(Full::new(Bytes::new())))
    }
}
