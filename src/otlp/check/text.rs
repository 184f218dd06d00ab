//! UTF-8 that arrives in pieces.
//!
//! Guarantees the verdict that the joined text would get, holding at most three bytes back.

use std::str;

/// The state between two pieces of one text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text {
    /// The start of a character that the last piece did not finish.
    held: [u8; 4],
    /// How many bytes of it there are.
    len: usize,
}

impl Text {
    /// Whether no character is unfinished.
    pub(super) fn is_whole(&self) -> bool {
        self.len == 0
    }

    /// Takes a piece; an error is the position in it up to which it can be right.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut taken = 0;
        for &byte in piece {
            if self.len == 0 {
                break;
            }
            if !self.complete(byte) {
                return Err(taken);
            }
            taken += 1;
        }
        let rest = piece.get(taken..).unwrap_or_default();
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.hold(rest.get(error.valid_up_to()..).unwrap_or_default());
                Ok(())
            }
            Err(error) => Err(taken + error.valid_up_to()),
        }
    }

    /// Whether the byte can go on the unfinished character.
    fn complete(&mut self, byte: u8) -> bool {
        if let Some(slot) = self.held.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
        match self.held.get(..self.len).map(str::from_utf8) {
            Some(Ok(_)) => {
                self.len = 0;
                true
            }
            Some(Err(error)) => error.error_len().is_none(),
            None => false,
        }
    }

    fn hold(&mut self, tail: &[u8]) {
        for (slot, &byte) in self.held.iter_mut().zip(tail) {
            *slot = byte;
        }
        self.len = tail.len();
    }
}
