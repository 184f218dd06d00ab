//! `otlp_grpc`: batches to an upstream that speaks OTLP/gRPC.
//!
//! Guarantees that a request is sent again only when the upstream provably did not process it,
//! and that code, details, retry hint and partial success of its answer survive.

mod answer;
mod request;
mod status;
#[cfg(test)]
mod tests;

use bytes::Buf as _;
use h2::RecvStream;
use http::Response;
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use crate::batch::{Batch, Rope};
use crate::config::sections::GrpcExporter;
use crate::exporter::payload::Payload;
use crate::exporter::upstream::{Dialer, Lease, Pool, PoolSettings};
use crate::exporter::whom::Whom;
use crate::exporter::{EncodeError, LoadError};
use crate::outcome::{Failure, Outcome};
use crate::tls::ClientSnapshot;
use crate::tls::store::Watch;

#[cfg(any(test, fuzzing))]
pub(super) use answer::read_answer;
pub(super) use request::Template;

/// One worker's client of one upstream.
#[derive(Debug)]
pub(super) struct GrpcClient {
    /// For messages.
    exporter: String,
    endpoint: String,
    template: Template,
    pool: Pool,
}

/// Of an answer that the library refuses.
const UNREADABLE: &str =
    "its answer breaks the rules of HTTP/2, or has headers that are too large to be read";

/// How often a request is sent at most; each but the last was provably not processed.
const MAX_ATTEMPTS: usize = 3;

impl GrpcClient {
    pub(super) fn new(
        exporter: String,
        config: &GrpcExporter,
        template: Template,
        snapshots: Option<Watch<ClientSnapshot>>,
    ) -> Self {
        let dialer = Dialer::new(config.upstream.clone(), snapshots, config.connect_timeout)
            .through(template.proxy.clone());
        let settings = PoolSettings {
            exporter: exporter.clone(),
            endpoint: config.endpoint.clone(),
            round_robin: config.round_robin,
            wait_for_ready: config.wait_for_ready,
            keepalive: config.keepalive.clone(),
            told: template.told.clone(),
        };
        let endpoint = config.endpoint.clone();
        Self { exporter, endpoint, template, pool: Pool::new(dialer, settings) }
    }

    /// Begins to connect. Must be called within a runtime.
    pub(super) fn connect(&self) {
        self.pool.connect();
    }

    /// Sends a batch and reads the answer, in time for the sender. Dropping the future resets the
    /// stream.
    pub(super) async fn export(&self, batch: &Batch) -> Outcome {
        let deadline = self.template.deadline(batch.deadline);
        let body = self.template.body(batch, deadline).await;
        let (body, compressed) =
            body.map_err(|undone| EncodeError::from(undone).failure(&self.exporter))?;
        for attempt in 1.. {
            let lease = match self.pool.acquire(deadline).await {
                Ok(lease) => lease,
                Err(none) => {
                    let delay = none.retry_after;
                    return Err(none.error.failure(&self.exporter, &self.endpoint, delay));
                }
            };
            let Some(payload) = Payload::framed(body.clone(), compressed) else {
                return Err(self.too_long(&body));
            };
            let link = std::sync::Arc::clone(&lease.link);
            match self.attempt(lease, batch, payload, deadline).await {
                Ok(outcome) => return outcome,
                Err(Broken::Unprocessed(error)) if attempt < MAX_ATTEMPTS => {
                    if !error.is_reset() {
                        link.close();
                    }
                }
                Err(broken) => return Err(self.explain(&broken, link.why_it_broke())),
            }
        }
        Err(self.failure(Code::Internal, "internal", "gave up"))
    }

    /// Sends once over one connection.
    async fn attempt(
        &self,
        mut lease: Lease,
        batch: &Batch,
        mut payload: Payload,
        deadline: Instant,
    ) -> Result<Outcome, Broken> {
        let request = self.template.request(batch.signal, deadline);
        let sent = lease.sender.send_request(request, false);
        let (response, mut stream) = sent.map_err(Broken::Unprocessed)?;
        // The bytes are in memory already: they wait inside h2 for the upstream's window.
        loop {
            let frame = payload.next_frame();
            let is_last = !payload.has_remaining();
            if let Err(error) = stream.send_data(frame, is_last) {
                // It has been reset already; the reason is in the response.
                tracing::trace!(%error, "request body not taken");
                break;
            }
            if is_last {
                break;
            }
        }
        let answer = async {
            let response = response.await?;
            self.read(batch, response).await
        };
        match timeout_at(deadline, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                lease.link.suspect();
                Ok(Err(self.late()))
            }
        }
    }

    async fn read(&self, batch: &Batch, response: Response<RecvStream>) -> Result<Outcome, Broken> {
        let answer = answer::read(response).await?;
        Ok(answer.outcome(batch, self.whom()))
    }

    fn whom(&self) -> Whom<'_> {
        Whom { exporter: &self.exporter, upstream: &self.endpoint }
    }

    fn failure(&self, code: Code, reason: &'static str, text: &str) -> Failure {
        self.whom().failure(code, reason, text)
    }

    fn late(&self) -> Failure {
        self.failure(
            Code::DeadlineExceeded,
            "upstream_deadline",
            "no answer in time: it is slow or hangs, or the exporter's timeout is too short; it may have taken the batch",
        )
    }

    fn too_long(&self, body: &Rope) -> Failure {
        let text = format!("a batch of {} bytes is too long for one gRPC message", body.len());
        self.failure(Code::ResourceExhausted, "batch_too_large", &text)
    }

    fn explain(&self, broken: &Broken, why: Option<String>) -> Failure {
        let (error, taken) = match broken {
            Broken::Unprocessed(error) => (error, "the upstream did not take the batch"),
            Broken::Unknown(error) => {
                (error, "the upstream may have taken the batch: its log knows why it hung up")
            }
        };
        let (code, reason, retry_after) = status::of_broken_stream(error);
        let text = match why.filter(|why| *why != error.to_string()) {
            _ if error.is_library() && error.is_reset() => {
                format!("{UNREADABLE} ({error}); {taken}")
            }
            Some(why) if !(error.is_library() && error.is_go_away()) => {
                format!("the request was cut off: {error}: {why}")
            }
            Some(_) | None if error.is_library() => format!(
                "it broke the rules of HTTP/2 ({error}), so the connection was closed; {taken}"
            ),
            Some(_) | None => format!("the request was cut off: {error}; {taken}"),
        };
        let failure = self.failure(code, reason, &text);
        match retry_after {
            Some(delay) => failure.with_retry_after(delay),
            None => failure,
        }
    }
}

/// A request that got no answer.
#[derive(Debug)]
enum Broken {
    /// The upstream says, or it is plain, that it did nothing.
    Unprocessed(h2::Error),
    /// It may have been processed.
    Unknown(h2::Error),
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        // h2 gives a remote GOAWAY as the error of a stream only when the stream's number is above
        // the last one that the peer promises to process.
        let above_last = error.is_go_away();
        if error.is_remote() && (refused || above_last) {
            Self::Unprocessed(error)
        } else {
            Self::Unknown(error)
        }
    }
}

impl LoadError {
    /// A value of the exporter's block that cannot be used.
    pub(super) fn setting(key_path: &str, key: &str, message: impl Into<String>) -> Self {
        Self::Setting { key_path: format!("{key_path}.{key}"), message: message.into() }
    }
}
