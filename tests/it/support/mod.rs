//! What the tests share: certificates, the gateway under test, a backend behind it, senders.

pub mod agent;
pub mod eventually;
pub mod frames;
pub mod gateway;
pub mod pki;
pub mod upstream;
