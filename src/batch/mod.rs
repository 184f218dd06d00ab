//! The unit that flows through the gateway: one checked OTLP request.
//!
//! Guarantees that a batch's bytes were checked and its items counted, and that they are never
//! copied when they can pass as they are. Knows nothing of HTTP, gRPC or TLS.

mod room;
mod rope;

use std::sync::Arc;

use tokio::time::Instant;

use crate::coding::Coding;
use crate::identity::Identity;
use crate::signal::Signal;

pub(crate) use room::Room;
pub(crate) use rope::Rope;

/// One checked `Export*ServiceRequest`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the request carries.
    pub signal: Signal,
    /// Spans, data points, log records or profile samples.
    pub items: u64,
    /// The serialized protobuf request, in the pieces in which it arrived or was made.
    pub decoded: Rope,
    /// The body as it came over the wire, while it still says the same as `decoded`: an exporter
    /// with the same content coding sends these very bytes. Whoever edits `decoded` drops it.
    pub encoded: Option<Encoded>,
    /// Who sent it, when a certificate proved it.
    pub identity: Option<Arc<Identity>>,
    /// When the sender stops waiting for the answer.
    pub deadline: Instant,
}

/// A compressed body and its content coding.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// How `body` is compressed.
    pub coding: Coding,
    /// The compressed bytes, without gRPC framing.
    pub body: Rope,
}
