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

use std::sync::Arc;

use tonic::Code;
use tracing::warn;

use crate::aside::Undone;
use crate::batch::Batch;
use crate::config::types::ComponentId;
use crate::metrics::ExporterMetrics;
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
        let metrics = self.metrics(batch.signal);
        let in_flight = metrics.map(|m| m.in_flight(batch.signal));
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
        drop(in_flight);
        match &outcome {
            Ok(accepted) => {
                if let Some(metrics) = metrics {
                    metrics.sent(batch.signal, batch.items);
                }
                if let Some(partial) = &accepted.partial_success {
                    self.report_partial_success(batch, partial);
                }
            }
            Err(failure) => {
                if let Some(metrics) = metrics {
                    metrics.send_failed(batch.signal, batch.items);
                    metrics.failure(failure.reason);
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

/// Nothing was sent, for the batch could not be encoded.
fn not_encoded(undone: Undone, exporter: &str) -> Failure {
    let (code, reason, why) = match undone {
        Undone::Late => (
            Code::DeadlineExceeded,
            "encoding_deadline",
            "the gateway has too much to compress to be done with this batch before its deadline, \
             and has not sent it: send smaller batches, or later; its operator may raise \
             service.side_threads, or send what is not compressed",
        ),
        Undone::Panicked => (
            Code::Internal,
            "encoding_panicked",
            "the gateway broke down over this batch, and has not sent it: please report it",
        ),
    };
    Failure::new(code, Side::Internal, reason, format!("exporter {exporter}: {why}"))
}

/// What exporters call themselves: `portcullis/VERSION (OS/ARCH)`.
fn user_agent() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("portcullis/{version} ({}/{})", std::env::consts::OS, std::env::consts::ARCH)
}
