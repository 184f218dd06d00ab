//! The gRPC exporter against upstreams that behave in every way they can.

mod answers;
mod rotation;
