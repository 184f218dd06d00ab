//! What is refused: each case is one mistake, and the one error must name its key and line.

mod others;

use super::{BASE, read};
use others::OTHERS;

/// Where the mistake stands, the mistake, the key of the error below that place, its reason.
type Case = (&'static str, &'static str, &'static str, &'static str);

const TLS: &str = "receivers.otlp.protocols.grpc.tls";
const REVOKING: &str = "receivers.otlp.protocols.grpc.tls.revocation";
const GRPC: &str = "receivers.otlp.protocols.grpc";
const HTTP: &str = "receivers.otlp.protocols.http";
const OUT: &str = "exporters.otlp_grpc";
const OUT_TLS: &str = "exporters.otlp_grpc.tls";
const OUT_HTTP: &str = "exporters.otlp_http";
const QUEUE: &str = "exporters.otlp_grpc.sending_queue";
const RETRY: &str = "exporters.otlp_grpc.retry_on_failure";
const METRICS: &str = "service.telemetry.metrics";
const TRACES: &str = "service.pipelines.traces";

const RECEIVERS: &[Case] = &[
    ("receivers", "otlpp: {}", "otlpp", "unknown_component"),
    ("receivers", "otlp/: {}", "otlp/", "component_id"),
    ("receivers", "/a: {}", "/a", "component_id"),
    ("receivers", "'otlp/a b': {}", "otlp/a b", "component_id"),
    ("receivers", "9otlp: {}", "9otlp", "component_id"),
    ("receivers", "jaeger: {}", "jaeger", "unknown_component"),
    ("receivers", "otlp/x: {}", "otlp/x", "no_protocol"),
    ("receivers", "otlp/x: {protocols: {}}", "otlp/x.protocols", "no_protocol"),
    ("receivers", "otlp/x: 5", "otlp/x", "wrong_type"),
    ("receivers", "nop: {a: b}", "nop.a", "unknown_key"),
    ("receivers.otlp", "grpc: {}", "grpc", "unknown_key"),
    ("receivers.otlp.protocols", "htttp: {}", "htttp", "unknown_key"),
    ("receivers.otlp.protocols", "http: {enabled: 'no'}", "http.enabled", "wrong_type"),
    (GRPC, "endpoint: localhost", "endpoint", "endpoint"),
    (GRPC, "endpoint: http://0.0.0.0:4317", "endpoint", "endpoint"),
    (GRPC, "endpoint: localhost:99999", "endpoint", "endpoint"),
    (GRPC, "endpoint: 4317", "endpoint", "wrong_type"),
    (GRPC, "endpoint: $HOST:4317", "endpoint", "bare_variable"),
    (GRPC, "transport: udp", "transport", "unknown_value"),
    (GRPC, LONG_SOCKET, "endpoint", "endpoint"),
    (GRPC, "Endpoint: localhost:1", "Endpoint", "unknown_key"),
    (GRPC, "max_recv_msg_size_mib: -1", "max_recv_msg_size_mib", "out_of_range"),
    (GRPC, "max_recv_msg_size_mib: '4'", "max_recv_msg_size_mib", "wrong_type"),
    (GRPC, "max_recv_msg_size_mib: 4MiB", "max_recv_msg_size_mib", "wrong_type"),
    (GRPC, "max_recv_msg_size: 4", "max_recv_msg_size", "unknown_key"),
    (GRPC, "read_buffer_size: -5", "read_buffer_size", "out_of_range"),
    (GRPC, "max_concurrent_streams: 5000000000", "max_concurrent_streams", "out_of_range"),
    (
        GRPC,
        "keepalive: {server_parameters: {time: soon}}",
        "keepalive.server_parameters.time",
        "wrong_type",
    ),
    (
        GRPC,
        "keepalive: {server_parameters: {max_age: 1s}}",
        "keepalive.server_parameters.max_age",
        "unknown_key",
    ),
    (GRPC, "include_metadata: yes", "include_metadata", "wrong_type"),
    (GRPC, "auth: {authenticator: oidc}", "auth.authenticator", "auth"),
    (GRPC, "auth: {}", "auth", "missing_key"),
    (GRPC, "middlewares: [{id: my_gate}]", "middlewares[0].id", "unknown_component"),
    (GRPC, "handshake_timeout: -1s", "handshake_timeout", "out_of_range"),
    (GRPC, "max_connections: 0", "max_connections", "out_of_range"),
    (GRPC, "max_connections_per_source: 0", "max_connections_per_source", "out_of_range"),
    (HTTP, "max_connections_per_source: many", "max_connections_per_source", "wrong_type"),
    (GRPC, "tls_settings: {cert_file: a, key_file: b}", "tls_settings", "unknown_key"),
    (GRPC, "cert_file: a", "cert_file", "unknown_key"),
    (GRPC, "tls: on", "tls", "wrong_type"),
    (GRPC, "tls: ${env:UNSET}", "tls", "empty"),
    (GRPC, "tls: {}", "tls", "tls_no_certificate"),
    (TLS, "client_auth_type: RequireAndVerifyClientCert", "client_auth_type", "unknown_key"),
    (TLS, "client_ca_file: ''", "client_ca_file", "empty"),
    (TLS, "client_ca_file:", "client_ca_file", "empty"),
    (TLS, "client_ca_file: '${env:UNSET}'", "client_ca_file", "empty"),
    (TLS, "client_ca_file: $CA_FILE", "client_ca_file", "bare_variable"),
    (TLS, "ca_file: /ca.pem", "ca_file", "tls_nobody_verified"),
    (TLS, "ca_pem: text", "ca_pem", "tls_nobody_verified"),
    (TLS, "cert_pem: text", "cert_pem", "tls_both"),
    (TLS, "key_pem: text", "key_pem", "tls_both"),
    (TLS, "min_version: 1.2", "min_version", "wrong_type"),
    (TLS, "min_version: '1.1'", "min_version", "tls_version"),
    (TLS, "max_version: '1.0'", "max_version", "tls_version"),
    (TLS, "min_version: TLS13", "min_version", "tls_version"),
    (TLS, "{min_version: '1.3', max_version: '1.2'}", "min_version", "tls_version"),
    (TLS, "cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256]", "cipher_suites", "tls_cipher_suite"),
    (TLS, "cipher_suites: [TLS_AES_128_GCM_SHA265]", "cipher_suites", "tls_cipher_suite"),
    (TLS, "cipher_suites: TLS_AES_128_GCM_SHA256", "cipher_suites", "wrong_type"),
    (
        TLS,
        "{max_version: '1.2', cipher_suites: [TLS_AES_128_GCM_SHA256]}",
        "cipher_suites",
        "tls_cipher_suite",
    ),
    (TLS, "curve_preferences: [P521]", "curve_preferences", "tls_curve"),
    (TLS, "curve_preferences: [x25519]", "curve_preferences", "tls_curve"),
    (TLS, "tpm: {enabled: true}", "tpm", "tls_tpm"),
    (TLS, "reload_interval: hourly", "reload_interval", "wrong_type"),
    (TLS, "insecure: true", "insecure", "unknown_key"),
    (TLS, "client_ca_file_reload: 1", "client_ca_file_reload", "wrong_type"),
    (TLS, "client_crl_file: ''", "client_crl_file", "empty"),
    (TLS, "client_crl_file: []", "client_crl_file", "empty"),
    (TLS, "client_crl_file: ['']", "client_crl_file", "empty"),
    (TLS, "client_crl_file: {a: b}", "client_crl_file", "wrong_type"),
    (TLS, "client_crl_file: '${env:UNSET}'", "client_crl_file", "empty"),
    (TLS, "client_crl_file: [/a, /a]", "client_crl_file", "duplicate_key"),
    (TLS, "client_crl_file: /a", "client_crl_file", "tls_nobody_verified"),
    (TLS, "client_crl_files: [/a]", "client_crl_files", "unknown_key"),
    (TLS, "client_auth: require", "client_auth", "tls_nobody_verified"),
    (TLS, "{client_ca_file: /a, client_auth: maybe}", "client_auth", "unknown_value"),
    (TLS, "session_resumption: true", "session_resumption", "wrong_type"),
    (TLS, "session_resumption: sometimes", "session_resumption", "unknown_value"),
    (TLS, "strict_x509: 'yes'", "strict_x509", "wrong_type"),
    (TLS, "trust_loss_grace: -1s", "trust_loss_grace", "out_of_range"),
    (TLS, "revocation: {scope: leaf}", "revocation", "missing_key"),
    (REVOKING, "unknown: ignore", "unknown", "unknown_value"),
    (REVOKING, "expired: warn", "expired", "unknown_value"),
    (REVOKING, "scope: root", "scope", "unknown_value"),
    (REVOKING, "grace: a day", "grace", "wrong_type"),
    (REVOKING, "on_unknown: allow", "on_unknown", "unknown_key"),
    (HTTP, "max_request_body_size: big", "max_request_body_size", "wrong_type"),
    (HTTP, "compression_algorithms: [br]", "compression_algorithms", "unknown_value"),
    (HTTP, "traces_url_path: /v1/logs", "traces_url_path", "url_path"),
    (HTTP, "logs_url_path: '/a b'", "logs_url_path", "url_path"),
    (HTTP, "profiles_url_path: /p", "profiles_url_path", "unknown_key"),
    (HTTP, "cors: {allowed_origins: ['*a*']}", "cors.allowed_origins", "cors"),
    (HTTP, "cors: {allowed_origin: ['*']}", "cors.allowed_origin", "unknown_key"),
    (HTTP, "response_headers: {'a b': c}", "response_headers.a b", "header"),
    (HTTP, "response_headers: {a: 1}", "response_headers.a", "wrong_type"),
    (HTTP, "endpoint: localhost:4317", "endpoint", "listen_twice"),
    (HTTP, "endpoint: '[::]:4317'", "endpoint", "listen_twice"),
    (HTTP, "keepalive: {server_parameters: {}}", "keepalive.server_parameters", "unknown_key"),
    (HTTP, "keepalive: {idle_timeout: soon}", "keepalive.idle_timeout", "wrong_type"),
    (HTTP, "idle_timeout: soon", "idle_timeout", "wrong_type"),
    (HTTP, "{keepalive: {}, idle_timeout: 1m}", "idle_timeout", "contradiction"),
    (HTTP, "{keepalive: {}, keep_alives_enabled: true}", "keep_alives_enabled", "contradiction"),
];

const EXPORTERS: &[Case] = &[
    ("exporters", "otlp_http/x: {}", "otlp_http/x.endpoint", "endpoint"),
    ("exporters", "otlp_grpc/x: {}", "otlp_grpc/x.endpoint", "endpoint"),
    ("exporters", "otlpgrpc: {}", "otlpgrpc", "unknown_component"),
    ("exporters", "logging: {}", "logging", "unknown_component"),
    (OUT, "endpoint: ''", "endpoint", "endpoint"),
    (OUT, "endpoint: backend", "endpoint", "endpoint"),
    (OUT, "endpoint: https://backend", "endpoint", "endpoint"),
    (OUT, "endpoint: https://backend:4317/v1/traces", "endpoint", "endpoint"),
    (OUT, "endpoint: a:b:4317", "endpoint", "endpoint"),
    (OUT, "endpoint: backend:otlp", "endpoint", "endpoint"),
    (OUT, "endpoint: xds:///backend:4317", "endpoint", "endpoint"),
    (OUT, "endpoint: unix://", "endpoint", "endpoint"),
    (OUT, "endpoint: backend:0", "endpoint", "endpoint"),
    (OUT, "ca_file: /ca.pem", "ca_file", "unknown_key"),
    (OUT, "insecure: true", "insecure", "unknown_key"),
    (OUT, "compression: zlib", "compression", "unknown_value"),
    (OUT, "compression: gzipp", "compression", "unknown_value"),
    (OUT, "timeout: -5s", "timeout", "out_of_range"),
    (OUT, "timeout: 5 seconds", "timeout", "wrong_type"),
    (OUT, "balancer_name: random", "balancer_name", "unknown_value"),
    (OUT, "auth: {authenticator: oauth2client}", "auth", "auth"),
    (
        OUT,
        "headers: [{name: a, value: b}, {name: a, value: c}]",
        "headers[1].name",
        "duplicate_key",
    ),
    (OUT, "headers: [{value: b}]", "headers[0]", "missing_key"),
    (OUT, "headers: {a: \"b\\n\"}", "headers.a", "header"),
    (OUT, "sending_queu: {}", "sending_queu", "unknown_key"),
    (OUT_TLS, "client_ca_file: /ca.pem", "client_ca_file", "unknown_key"),
    (OUT_TLS, "cert_file: /a.crt", "cert_file", "tls_half_pair"),
    (OUT_TLS, "key_pem: text", "key_pem", "tls_half_pair"),
    (OUT_TLS, "{ca_file: a, ca_pem: b}", "ca_pem", "tls_both"),
    (OUT_TLS, "enabled: false", "enabled", "unknown_key"),
    (OUT_TLS, "insecure: 'true'", "insecure", "wrong_type"),
    (OUT_TLS, "ca_file: '${env:UNSET}'", "ca_file", "empty"),
    (OUT_TLS, "crl_file: ''", "crl_file", "empty"),
    (OUT_TLS, "client_crl_file: /a", "client_crl_file", "unknown_key"),
    (OUT_TLS, "revocation: {expired: allow}", "revocation", "missing_key"),
    (OUT_TLS, "{insecure_skip_verify: true, crl_file: /a}", "crl_file", "contradiction"),
    (QUEUE, "num_consumers: 0", "num_consumers", "out_of_range"),
    (QUEUE, "queue_size: -1", "queue_size", "out_of_range"),
    (QUEUE, "sizer: lines", "sizer", "unknown_value"),
    (QUEUE, "batch: {flush_timeout: 0s}", "batch.flush_timeout", "out_of_range"),
    (QUEUE, "batch: {min_size: -1}", "batch.min_size", "out_of_range"),
    (QUEUE, "batch: {max_size: 10}", "batch.max_size", "out_of_range"),
    (QUEUE, "{sizer: items, batch: {}}", "batch.min_size", "out_of_range"),
    (QUEUE, "{sizer: requests, batch: {min_size: 5}}", "batch.sizer", "contradiction"),
    (
        QUEUE,
        "batch: {partition: {metadata_keys: [a, A]}}",
        "batch.partition.metadata_keys",
        "duplicate_key",
    ),
    (QUEUE, "storage: file_storage", "storage", "not_configured"),
    (RETRY, "max_elapsed_time: 10s", "max_elapsed_time", "out_of_range"),
    (RETRY, "multiplier: -1", "multiplier", "out_of_range"),
    (RETRY, "randomization_factor: 2", "randomization_factor", "out_of_range"),
    (OUT_HTTP, "endpoint: backend:4318", "endpoint", "endpoint"),
    (OUT_HTTP, "endpoint: grpc://backend:4318", "endpoint", "endpoint"),
    (OUT_HTTP, "endpoint: https://u:p@backend", "endpoint", "endpoint"),
    (OUT_HTTP, "endpoint: https://", "endpoint", "endpoint"),
    (OUT_HTTP, "traces_endpoint: backend", "traces_endpoint", "endpoint"),
    (OUT_HTTP, "encoding: protobuf", "encoding", "unknown_value"),
    (OUT_HTTP, "compression_params: {level: 10}", "compression_params.level", "out_of_range"),
    (
        OUT_HTTP,
        "{compression: snappy, compression_params: {level: 1}}",
        "compression_params.level",
        "out_of_range",
    ),
    (OUT_HTTP, "proxy_url: proxy:3128", "proxy_url", "endpoint"),
    (OUT_HTTP, "tls: {server_name_override: 'localhost:4318'}", "tls", "server_name"),
    (OUT_HTTP, "max_idle_conns: many", "max_idle_conns", "wrong_type"),
    (OUT_HTTP, "keepalive: {time: 10s}", "keepalive.time", "unknown_key"),
    (OUT_HTTP, "keepalive: {max_idle_conns: -1}", "keepalive.max_idle_conns", "out_of_range"),
    (OUT_HTTP, "{keepalive: {}, max_idle_conns: 5}", "max_idle_conns", "contradiction"),
    (OUT, "pick_first: {shuffle: true}", "pick_first.shuffle", "unknown_key"),
    (QUEUE, "batch: {partition: {cache_size: 0}}", "batch.partition.cache_size", "out_of_range"),
    ("exporters", "debug: {verbosity: loud}", "debug.verbosity", "unknown_value"),
    ("exporters", "debug: {output_paths: [stdout]}", "debug.output_paths", "contradiction"),
    (
        "exporters",
        "debug: {use_internal_logger: false, output_paths: []}",
        "debug.output_paths",
        "empty",
    ),
    ("exporters", "debug: {loglevel: debug}", "debug.loglevel", "unknown_key"),
];

/// The mistake, written as deep as its place, and the line it is on.
fn document(place: &str, mistake: &str) -> (String, u32) {
    let mut text = String::new();
    let mut line = 1;
    let mut indent = 0;
    for part in place.split('.').filter(|part| !part.is_empty()) {
        text.push_str(&format!("{}{part}:\n", " ".repeat(indent)));
        indent += 2;
        line += 1;
    }
    text.push_str(&format!("{}{mistake}\n", " ".repeat(indent)));
    (text, line)
}

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (place, mistake, key, reason) in cases {
        let (patch, line) = document(place, mistake);
        let wanted = match (place.is_empty(), key.is_empty()) {
            (true, _) => (*key).to_owned(),
            (_, true) => (*place).to_owned(),
            _ => format!("{place}.{key}"),
        };
        // The sections that a patch may be about are there, and right.
        let base = format!("{BASE}{}", around(place));
        let base = if *place == OUT_HTTP && !mistake.contains("endpoint") {
            format!("{base}\nexporters::otlp_http::endpoint: https://backend:4318\n")
        } else {
            base
        };
        match read(&[&base, &patch], &[], &[]) {
            Ok(_) => wrong.push(format!("accepted: {place}: {mistake}")),
            Err(problems) => match problems.errors.as_slice() {
                [error]
                    if error.key_path == wanted
                        && error.reason == *reason
                        && error.span.line == line - u32::from(key.is_empty()) => {}
                _ => wrong.push(format!("wanted {wanted} [{reason}] in line {line}:\n{problems}")),
            },
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const LONG_SOCKET: &str = "{transport: unix, endpoint: /tmp/0123456789/0123456789/0123456789/\
     0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789}";

/// What must be there for a mistake at this place to be the only one.
fn around(place: &str) -> &'static str {
    match place {
        TLS => WITH_TLS,
        REVOKING => WITH_CRL,
        _ => "",
    }
}

const WITH_CRL: &str = "\nreceivers::otlp::protocols::grpc::tls: {cert_file: a, key_file: b, \
     client_ca_file: c, client_crl_file: [d, e]}\n";

const WITH_TLS: &str = "\nreceivers::otlp::protocols::grpc::tls: {cert_file: a, key_file: b}\n";

#[test]
fn wrong_receivers_are_refused_at_their_key_and_line() {
    check(RECEIVERS);
}

#[test]
fn wrong_exporters_are_refused_at_their_key_and_line() {
    check(EXPORTERS);
}

#[test]
fn wrong_processors_extensions_and_services_are_refused_at_their_key_and_line() {
    check(OTHERS);
}

#[test]
fn the_tables_hold_more_than_a_hundred_mistakes() {
    assert!(RECEIVERS.len() + EXPORTERS.len() + OTHERS.len() >= 150);
}

#[test]
fn published_mistakes_are_answered_with_what_was_meant() {
    for (place, mistake, help) in [
        (GRPC, "tls_settings: {}", "did you mean \"tls\"?"),
        (TLS, "client_auth_type: x", "client_ca_file demands and verifies"),
        (TLS, "client_ca: /ca", "client_ca_file"),
        (TLS, "client_crl_files: [/a]", "did you mean \"client_crl_file\"?"),
        (GRPC, "endpoint: $HOST:1", "${env:HOST}"),
        (OUT, "ca_file: /ca.pem", "tls: { ca_file"),
        (OUT_TLS, "client_ca_file: /ca.pem", "ca_file"),
        (TLS, "ca_file: /ca.pem", "client_ca_file"),
        (TRACES, "processors: [batch]", "processors: { batch: {} }"),
        (TRACES, "exporters: [otlp_grcp]", "did you mean \"otlp_grpc\"?"),
        ("receivers.otlp.protocols", "htttp: {}", "did you mean \"http\"?"),
        (METRICS, "address: ':8888'", "prometheus"),
        (TLS, "min_version: 1.2", "quotes"),
        ("exporters", "logging: {loglevel: debug}", "it is called debug"),
        ("exporters", "debug: {loglevel: debug}", "did you mean \"verbosity\""),
        ("exporters", "prometheus: {endpoint: ':8889'}", "send OTLP to a Collector that has this"),
        ("receivers", "hostmetrics: {}", "that sends here by otlp_grpc or otlp_http"),
        ("processors", "k8sattributes: {}", "a Collector before or behind this gateway"),
        ("extensions", "pprof: {}", "remove it, also from service.extensions"),
        ("extensions", "basicauth/grafana: {}", "headers: {Authorization"),
        ("processors", "k8sattributes: {}", "valid values: attributes, batch"),
        (GRPC, "endpoint: /run/otlp.sock", "add transport: unix"),
        (TRACES, "exporters: [otlp/2]", "exporters: { otlp/2: {endpoint: backend:4317} }"),
        (TRACES, "receivers: [otlp/2]", "receivers: { otlp/2: {protocols"),
        (OUT, "batcher: {}", "sending_queue.batch"),
        (OUT, "queue_settings: {}", "did you mean \"sending_queue\"?"),
        (HTTP, "cors_allowed_origins: ['*']", "cors: { allowed_origins"),
        (GRPC, "compression: gzip", "takes every compression"),
    ] {
        let (patch, _) = document(place, mistake);
        let base = format!("{BASE}{}", around(place));
        let problems = read(&[&base, &patch], &[], &[]).unwrap_err();
        assert!(problems.to_string().contains(help), "{help} not in {problems}");
    }
}

/// Scenario: an operator's resource, a chart's values and a ConfigMap instead of the configuration.
/// Guarantees: one error says where the configuration is, and what is wrong in there is said too.
#[test]
fn a_configuration_inside_another_programs_file_is_found_there() {
    let refused = |text: &str| read(&[text], &[], &[]).unwrap_err();
    let of = |path: &str, text: &str| {
        let indented = text.trim().replace('\n', "\n  ");
        format!("kind: Collector\n{path}:\n  {indented}\n")
    };
    let problems = refused(&of("config", BASE));
    let [error] = problems.errors.as_slice() else { panic!("{problems}") };
    assert_eq!((error.key_path.as_str(), error.reason), ("config", "wrapped"));
    let problems = refused(&of("config", &BASE.replace("'backend:4317'", "backend")));
    let reasons: Vec<_> = problems.errors.iter().map(|error| error.reason).collect();
    assert_eq!(reasons, ["wrapped", "endpoint"]);
    let text = BASE.trim().replace('\n', "\n    ");
    let problems = refused(&format!("kind: ConfigMap\ndata:\n  relay: |\n    {text}\n"));
    let [error] = problems.errors.as_slice() else { panic!("{problems}") };
    assert_eq!((error.key_path.as_str(), error.reason), ("data.relay", "wrapped"));
}

/// Scenario: a connector that a pipeline ends in and another begins with.
#[test]
fn connectors_are_refused_once() {
    let patch = "connectors: {spanmetrics: {}}\nservice: {pipelines: {traces: {receivers: [otlp], \
                 exporters: [spanmetrics]}, metrics: {receivers: [spanmetrics], exporters: [otlp_grpc]}}}";
    let problems = read(&[BASE, patch], &[], &[]).unwrap_err();
    let [error] = problems.errors.as_slice() else { panic!("{problems}") };
    assert_eq!((error.key_path.as_str(), error.reason), ("connectors", "unsupported"));
}
