//! The gRPC exporter against upstreams that behave in every way they can.

mod answers;
mod broken;
mod refused;
mod rotation;
