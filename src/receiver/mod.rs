//! OTLP in: one HTTP request, gRPC or OTLP/HTTP, to one answer.
//!
//! Guarantees that nothing is handed on that was not checked, that every limit holds before memory
//! is spent, that each answer says what happened, and that a panic over a request ends that request
//! alone, with an answer. Knows nothing of sockets, TLS or exporters.

mod admission;
mod answer;
mod body;
mod budget;
mod cors;
mod deliver;
mod distrust;
mod frame;
mod gather;
mod grpc;
mod http1;
mod http2;
mod otlp_http;
mod read;
mod refusal;
mod route;
mod settings;
mod unread;

#[cfg(test)]
mod conformance;

use std::convert::Infallible;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Version, header};

use self::read::{Frames, Source};
use self::route::Protocol;
use self::settings::Settings;
use crate::aside::contained;
use crate::identity::Identity;
use crate::outcome::Failure;
use crate::pipeline::Consumer;
use crate::signal::Signal;

pub(crate) use admission::Admission;
pub(crate) use answer::Answer;
pub(crate) use distrust::Distrust;
#[cfg(any(test, fuzzing))]
pub(crate) use frame::{Deframer, FrameError};
#[cfg(any(test, fuzzing))]
pub(crate) use grpc::parse_timeout;
pub(crate) use settings::Shared;
pub(crate) use unread::{MAX_HEAD_BYTES, MAX_HEADERS};

/// Who sends on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Remote address, for messages.
    pub(crate) address: Arc<str>,
    /// What its certificate proved.
    pub(crate) identity: Option<Arc<Identity>>,
    /// What the listener's rules say of that.
    pub(crate) admission: Admission,
    /// Set when that is not accepted any more.
    pub(crate) distrust: Distrust,
}

/// The receiver of one listener on one worker thread.
#[derive(Clone, Debug)]
pub(crate) struct Receiver<C> {
    shared: Shared,
    consumer: C,
}

impl<C: Consumer> Receiver<C> {
    /// Hands what it receives to `consumer`.
    pub(crate) fn new(shared: &Shared, consumer: C) -> Self {
        Self { shared: shared.clone(), consumer }
    }

    /// What the listener's rules say of whoever proved to be this.
    pub(crate) fn admit(&self, identity: Option<&Identity>) -> Admission {
        match &self.settings().rules {
            Some(rules) => Admission::of(rules, identity),
            None => Admission::Open,
        }
    }

    /// Answers one request; dropping the future gives the request up.
    pub(crate) async fn answer<B: Frames>(
        &self,
        peer: &Peer,
        request: Request<B>,
    ) -> Result<Response<Answer>, Infallible> {
        let (head, body) = request.into_parts();
        let mut source = Source::new(body);
        let settings = self.settings();
        let preflight =
            settings.cors.as_ref().and_then(|cors| cors.preflight(&head.method, &head.headers));
        let is_preflight = preflight.is_some();
        let mut response = match preflight {
            Some(response) => response,
            None => {
                let answered = contained(self.respond(peer, &head, &mut source)).await;
                answered.unwrap_or_else(|| self.broke(peer, &head))
            }
        };
        if head.version != Version::HTTP_2 {
            http1::finish(settings, &head, &mut source, &mut response).await;
        } else if matches!(route::protocol(&head.headers), Protocol::Http(_) | Protocol::Other) {
            // Clients of gRPC are used to answers that come first.
            http2::finish(&mut source).await;
        }
        if head.version == Version::HTTP_2 && head.method == Method::HEAD {
            // It has no body. The library leaves it out over HTTP/1 alone, and here it would be an
            // error of the stream.
            *response.body_mut() = Answer::default();
        }
        if !settings.response_headers.is_empty() {
            add(&settings.response_headers, response.headers_mut());
        }
        if let Some(cors) = &settings.cors
            && !is_preflight
        {
            cors.mark(head.headers.get(header::ORIGIN), response.headers_mut());
        }
        Ok(response)
    }

    async fn respond<B: Frames>(
        &self,
        peer: &Peer,
        head: &Parts,
        source: &mut Source<B>,
    ) -> Response<Answer> {
        match route::protocol(&head.headers) {
            Protocol::Grpc if is_call(head) => grpc::answer(self, peer, head, source).await,
            Protocol::GrpcOther if is_call(head) => grpc::refuse_format(self, peer),
            protocol => otlp_http::answer(self, peer, head, protocol, source).await,
        }
    }

    /// The program broke down over this request.
    fn broke(&self, peer: &Peer, head: &Parts) -> Response<Answer> {
        let failure = self.settings().refused(peer, refusal::broke("request_panicked"));
        match route::protocol(&head.headers) {
            Protocol::Grpc | Protocol::GrpcOther if is_call(head) => grpc::refused(&failure),
            protocol => otlp_http::refused(&failure, otlp_http::encoding_of(protocol)),
        }
    }

    /// Whether the peer may send anything here, which is asked before anything else.
    fn let_in(&self, peer: &Peer) -> Result<&Settings, Failure> {
        if let Some(failure) = peer.distrust.get() {
            return Err(failure.clone());
        }
        if self.settings().locked {
            return Err(refusal::locked());
        }
        peer.admission.check()?;
        Ok(self.settings())
    }

    /// Whether somebody takes this signal, and the peer may send it.
    fn takes(&self, peer: &Peer, signal: Signal) -> Result<(), Failure> {
        if !self.consumer.serves(signal) {
            return Err(refusal::not_served(signal));
        }
        peer.admission.check_signal(signal)
    }

    fn settings(&self) -> &Settings {
        &self.shared.0
    }
}

/// Whether it can be a call of gRPC, given the content type of one.
fn is_call(head: &Parts) -> bool {
    head.version == Version::HTTP_2 && head.method == Method::POST
}

/// Adds configured headers. Those that an answer has already say what it is, and stay.
fn add(configured: &HeaderMap, headers: &mut HeaderMap) {
    for name in configured.keys().filter(|name| !NOT_CONFIGURABLE.contains(name)) {
        headers.remove(name);
        for value in configured.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

/// Headers without which an answer cannot be read.
const NOT_CONFIGURABLE: [header::HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, grpc::GRPC_STATUS];
