//! The exporter's side through the whole gateway: upstreams that fail in every way that is known,
//! what their senders are told, and that nobody else notices.

mod answers;
pub mod backend;
mod connecting;
mod connections;
mod crl;
mod frames;
mod hostile;
mod log;
mod observed;
mod odd;
mod patience;
mod ports;
mod proxies;
mod proxy;
mod requests;
mod rotation;
mod stage;
mod tls;
