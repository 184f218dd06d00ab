//! OTLP's own requirements on a server, each a test named by its number in the conformance
//! checklist (G: common, L: limits, R: gRPC, H: HTTP, J: JSON), and what other servers get wrong.
//!
//! `numbers` says which is where. Each is run in memory and over sockets, in the clear and over TLS
//! (`wire`); a fake pipeline shows what reached it.

mod common;
mod cors;
mod data;
mod fairness;
mod grpc;
mod http;
mod json;
mod limits;
mod numbers;
mod peers;
mod requests;
mod support;
mod told;
mod wire;
