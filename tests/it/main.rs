//! The gateway from outside: real sockets, real certificates, ports chosen by the system.

mod docs;
mod layering;
