//! The framing of gRPC: five bytes, then one message.
//!
//! Guarantees that a call holds exactly one whole message within the limit: a second one, bytes
//! after it, or a part of one is an error and never dropped in silence. Pure, for fuzzing. Knows
//! nothing of HTTP/2.

use bytes::{Buf as _, Bytes};
use tonic::Code;

/// Takes the frames of one unary call apart.
#[derive(Debug)]
pub(crate) struct Deframer {
    prefix: [u8; 5],
    /// Bytes of the prefix that arrived.
    have: usize,
    /// Bytes of the message still to come, once the prefix is whole.
    left: usize,
    limit: usize,
}

/// What is wrong with the frames of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The first byte is neither 0 nor 1.
    #[error(
        "byte 0 of the gRPC message is {0}, not 0 (plain) or 1 (compressed): the body has no gRPC framing"
    )]
    Flag(u8),
    /// No message at all.
    #[error("the call has no message: send one Export request with its five bytes of framing")]
    Missing,
    /// The message is not whole.
    #[error(
        "the gRPC message ends {missing} bytes early: the sender's framing is wrong or it gave up"
    )]
    Short {
        /// Bytes of prefix or message that did not come.
        missing: usize,
    },
    /// The message announced is too large.
    #[error("the gRPC message has {length} bytes; this gateway takes at most {limit}")]
    TooLarge {
        /// Its length.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// More than one message, or bytes after it.
    #[error(
        "there are bytes after the gRPC message: Export takes one message a call, send each request in a call of its own"
    )]
    Trailing,
}

impl FrameError {
    /// Stable reason code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Flag(_) => "grpc_flag",
            Self::Missing => "grpc_no_message",
            Self::Short { .. } => "grpc_short_message",
            Self::TooLarge { .. } => "request_too_large",
            Self::Trailing => "grpc_trailing_bytes",
        }
    }

    /// The status to answer.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Flag(_) | Self::Missing | Self::Short { .. } | Self::Trailing => {
                Code::InvalidArgument
            }
            Self::TooLarge { .. } => Code::ResourceExhausted,
        }
    }
}

impl Deframer {
    /// For a message of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { prefix: [0; 5], have: 0, left: 0, limit }
    }

    /// Takes the next bytes of the call and gives back the part of the message in them.
    ///
    /// # Errors
    ///
    /// The bytes cannot belong to a call with one message within the limit.
    pub(crate) fn push(&mut self, mut frame: Bytes) -> Result<Bytes, FrameError> {
        if let Some(missing) = self.prefix.get_mut(self.have..)
            && !missing.is_empty()
        {
            let count = missing.len().min(frame.len());
            for (to, from) in missing.iter_mut().zip(frame.iter()) {
                *to = *from;
            }
            frame.advance(count);
            self.have += count;
            if self.have == self.prefix.len() {
                self.start()?;
            }
        }
        if frame.len() > self.left {
            return Err(FrameError::Trailing);
        }
        self.left -= frame.len();
        Ok(frame)
    }

    /// Whether the message is compressed; `None` until the prefix is there.
    pub(crate) fn compressed(&self) -> Option<bool> {
        (self.have == self.prefix.len()).then(|| self.prefix.starts_with(&[1]))
    }

    /// The call has ended.
    ///
    /// # Errors
    ///
    /// There was no message, or only a part of one.
    pub(crate) fn finish(&self) -> Result<(), FrameError> {
        match self.prefix.len() - self.have {
            5 => Err(FrameError::Missing),
            0 if self.left == 0 => Ok(()),
            0 => Err(FrameError::Short { missing: self.left }),
            missing => Err(FrameError::Short { missing }),
        }
    }

    /// The prefix is whole.
    fn start(&mut self) -> Result<(), FrameError> {
        let [flag, length @ ..] = self.prefix;
        if flag > 1 {
            return Err(FrameError::Flag(flag));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameError::TooLarge { length, limit: self.limit });
        }
        self.left = length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deframe(limit: usize, frames: &[&[u8]]) -> Result<Vec<u8>, FrameError> {
        let mut deframer = Deframer::new(limit);
        let mut message = Vec::new();
        for frame in frames {
            message.extend(deframer.push(Bytes::copy_from_slice(frame))?);
        }
        deframer.finish().map(|()| message)
    }

    #[test]
    fn exactly_one_whole_message_passes() {
        assert_eq!(deframe(9, &[b"\0\0\0\0\x02ab"]), Ok(b"ab".to_vec()));
        assert_eq!(deframe(9, &[b"\0\0\0\0\0"]), Ok(Vec::new()));
        assert_eq!(deframe(9, &[]), Err(FrameError::Missing));
        assert_eq!(deframe(9, &[b"\0\0"]), Err(FrameError::Short { missing: 3 }));
        assert_eq!(deframe(9, &[b"\0\0\0\0\x02a"]), Err(FrameError::Short { missing: 1 }));
        assert_eq!(deframe(9, &[b"\0\0\0\0\x01ab"]), Err(FrameError::Trailing));
        assert_eq!(deframe(9, &[b"\0\0\0\0\x01a", b"\0\0\0\0\0"]), Err(FrameError::Trailing));
        assert_eq!(deframe(9, &[b"\x02\0\0\0\x01a"]), Err(FrameError::Flag(2)));
    }

    #[test]
    fn the_limit_itself_passes_and_one_byte_more_is_refused_before_it_arrives() {
        assert_eq!(deframe(2, &[b"\0\0\0\0\x02ab"]), Ok(b"ab".to_vec()));
        let error = Err(FrameError::TooLarge { length: 3, limit: 2 });
        assert_eq!(deframe(2, &[b"\0\0\0\0\x03"]), error);
        let most = usize::try_from(u32::MAX).unwrap();
        let error = Err(FrameError::TooLarge { length: most, limit: 2 });
        assert_eq!(deframe(2, &[b"\0\xff\xff\xff\xff"]), error);
    }

    proptest! {
        /// Scenario: any bytes, cut anywhere. Guarantees: the cuts do not matter.
        #[test]
        fn where_frames_are_cut_does_not_matter(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(3), any::<u8>()], 0..24),
            cut in 0_usize..24,
        ) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(deframe(16, &[&bytes]), deframe(16, &[head, tail]));
        }
    }
}
