//! Three ports on localhost: the usual ones, or others when those are taken.

use std::io;
use std::net::TcpListener;

/// Where everything listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// The gateway's gRPC side.
    pub(super) grpc: u16,
    /// The gateway's HTTP side.
    pub(super) http: u16,
    /// The backend.
    pub(super) backend: u16,
}

/// A port that could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The usual one.
    pub(super) wanted: u16,
    /// The one chosen instead.
    pub(super) chosen: u16,
}

impl Ports {
    /// The usual ports, each replaced by a free one if it is taken.
    pub(super) fn choose(usual: Self) -> io::Result<(Self, Vec<Taken>)> {
        let mut taken = Vec::new();
        // Held until all three are chosen, so that they differ.
        let mut held = Vec::new();
        let mut choose = |wanted| -> io::Result<u16> {
            let listener = match TcpListener::bind(("127.0.0.1", wanted)) {
                Ok(listener) => listener,
                Err(_) => TcpListener::bind(("127.0.0.1", 0))?,
            };
            let chosen = listener.local_addr()?.port();
            if chosen != wanted && wanted != 0 {
                taken.push(Taken { wanted, chosen });
            }
            held.push(listener);
            Ok(chosen)
        };
        let chosen = Self {
            grpc: choose(usual.grpc)?,
            http: choose(usual.http)?,
            backend: choose(usual.backend)?,
        };
        Ok((chosen, taken))
    }
}

/// OTLP's own ports, and one for the backend.
pub(super) const USUAL: Ports = Ports { grpc: 4317, http: 4318, backend: 14317 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_reported() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = held.local_addr().unwrap().port();
        let (ports, taken) = Ports::choose(Ports { grpc: wanted, http: 0, backend: 0 }).unwrap();
        assert_ne!(ports.grpc, wanted);
        assert_eq!(taken, [Taken { wanted, chosen: ports.grpc }]);
    }
}
