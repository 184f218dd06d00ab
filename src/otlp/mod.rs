//! OTLP as bytes: the schema, and what is done with requests by walking it.
//!
//! Guarantees that nothing here blocks or awaits. Knows nothing of connections.

pub(crate) mod answer;
pub(crate) mod check;
pub(crate) mod json;
pub(crate) mod schema;
pub(crate) mod value;
pub(crate) mod wire;
