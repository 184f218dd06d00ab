//! The gateway from outside: real sockets, real certificates, ports chosen by the system.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "a test fails where it stands"
)]

mod acknowledged;
mod bad_files;
mod docs;
mod doctor;
mod health;
mod hostile;
mod layering;
mod lifecycle;
mod metrics;
mod process;
mod refusals;
mod reload;
mod rotation;
mod support;
mod threats;
mod trust;
mod upstream;
mod watch;
