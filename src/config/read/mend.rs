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
        "profiles_url_path" => "the path of profiles is fixed: /v1development/profiles",
        "enabled" if path.ends_with(".tls") => {
            "a client's tls block is always on; use insecure: true for plaintext"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
