//! What `benches/` measures of the inside. No part of the interface.

use bytes::Bytes;

use crate::Config;
use crate::batch::Rope;
use crate::otlp::check;
use crate::signal::Signal;
pub use crate::tls::reload::Measured as Reloading;

/// Checks a request of the named signal that came in these frames: how many items are in it, or
/// nothing when it is refused.
pub fn check(signal: &str, frames: &[Bytes]) -> Option<u64> {
    let request: Rope = frames.iter().cloned().collect();
    check::check(Signal::from_name(signal)?, &request).ok().map(|checked| checked.items)
}

/// The `tls` block of the first gRPC receiver, loaded and ready to be read again.
///
/// # Errors
/// What is wrong with the configuration or with the files.
pub fn reloading(yaml: &str) -> Result<Reloading, String> {
    let config = Config::from_yaml(yaml).map_err(|problems| problems.to_string())?;
    let mut receivers = config.receivers.into_values();
    let tls = receivers.find_map(|receiver| receiver.grpc?.server.tls).ok_or("no `tls` block")?;
    Reloading::load(tls)
}
