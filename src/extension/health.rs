//! `health_check`, as the Collector's contrib extension answers it.
//!
//! 200 while the gateway takes requests, 503 before and while it drains. Files of a `tls` block that
//! cannot be used are told in the body and change nothing else: the last good ones are in force.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::sections::HealthCheck;
use crate::extension::readiness::{Readiness, State};
use crate::extension::server::{Respond, plain, typed};
use crate::tls::reload::ReloadStatus;

/// Answers `path` with the state of the latch and every other path with 404.
pub(super) fn responder(
    settings: &HealthCheck,
    readiness: Readiness,
    reloads: ReloadStatus,
) -> Respond {
    let settings = settings.clone();
    Arc::new(move |request| {
        if matches_path(&settings.path, request.uri().path()) {
            health(&settings, readiness.state(), &reloads)
        } else {
            let text = format!("404 page not found; the health check is at {}\n", settings.path);
            plain(StatusCode::NOT_FOUND, text)
        }
    })
}

/// As Go's `ServeMux`: a pattern that ends in a slash takes everything below it.
fn matches_path(pattern: &str, path: &str) -> bool {
    pattern == path || (pattern.ends_with('/') && path.starts_with(pattern))
}

fn health(settings: &HealthCheck, state: State, reloads: &ReloadStatus) -> Response<Full<Bytes>> {
    let (status, configured, generated) = match state {
        State::Ready { since, start } => {
            let since = OffsetDateTime::from(since).format(&Rfc3339).unwrap_or_default();
            let mut body = serde_json::json!({
                "status": "Server available",
                "upSince": since,
                "uptime": go_duration(start.elapsed()),
            });
            let refused = refused(reloads);
            if let Some(body) = body.as_object_mut()
                && !refused.is_empty()
            {
                body.insert("certificatesNotReloaded".to_owned(), refused.into());
            }
            (StatusCode::OK, &settings.healthy_body, body)
        }
        State::Draining | State::Starting => {
            let body = serde_json::json!({
                "status": "Server not available",
                "upSince": "0001-01-01T00:00:00Z",
                "uptime": "",
            });
            (StatusCode::SERVICE_UNAVAILABLE, &settings.unhealthy_body, body)
        }
    };
    match configured {
        Some(text) => plain(status, text.clone()),
        None => typed(status, "application/json", generated.to_string()),
    }
}

/// The blocks whose files cannot be used: which, why, since when, and what is in force instead.
fn refused(reloads: &ReloadStatus) -> Vec<serde_json::Value> {
    let when = |at| OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default();
    let blocks = reloads.blocks().into_iter().filter_map(|(key_path, block)| {
        let refused = block.refused?;
        let problems = refused.problems.iter().map(|problem| {
            serde_json::json!({
                "key": problem.key_path,
                "file": problem.span.file.as_deref(),
                "reason": problem.reason,
                "message": problem.message,
                "help": problem.help,
            })
        });
        Some(serde_json::json!({
            "block": key_path,
            "since": when(refused.since),
            "problems": problems.collect::<Vec<_>>(),
            "serving": block.serving.what,
            "servingUntil": block.serving.until.map(when),
        }))
    });
    blocks.collect()
}

/// A duration as Go prints it, such as `1h2m3.5s`, which is what readers of `uptime` parse.
fn go_duration(duration: Duration) -> String {
    let total = duration.as_secs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let mut text = format!("{seconds}.{:09}", duration.subsec_nanos());
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text.push('s');
    match (hours, minutes) {
        (0, 0) => text,
        (0, _) => format!("{minutes}m{text}"),
        _ => format!("{hours}h{minutes}m{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_printed_as_go_prints_it() {
        assert_eq!(go_duration(Duration::from_millis(500)), "0.5s");
        assert_eq!(go_duration(Duration::from_secs(60)), "1m0s");
        assert_eq!(go_duration(Duration::from_millis(3_723_500)), "1h2m3.5s");
        assert_eq!(go_duration(Duration::from_nanos(49_013_251_800)), "49.0132518s");
    }

    #[test]
    fn paths_match_as_in_go() {
        assert!(matches_path("/", "/anything"));
        assert!(matches_path("/health", "/health"));
        assert!(!matches_path("/health", "/healthy"));
        assert!(!matches_path("/health", "/"));
    }
}
