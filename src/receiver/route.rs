//! Which protocol a request speaks, told by its content type.
//!
//! Knows nothing of paths and bodies.

use http::{HeaderMap, header};

use crate::otlp::answer::Encoding;

/// What a request's content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC with protobuf messages.
    Grpc,
    /// gRPC with messages in another format, such as `application/grpc+json`.
    GrpcOther,
    /// OTLP/HTTP.
    Http(Encoding),
    /// None of OTLP's.
    Other,
}

/// Reads `Content-Type`, ignoring parameters and case.
pub(super) fn protocol(headers: &HeaderMap) -> Protocol {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Protocol::Other };
    let media = value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
    let media = media.trim_ascii();
    let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
    if is("application/grpc") || is("application/grpc+proto") {
        Protocol::Grpc
    } else if is("application/x-protobuf") {
        Protocol::Http(Encoding::Protobuf)
    } else if is("application/json") {
        Protocol::Http(Encoding::Json)
    } else if media.get(..17).is_some_and(|head| head.eq_ignore_ascii_case(b"application/grpc+")) {
        Protocol::GrpcOther
    } else {
        Protocol::Other
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter_and_lookalikes_are_not_taken() {
        for (text, expected) in [
            ("application/grpc", Protocol::Grpc),
            ("Application/gRPC+Proto", Protocol::Grpc),
            ("application/grpc;charset=x", Protocol::Grpc),
            ("application/grpc+json", Protocol::GrpcOther),
            ("application/grpc-web", Protocol::Other),
            ("application/x-protobuf ; a=b", Protocol::Http(Encoding::Protobuf)),
            ("APPLICATION/JSON; charset=utf-8", Protocol::Http(Encoding::Json)),
            ("application/jsonl", Protocol::Other),
            ("text/plain", Protocol::Other),
            ("", Protocol::Other),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            assert_eq!(protocol(&headers), expected, "{text}");
        }
        assert_eq!(protocol(&HeaderMap::new()), Protocol::Other);
    }
}
