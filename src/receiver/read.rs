//! Reading a request body under a deadline.
//!
//! Knows nothing of what the bytes mean.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::refusal;
use super::settings::Settings;
use crate::coding::Progress;
use crate::outcome::Failure;

/// Bodies as hyper has them, and those of tests.
pub(crate) trait Frames: Body<Data = Bytes, Error: std::error::Error> + Unpin {}

impl<B: Body<Data = Bytes, Error: std::error::Error> + Unpin> Frames for B {}

/// The body of a request, and whether any of it was asked for.
#[derive(Debug)]
pub(super) struct Source<B> {
    body: B,
    begun: bool,
}

impl<B: Frames> Source<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, begun: false }
    }

    /// The least number of bytes that it can have: `Content-Length` where that was sent.
    pub(super) fn announced(&self) -> u64 {
        self.body.size_hint().lower()
    }

    /// Gives every piece of data to `take` until the body ends. Trailers are not looked at. When
    /// `take` pauses, others get their turn, and it is called again with nothing new.
    ///
    /// # Errors
    ///
    /// The first error of `take`, an error of the connection, or a body that is not there in time.
    pub(super) async fn read(
        &mut self,
        settings: &Settings,
        started: Instant,
        deadline: Instant,
        mut take: impl FnMut(Option<Bytes>) -> Result<Progress, Failure>,
    ) -> Result<(), Failure> {
        self.begun = true;
        let latest = deadline.min(started + settings.body_timeout);
        let whole = async {
            while let Some(frame) = self.body.frame().await {
                let frame = frame.map_err(|error| refusal::aborted(&error))?;
                if let Ok(data) = frame.into_data() {
                    let mut progress = take(Some(data))?;
                    while progress == Progress::Paused {
                        yield_now().await;
                        progress = take(None)?;
                    }
                }
            }
            Ok(())
        };
        timeout_at(latest, whole)
            .await
            .unwrap_or_else(|_elapsed| Err(refusal::slow_body(latest - started)))
    }

    /// Whether a part of the body may still be on its way.
    pub(super) fn is_unread(&self) -> bool {
        !self.body.is_end_stream()
    }

    /// Whether the body was asked for. A sender that said `Expect: 100-continue` holds it back
    /// until then.
    pub(super) fn was_begun(&self) -> bool {
        self.begun
    }

    /// Throws away what comes, up to `bytes` and for at most `time`; true when the body ended.
    pub(super) async fn drain(&mut self, bytes: usize, time: Duration) -> bool {
        let mut left = bytes;
        let all = async {
            while let Some(frame) = self.body.frame().await {
                let Ok(frame) = frame else { return false };
                let length = frame.data_ref().map_or(0, Bytes::len);
                let Some(rest) = left.checked_sub(length) else { return false };
                left = rest;
            }
            true
        };
        timeout_at(Instant::now() + time, all).await.unwrap_or(false)
    }
}
