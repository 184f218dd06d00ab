//! What to do about what an upstream answered, where its own words do not say it.

use tonic::Code;

/// To follow the upstream's words; empty where they must do.
pub(super) fn advice(code: Code, said: &str) -> &'static str {
    let is_too_large = ["larger than", "too large"].iter().any(|words| said.contains(words));
    match code {
        Code::InvalidArgument | Code::ResourceExhausted if said.contains("smaller batches") => "",
        Code::InvalidArgument | Code::ResourceExhausted if is_too_large => {
            "; send smaller batches, or let the upstream take larger ones (in a Collector \
             `max_recv_msg_size_mib` of gRPC, `max_request_body_size` of HTTP)"
        }
        Code::Unauthenticated | Code::PermissionDenied => {
            "; check the exporter's `headers` and `tls.cert_file`, and whom the upstream lets in"
        }
        Code::Unimplemented => {
            "; the upstream does not take this signal there: enable it, or take the exporter out of \
             that signal's pipelines"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_says_is_followed_by_what_to_do() {
        for (code, said, next) in [
            (
                Code::ResourceExhausted,
                "grpc: received message larger than max (8586010 vs. 4194304)",
                "send smaller batches, or let the upstream take larger ones",
            ),
            (Code::InvalidArgument, "http: request body too large", "`max_request_body_size`"),
            (
                Code::Unimplemented,
                "unknown service opentelemetry.proto.collector.logs.v1.LogsService",
                "take the exporter out of that signal's pipelines",
            ),
            (Code::Unauthenticated, "missing token", "check the exporter's `headers`"),
        ] {
            assert!(advice(code, said).contains(next), "{said}");
        }
        for (code, said) in [
            (Code::Unavailable, "draining"),
            (Code::ResourceExhausted, "slow down"),
            (Code::ResourceExhausted, "larger than 9 bytes: send smaller batches, or raise"),
        ] {
            assert_eq!(advice(code, said), "", "{said}");
        }
    }
}
