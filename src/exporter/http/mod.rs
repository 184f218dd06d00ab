//! `otlp_http`: batches to an upstream that speaks OTLP/HTTP.
//!
//! Guarantees that an upstream's answer reaches the sender with its meaning, retry hint and
//! partial success. Redirects are not followed: a batch and our certificate go where the operator
//! said, and nowhere else.

mod answer;
mod body;
mod connector;
mod origin;
mod retry_after;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout_at;
use tonic::Code;

use crate::batch::Batch;
use crate::exporter::http::body::Body;
use crate::exporter::http::origin::{Origin, RequestError};
use crate::exporter::margin;
use crate::exporter::whom::Whom;
use crate::outcome::{Failure, Outcome, Side};

#[cfg(any(test, fuzzing))]
pub(super) use answer::read_answer;
pub(super) use template::{Target, Template};

/// One worker's client.
#[derive(Debug)]
pub(super) struct HttpClient {
    exporter: String,
    template: Arc<Template>,
    /// By [`crate::signal::Signal::index`]; signals of one origin share connections.
    origins: [Option<Arc<Origin>>; 4],
}

impl HttpClient {
    pub(super) fn new(exporter: String, template: Arc<Template>) -> Self {
        let mut known: Vec<(&Target, Arc<Origin>)> = Vec::new();
        let origins = std::array::from_fn(|index| {
            let target = template.target(index)?;
            if let Some((_, origin)) = known.iter().find(|(other, _)| other.same_origin(target)) {
                return Some(Arc::clone(origin));
            }
            let origin = Arc::new(Origin::new(&exporter, target, &template.pooling));
            known.push((target, Arc::clone(&origin)));
            Some(origin)
        });
        drop(known);
        Self { exporter, template, origins }
    }

    /// Follows changes of credentials. Must be called within a runtime.
    pub(super) fn connect(&self) {
        self.origins.iter().flatten().for_each(Origin::follow);
    }

    /// Sends a batch and reads the answer, in time for the sender. Dropping the future gives the
    /// request up.
    pub(super) async fn export(&self, batch: &Batch) -> Outcome {
        let index = batch.signal.index();
        let (Some(target), Some(Some(origin))) =
            (self.template.target(index), self.origins.get(index))
        else {
            return Err(self.no_endpoint(batch));
        };
        let deadline = margin::deadline(batch.deadline, self.template.timeout);
        let body = self.template.body(batch, deadline).await;
        let body = body.map_err(|error| error.failure(&self.exporter))?;
        for attempt in 1.. {
            let begun = Arc::new(AtomicBool::new(false));
            let body = Body::new(body.clone(), Arc::clone(&begun));
            let request = self.template.request(target, body);
            let before = origin.before();
            let exchange = async {
                let (response, permit) = origin.send(request).await?;
                let answer = answer::read(response).await?;
                drop(permit);
                Ok(answer)
            };
            return match timeout_at(deadline, exchange).await {
                Err(_) if begun.load(Ordering::Relaxed) => {
                    origin.suspect(&before);
                    Err(self.late(target))
                }
                Err(_) => Err(self.not_sent(target, origin)),
                Ok(Ok(answer)) => answer.outcome(batch, self.whom(target)),
                Ok(Err(RequestError::Unprocessed(_))) if attempt < MAX_ATTEMPTS => continue,
                Ok(Err(error)) => Err(self.broken(target, error)),
            };
        }
        Err(self.whom(target).failure(Code::Internal, "internal", "gave up"))
    }

    fn whom<'a>(&'a self, target: &'a Target) -> Whom<'a> {
        Whom { exporter: &self.exporter, upstream: &target.shown }
    }

    fn late(&self, target: &Target) -> Failure {
        let text = "no answer in time: it is slow or hangs, or the exporter's timeout is too short; it may have taken the batch";
        self.whom(target).failure(Code::DeadlineExceeded, "upstream_deadline", text)
    }

    fn not_sent(&self, target: &Target, origin: &Origin) -> Failure {
        origin.why_not_sent().failure(&self.exporter, &target.shown, Duration::from_secs(1))
    }

    fn broken(&self, target: &Target, error: RequestError) -> Failure {
        let (reason, text) = match error {
            RequestError::Connect(error, delay) => {
                return error.failure(&self.exporter, &target.shown, delay);
            }
            RequestError::Tls(error) => {
                (error.reason(), format!("the request was cut off: {error}"))
            }
            RequestError::NotHttp(reason, text) => (reason, text),
            RequestError::TooLarge => {
                let text = "the head of its answer is larger than is read (100 headers, 400 kB); it may have taken the batch";
                return self.whom(target).failure(
                    Code::Internal,
                    "upstream_answer_too_large",
                    text,
                );
            }
            RequestError::Unreadable(error) => {
                let text = format!(
                    "its answer breaks the rules of HTTP/2, or has headers that are too large to be read ({error}); the upstream may have taken the batch"
                );
                return self.whom(target).failure(Code::Internal, "upstream_protocol_error", &text);
            }
            RequestError::Unprocessed(text) => (
                "upstream_disconnected",
                format!("the request was cut off: {text}; the upstream did not take the batch"),
            ),
            RequestError::Unknown(text) => (
                "upstream_disconnected",
                format!(
                    "the request was cut off: {text}; the upstream may have taken the batch: its log knows why it hung up"
                ),
            ),
        };
        self.whom(target).failure(Code::Unavailable, reason, &text)
    }

    fn no_endpoint(&self, batch: &Batch) -> Failure {
        let signal = batch.signal;
        let message = format!(
            "the gateway's exporter {} has neither endpoint nor {signal}_endpoint: set one, or take it out of the {signal} pipelines",
            self.exporter
        );
        Failure::new(Code::Unimplemented, Side::Internal, "no_endpoint", message)
    }
}

/// How often a request is sent at most; each but the last was provably not processed.
const MAX_ATTEMPTS: usize = 3;
