//! Through which proxy an exporter goes, by its configuration and the environment.

use http::Uri;

use crate::config::sections::{GrpcExporter, HttpExporter};
use crate::config::types::Upstream;
use crate::exporter::LoadError;
use crate::exporter::upstream::Proxy;

/// Of `otlp_grpc`: `None` goes straight to the upstream.
///
/// # Errors
/// The proxy that the environment names cannot be used.
pub(crate) fn of_grpc(config: &GrpcExporter) -> Result<Option<Proxy>, LoadError> {
    let Upstream::Tcp { host, port } = &config.upstream else { return Ok(None) };
    let place =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let wrong = |why: String| {
        LoadError::setting(&config.key_path, "endpoint", format!("the environment's {why}"))
    };
    let target =
        Uri::try_from(format!("https://{place}")).map_err(|error| wrong(error.to_string()))?;
    Proxy::from_environment(&target, true).map_err(wrong)
}

/// Of `otlp_http` and one of its URLs, written with its port.
///
/// # Errors
/// The proxy cannot be used.
pub(crate) fn of_url(
    config: &HttpExporter,
    url: &Uri,
    https: bool,
) -> Result<Option<Proxy>, LoadError> {
    let wrong = |why: String| LoadError::setting(&config.key_path, "proxy_url", why);
    match &config.proxy_url {
        Some(proxy) => Proxy::from_url(proxy.expose(), url, https).map(Some).map_err(wrong),
        None => Proxy::from_environment(url, https)
            .map_err(|why| wrong(format!("is not set, and the environment's {why}"))),
    }
}
