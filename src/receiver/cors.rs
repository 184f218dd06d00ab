//! Which pages of which origins a browser lets send to this gateway (contract 3.3).
//!
//! Answers as the Collector's library does. Knows nothing of OTLP.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::answer::Answer;
use crate::config::sections::Cors;

/// `cors`, ready to be compared with requests.
#[derive(Debug)]
pub(super) struct CorsPolicy {
    any_origin: bool,
    /// Lower case; the parts before and after the `*`, if there is one.
    origins: Vec<(String, Option<String>)>,
    any_header: bool,
    /// Lower case.
    headers: Vec<String>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl CorsPolicy {
    pub(super) fn new(cors: &Cors) -> Self {
        let mut headers: Vec<String> =
            cors.allowed_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        if headers.is_empty() {
            headers.push("x-requested-with".to_owned());
        }
        headers.extend(ALWAYS_ALLOWED.map(str::to_owned));
        Self {
            any_origin: cors.allowed_origins.iter().any(|origin| origin == "*"),
            origins: cors
                .allowed_origins
                .iter()
                .map(|origin| {
                    let origin = origin.to_ascii_lowercase();
                    match origin.split_once('*') {
                        Some((head, tail)) => (head.to_owned(), Some(tail.to_owned())),
                        None => (origin, None),
                    }
                })
                .collect(),
            any_header: headers.iter().any(|name| name == "*"),
            headers,
            exposed: (!cors.exposed_headers.is_empty())
                .then(|| HeaderValue::from_str(&cors.exposed_headers.join(", ")).ok())
                .flatten(),
            max_age: (cors.max_age > 0).then(|| HeaderValue::from(cors.max_age)),
        }
    }

    /// The answer to a preflight request; `None` when the request is not one.
    pub(super) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Response<Answer>> {
        let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Answer::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        out.insert(
            header::VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        );
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let simple =
            ["GET", "POST", "HEAD"].iter().any(|name| wanted.as_bytes() == name.as_bytes());
        if let Some(origin) = headers.get(header::ORIGIN)
            && self.allows(origin)
            && simple
            && asked.is_none_or(|asked| self.allows_headers(asked))
        {
            self.allow(out, origin);
            out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, wanted.clone());
            if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
                out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
            if let Some(age) = &self.max_age {
                out.insert(header::ACCESS_CONTROL_MAX_AGE, age.clone());
            }
        }
        Some(response)
    }

    /// Adds what a browser needs to the answer of a request that is not a preflight.
    pub(super) fn mark(&self, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
        out.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| self.allows(origin)) {
            self.allow(out, origin);
            if let Some(exposed) = &self.exposed {
                out.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
    }

    fn allow(&self, out: &mut HeaderMap, origin: &HeaderValue) {
        // With `*` browsers send no credentials, so naming every origin back would open more.
        let value = if self.any_origin { HeaderValue::from_static("*") } else { origin.clone() };
        out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        out.insert(CREDENTIALS, HeaderValue::from_static("true"));
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        self.any_origin
            || self.origins.iter().any(|(head, tail)| match tail {
                None => origin == *head,
                Some(tail) => {
                    origin.len() >= head.len() + tail.len()
                        && origin.starts_with(head.as_str())
                        && origin.ends_with(tail.as_str())
                }
            })
    }

    fn allows_headers(&self, asked: &HeaderValue) -> bool {
        let Ok(asked) = asked.to_str() else { return false };
        self.any_header
            || asked
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .all(|name| self.headers.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)))
    }
}

const ALWAYS_ALLOWED: [&str; 4] = ["accept", "accept-language", "content-type", "content-language"];

const CREDENTIALS: HeaderName = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
