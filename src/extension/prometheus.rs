//! The pull reader of `service.telemetry.metrics`: `GET /metrics`.

use std::sync::Arc;

use http::StatusCode;

use crate::extension::server::{Respond, plain, typed};
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Renders the metrics at each request.
pub(super) fn responder(metrics: Metrics) -> Respond {
    Arc::new(move |request| match request.uri().path() {
        "/metrics" => typed(StatusCode::OK, CONTENT_TYPE, metrics.render()),
        _ => plain(StatusCode::NOT_FOUND, "404 page not found; metrics are at /metrics\n"),
    })
}
