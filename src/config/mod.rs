//! Configuration in the Collector's YAML: read, merged, expanded, checked, with every problem
//! reported at once.
//!
//! Guarantees that a [`Config`] is complete and consistent. Knows nothing of sockets or TLS.

pub(crate) mod diagnostic;
pub(crate) mod node;
pub(crate) mod sections;
pub(crate) mod types;

pub use diagnostic::{Problem, Problems, Span};
pub use sections::Config;
