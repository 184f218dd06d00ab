//! Where batches leave the gateway.
//!
//! Guarantees that every exporter answers within the batch's deadline, counts what it sent and
//! what it did not, and logs each failure with who, why and what next. Knows nothing of receivers
//! and pipelines.

mod advice;
mod blueprint;
mod debug;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod grpc;
mod http;
mod margin;
mod payload;
pub(crate) mod route;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upstream;
mod whom;

use std::sync::Arc;
use std::time::Duration;

use tonic::Code;
use tracing::warn;

use crate::aside::Undone;
use crate::batch::Batch;
use crate::config::types::ComponentId;
use crate::metrics::{ExporterMetrics, OpenGuard};
use crate::outcome::{Accepted, Failure, Outcome, PartialSuccess, Side};
use crate::signal::Signal;

pub(crate) use blueprint::{Blueprint, Credentials, LoadError};
pub(crate) use upstream::Proxy;

/// One exporter of one worker thread, with connections of its own.
#[derive(Debug)]
pub(crate) struct Exporter {
    id: ComponentId,
    /// Where it sends to, for the log.
    endpoint: String,
    /// By [`Signal::index`].
    metrics: [ExporterMetrics; 4],
    kind: Kind,
}

/// The types of exporter.
#[derive(Debug)]
enum Kind {
    Debug(Arc<debug::Debug>),
    #[cfg(test)]
    Fake(fake::Fake),
    Grpc(Box<grpc::GrpcClient>),
    Http(Box<http::HttpClient>),
    Nop,
}

impl Exporter {
    /// A worker's own exporter.
    pub(crate) fn new(blueprint: &Blueprint) -> Self {
        blueprint.build()
    }

    /// Begins to connect, where there is something to connect to. Must be called within a tokio
    /// runtime.
    pub(crate) fn connect(&self) {
        match &self.kind {
            #[cfg(test)]
            Kind::Fake(_) => {}
            Kind::Grpc(client) => client.connect(),
            Kind::Http(client) => client.connect(),
            Kind::Debug(_) | Kind::Nop => {}
        }
    }

    /// Sends a batch once and answers what upstream said, before the batch's deadline. Dropping
    /// the future cancels the request.
    pub(crate) async fn export(&self, batch: &Batch) -> Outcome {
        let sending = Sending::begin(self.metrics(batch.signal), batch);
        let outcome = match &self.kind {
            #[cfg(test)]
            Kind::Fake(fake) => fake.export(batch).await,
            Kind::Debug(debug) => {
                debug.show(batch);
                Ok(Accepted::default())
            }
            Kind::Grpc(client) => client.export(batch).await,
            Kind::Http(client) => client.export(batch).await,
            Kind::Nop => Ok(Accepted::default()),
        };
        sending.end(&outcome);
        match &outcome {
            Ok(Accepted { partial_success: None }) => {}
            Ok(Accepted { partial_success: Some(partial) }) => {
                self.report_partial_success(batch, partial);
            }
            Err(failure) => {
                if let Some(metrics) = self.metrics(batch.signal) {
                    metrics.said_of_failure(failure.reason, &failure.message);
                }
                self.report_failure(batch, failure);
            }
        }
        outcome
    }

    fn metrics(&self, signal: Signal) -> Option<&ExporterMetrics> {
        self.metrics.get(signal.index())
    }

    fn report_partial_success(&self, batch: &Batch, partial: &PartialSuccess) {
        warn!(
            exporter = %self.id,
            endpoint = %self.endpoint,
            signal = %batch.signal,
            items = batch.items,
            rejected = partial.rejected,
            message = ?partial.message,
            "upstream accepted a batch in part; the sender was told",
        );
    }

    fn report_failure(&self, batch: &Batch, failure: &Failure) {
        warn!(
            exporter = %self.id,
            endpoint = %self.endpoint,
            signal = %batch.signal,
            items = batch.items,
            code = ?failure.code,
            retryable = failure.is_retryable(),
            reason = failure.reason,
            error = %failure.message,
            "export failed; the sender was told",
        );
    }
}

/// A batch whose fate is not known yet. Dropped without an outcome, it counts as given up.
struct Sending<'a> {
    metrics: Option<&'a ExporterMetrics>,
    _in_flight: Option<OpenGuard>,
    signal: Signal,
    items: u64,
    has_ended: bool,
}

impl<'a> Sending<'a> {
    fn begin(metrics: Option<&'a ExporterMetrics>, batch: &Batch) -> Self {
        let (signal, items) = (batch.signal, batch.items);
        let in_flight = metrics.map(|metrics| metrics.in_flight(signal));
        Self { metrics, _in_flight: in_flight, signal, items, has_ended: false }
    }

    fn end(mut self, outcome: &Outcome) {
        self.has_ended = true;
        match (self.metrics, outcome) {
            (Some(metrics), Ok(_)) => metrics.sent(self.signal, self.items),
            (Some(_), Err(failure)) => self.failed(failure.reason),
            (None, _) => {}
        }
    }

    fn failed(&self, reason: &'static str) {
        if let Some(metrics) = self.metrics {
            metrics.send_failed(self.signal, self.items);
            metrics.failure(reason);
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.failed(GIVEN_UP);
        }
    }
}

/// The sender went away, its time was up, or the gateway ended before the upstream answered.
const GIVEN_UP: &str = "given_up";

/// Why a batch could not be encoded. It was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum EncodeError {
    /// Others hold all the bytes that there are.
    #[error(
        "the gateway holds as many bytes of JSON and of edited requests as it may ({most}): try \
         again later; its operator may raise service.max_edited_bytes"
    )]
    NoRoom {
        /// In bytes.
        most: usize,
    },
    /// It would not fit even if there were nothing else.
    #[error(
        "the batch needs more than {most} bytes to become JSON: send fewer items in a request; the \
         operator may raise service.max_edited_bytes, or send protobuf"
    )]
    TooLarge {
        /// In bytes.
        most: usize,
    },
    /// The work was not done.
    #[error("{}", undone(*.0))]
    Undone(#[from] Undone),
}

fn undone(why: Undone) -> &'static str {
    match why {
        Undone::Late => {
            "the gateway has too much to compress to be done with this batch before its deadline, \
             and has not sent it: send smaller batches, or later; its operator may raise \
             service.side_threads, or send what is not compressed"
        }
        Undone::Panicked => {
            "the gateway broke down over this batch, and has not sent it: please report it"
        }
    }
}

impl EncodeError {
    fn failure(self, exporter: &str) -> Failure {
        let (code, reason) = match self {
            Self::NoRoom { .. } => (Code::Unavailable, "encoding_no_room"),
            Self::TooLarge { .. } => (Code::ResourceExhausted, "encoding_too_large"),
            Self::Undone(Undone::Late) => (Code::DeadlineExceeded, "encoding_deadline"),
            Self::Undone(Undone::Panicked) => (Code::Internal, "encoding_panicked"),
        };
        let message = format!("exporter {exporter}: {self}");
        let failure = Failure::new(code, Side::Internal, reason, message);
        match self {
            Self::NoRoom { .. } => failure.with_retry_after(ROOM_AGAIN),
            Self::TooLarge { .. } => failure.with_http_status(413),
            Self::Undone(_) => failure,
        }
    }
}

/// When to try again a batch for which there was no room.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// What exporters call themselves: `portcullis/VERSION (OS/ARCH)`.
fn user_agent() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("portcullis/{version} ({}/{})", std::env::consts::OS, std::env::consts::ARCH)
}
