//! What a failed `accept` call means, and how long to wait after it.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// Classes of failure, as `accept(2)` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The connection was gone before it was accepted; the next one may be fine.
    Peer,
    /// Out of descriptors or memory: waiting helps.
    Resources,
    /// Nothing the manual knows; going on at once could spin.
    Unexpected,
}

impl Class {
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(
                Errno::CONNABORTED
                | Errno::INTR
                | Errno::PROTO
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::TIMEDOUT,
            ) => Self::Peer,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Resources,
            _ => Self::Unexpected,
        }
    }

    /// The label of `portcullis_accept_errors_total`.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Peer => "peer_gone",
            Self::Resources => "out_of_resources",
            Self::Unexpected => "unexpected",
        }
    }
}

/// Doubles from 5 ms to 1 s until something works again.
#[derive(Debug, Default)]
pub(super) struct Backoff(Option<Duration>);

impl Backoff {
    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        let delay = self.0.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.0 = Some(delay);
        delay
    }

    /// Whether the last call failed.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_waited_out_and_a_vanished_peer_is_not() {
        let class = |errno: Errno| Class::of(&io::Error::from(errno));
        assert_eq!(class(Errno::MFILE), Class::Resources);
        assert_eq!(class(Errno::NFILE), Class::Resources);
        assert_eq!(class(Errno::NOMEM), Class::Resources);
        assert_eq!(class(Errno::CONNABORTED), Class::Peer);
        assert_eq!(class(Errno::PROTO), Class::Peer);
        assert_eq!(class(Errno::BADF), Class::Unexpected);
    }

    #[test]
    fn waiting_doubles_up_to_a_second_and_starts_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let first: Vec<_> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(first, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST);
    }
}
