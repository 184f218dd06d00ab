//! The pull reader of `service.telemetry.metrics`: `GET /metrics`.

use std::sync::Arc;

use http::StatusCode;

use crate::config::sections::MetricNames;
use crate::extension::server::{Respond, plain, typed};
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Renders the metrics at each request.
pub(super) fn responder(metrics: Metrics, names: MetricNames) -> Respond {
    Arc::new(move |request| match request.uri().path() {
        "/metrics" => typed(StatusCode::OK, CONTENT_TYPE, metrics.render_as(names)),
        _ => plain(StatusCode::NOT_FOUND, "404 page not found; metrics are at /metrics\n"),
    })
}
