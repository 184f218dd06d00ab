//! Connections to upstreams: names to addresses, addresses to streams, streams to HTTP/2.
//!
//! Guarantees that every wait has a deadline, that one connection attempt runs at a time for each
//! upstream and worker, and that a failure says which address, why and what to do next. Knows
//! nothing of gRPC or OTLP.

mod address;
mod cork;
mod dialer;
mod driver;
mod environment;
mod error;
mod handover;
mod io;
mod lifetime;
mod link;
mod pace;
mod pool;
mod proxy;
mod state;
mod told;

pub(crate) use address::Address;
pub(crate) use dialer::{Dialed, Dialer};
pub(crate) use error::ConnectError;
pub(crate) use handover::Handover;
pub(crate) use io::{Heard, Io};
pub(crate) use lifetime::Lifetime;
pub(crate) use link::Lease;
pub(crate) use pool::{Pool, PoolSettings};
pub(crate) use proxy::Proxy;
pub(crate) use told::Told;
