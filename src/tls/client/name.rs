//! The name that is asked for and verified.

use rustls_pki_types::ServerName;

/// Cuts off a port, brackets and the root's dot; refuses a URL.
pub(super) fn host_of(text: &str) -> Result<String, String> {
    if text.contains("://") || text.contains('/') {
        return Err("it is a URL".to_owned());
    }
    let host = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _port)) => inside,
        None => match text.rsplit_once(':') {
            Some((host, port))
                if !host.contains(':')
                    && !port.is_empty()
                    && port.bytes().all(|b| b.is_ascii_digit()) =>
            {
                host
            }
            _ => text,
        },
    };
    // Certificates hold names without it.
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host)
        .map_err(|_not_a_name| "neither a DNS name nor an IP address".to_owned())?;
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_brackets_and_the_last_dot_are_cut_off() {
        for (text, host) in [
            ("otel.example.com", "otel.example.com"),
            ("otel.example.com:4317", "otel.example.com"),
            ("otel.example.com.", "otel.example.com"),
            ("127.0.0.1:4317", "127.0.0.1"),
            ("[::1]:4317", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(host_of(text).unwrap(), host);
        }
        assert_eq!(host_of("https://otel").unwrap_err(), "it is a URL");
        assert!(host_of("a b").is_err() && host_of("").is_err());
    }
}
