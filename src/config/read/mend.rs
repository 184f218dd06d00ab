//! What to do about a key that is not known: published mistakes first, then the nearest name.

/// The help for an unknown key of the section at `path`, where `known` keys exist.
pub(super) fn unknown(path: &str, key: &str, known: &[String]) -> String {
    if let Some(text) = published(path, key, known) {
        return text;
    }
    if let Some(nearest) = nearest(key, known.iter().map(String::as_str)) {
        return format!("did you mean {nearest:?}?");
    }
    if known.is_empty() {
        return "no keys are known here; remove it".to_owned();
    }
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    format!("known here: {}", known.join(", "))
}

/// The help for a component that is not ours: most are the Collector's, in a file written for it.
pub(super) fn component(section: &str, kind: &str, types: &[&str]) -> String {
    if let Some(text) = collectors(section, kind) {
        return text.to_owned();
    }
    // "k8sattributes" is another component and no slip of "attributes".
    if let Some(name) = nearest(kind, types.iter().copied()).filter(|name| !kind.ends_with(name)) {
        return format!("did you mean {name:?}?");
    }
    let what = match section {
        "exporters" => "to reach anything else, send OTLP to a Collector that has this exporter",
        "processors" => "leave it in a Collector before or behind this gateway",
        "receivers" => "leave it in a Collector that sends here by otlp_grpc or otlp_http",
        _ => "remove it",
    };
    format!("valid values: {}; {what}", types.join(", "))
}

/// Published configurations hold these again and again.
fn collectors(section: &str, kind: &str) -> Option<&'static str> {
    Some(match (section, kind) {
        ("exporters", "logging") => "it is called debug, with verbosity for loglevel",
        ("exporters", "jaeger" | "jaeger_thrift") => {
            "Jaeger takes OTLP: otlp_grpc with endpoint: jaeger:4317"
        }
        ("exporters", "loki") => {
            "Loki takes OTLP: otlp_http with endpoint: http://loki:3100/otlp (headers: \
             {X-Scope-OrgID: ...} names the tenant)"
        }
        ("exporters", "prometheusremotewrite") => {
            "Mimir takes OTLP at http://mimir:9009/otlp, Prometheus at \
             http://prometheus:9090/api/v1/otlp (started with --web.enable-otlp-receiver): name that \
             as endpoint of an otlp_http exporter"
        }
        ("exporters", "sapm" | "signalfx") => {
            "Splunk takes OTLP: otlp_http with traces_endpoint: \
             https://ingest.REALM.signalfx.com/v2/trace/otlp, metrics_endpoint: \
             https://ingest.REALM.signalfx.com/v2/datapoint/otlp and headers: {X-SF-Token: ...}"
        }
        ("exporters", "elasticsearch") => {
            "Elastic's APM server takes OTLP: otlp_grpc with endpoint: apm-server:8200 and headers: \
             {Authorization: \"Bearer ...\"}"
        }
        ("exporters", "loadbalancing" | "load_balancing") => {
            "requests are not spread by trace here: send OTLP to a Collector that has this exporter"
        }
        ("extensions", "memory_ballast" | "pprof") => {
            "remove it, also from service.extensions: it is about the memory of a Go program"
        }
        ("extensions", "basicauth" | "basic_auth") => {
            "an exporter sends user and password with headers: {Authorization: \"Basic \
             ${file:/run/secrets/basic}\"}, where that file was made by `printf %s USER:PASSWORD | \
             base64 -w0`; senders show certificates"
        }
        ("extensions", "bearertokenauth" | "bearer_token_auth") => {
            "an exporter sends a token with headers: {Authorization: \"Bearer \
             ${file:/run/secrets/token}\"}; senders show certificates"
        }
        ("extensions", "headers_setter" | "oauth2client" | "oauth2_client" | "sigv4auth") => {
            "an exporter sends its credentials with headers: {Authorization: \"Basic \
             ${file:/run/secrets/token}\"} or with a client certificate; senders show certificates"
        }
        ("extensions", "oidc" | "oidcauth") => {
            "senders are known by their client certificates: client_ca_file, and client_identity \
             for who may send what"
        }
        ("extensions", "healthcheckv2" | "healthcheck") => "did you mean \"health_check\"?",
        _ => return None,
    })
}

/// The name that is close enough to be meant.
pub(super) fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .filter(|name| *name != text && !name.is_empty())
        .map(|name| (strsim::damerau_levenshtein(&text.to_lowercase(), name), name))
        .filter(|(distance, name)| *distance <= 1.max(name.len().min(text.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn published(path: &str, key: &str, known: &[String]) -> Option<String> {
    let has = |key: &str| known.iter().any(|k| k == key);
    let server = path.starts_with("receivers.");
    let text = match key {
        "client_auth_type" if has("client_ca_file") => {
            "client_ca_file demands and verifies a client certificate; client_auth: optional or \
             report_only demands less"
        }
        "client_crl" | "client_crl_files" | "crl_file" if has("client_crl_file") => {
            "did you mean \"client_crl_file\"? It takes a path or a list of paths"
        }
        "tls_settings" | "tls_config" | "tls_setting" | "ssl" if has("tls") => {
            "did you mean \"tls\"?"
        }
        "ca_file"
        | "cert_file"
        | "key_file"
        | "insecure"
        | "insecure_skip_verify"
        | "client_ca_file"
        | "server_name_override"
        | "min_version"
        | "ca_pem"
        | "cert_pem"
        | "key_pem"
        | "reload_interval"
            if has("tls") =>
        {
            return Some(format!("did you mean {key:?} below tls: (tls: {{ {key}: ... }})?"));
        }
        "client_ca" | "client_cas" | "clientCAFile" | "client_ca_pem" if has("client_ca_file") => {
            "did you mean \"client_ca_file\"? It takes a path"
        }
        "insecure" | "insecure_skip_verify" | "server_name_override" if server => {
            "that is a key of exporters; a receiver without a tls block is plaintext"
        }
        "client_ca_file" if has("server_name_override") => {
            "that is a key of receivers; an exporter verifies its upstream with ca_file"
        }
        "grpc" | "http" if has("protocols") => {
            return Some(format!("did you mean {key:?} below protocols:?"));
        }
        "address" if path.ends_with("telemetry.metrics") => {
            "use readers: [{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]"
        }
        "num_workers" if has("num_consumers") => "did you mean \"num_consumers\"?",
        "queue_settings" | "queued_retry" if has("sending_queue") => {
            "did you mean \"sending_queue\"?"
        }
        "retry_settings" if has("retry_on_failure") => "did you mean \"retry_on_failure\"?",
        "batcher" if has("sending_queue") => {
            "it is called sending_queue.batch, and nothing is batched here"
        }
        "loglevel" if has("verbosity") => "did you mean \"verbosity\": basic, normal or detailed?",
        "cors_allowed_origins" | "cors_allowed_headers" if has("cors") => {
            "did you mean cors: { allowed_origins: [...], allowed_headers: [...] }?"
        }
        "compression" if server => {
            "remove it: a receiver takes every compression that a sender uses"
        }
        "profiles_url_path" => "the path of profiles is fixed: /v1development/profiles",
        "enabled" if path.ends_with(".tls") => {
            "a client's tls block is always on; use insecure: true for plaintext"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
