//! OTLP's own requirements on a server, each a test named by its number in the conformance
//! checklist (G: common, L: limits, R: gRPC, H: HTTP, J: JSON), and what other servers get wrong.
//!
//! G4 to G6 are about what upstream said; R2 and H6 (default ports) belong to the configuration.
//! Requests are fed to the receiver in memory; a fake pipeline shows what reached it.

mod common;
mod cors;
mod data;
mod grpc;
mod http;
mod json;
mod limits;
mod requests;
mod support;
mod wire;
