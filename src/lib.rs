//! Portcullis, an mTLS-terminating gateway for OpenTelemetry (OTLP).
//!
//! # Layout
//!
//! Imports point downwards only; `tests/it/layering.rs` enforces it.
//!
//! | layer | modules |
//! |---|---|
//! | 0 vocabulary | `signal`, `identity`, `outcome`, `escape` |
//! | 1 data | `config`, `coding` (compression), `otlp` (schema, checker, JSON, status), `batch` |
//! | 2 mechanism | `aside`, `tls`, `metrics`, `shutdown`, `telemetry`, `write_through` |
//! | 3 data path | `listener`, `acceptor`, `connection`, `receiver`; `processor`, `pipeline`; `exporter` |
//! | 4 surface | `extension` |
//! | 5 composition | `gateway`, `worker` |
//! | 6 process | `main`, `cli`, `fuzzing`, `measure` (for `benches/`) |

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::disallowed_methods,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_in_result,
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )
)]

mod acceptor;
mod aside;
mod batch;
pub mod cli;
mod coding;
mod config;
mod connection;
mod escape;
mod exporter;
mod extension;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod identity;
mod listener;
#[doc(hidden)]
pub mod measure;
mod metrics;
mod otlp;
mod outcome;
mod pipeline;
mod processor;
mod receiver;
mod shutdown;
mod signal;
mod telemetry;
mod tls;
mod worker;
mod write_through;

pub use config::{Config, Problem, Problems, Span};
pub use gateway::{BuildError, Ended, Gateway, RunError};
pub use shutdown::Request;
