//! A request body on its way into an HTTP/2 connection.
//!
//! Guarantees that the pieces of a batch are passed on as they are, without a copy.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::batch::Rope;

/// The pieces that are still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    head: [u8; 5],
    head_left: u8,
    pieces: VecDeque<Bytes>,
    /// Of the pieces.
    left: usize,
}

impl Payload {
    /// A body as it is.
    pub(crate) fn plain(body: Rope) -> Self {
        Self { left: body.len(), pieces: body.into_iter().collect(), ..Self::default() }
    }

    /// One gRPC message: a flag, four bytes of length, the body. `None` when it is too long for
    /// that.
    pub(crate) fn framed(body: Rope, compressed: bool) -> Option<Self> {
        let [a, b, c, d] = u32::try_from(body.len()).ok()?.to_be_bytes();
        let head = [u8::from(compressed), a, b, c, d];
        Some(Self { head, head_left: 5, ..Self::plain(body) })
    }

    /// Takes off what fits into one DATA frame that, with its head, fills one TLS record. Frames
    /// of the full length would each cost a second record for their last nine bytes.
    pub(crate) fn next_frame(&mut self) -> Self {
        let mut room = FRAME_BYTES;
        let mut frame = Self { head: self.head, head_left: self.head_left, ..Self::default() };
        self.head_left = 0;
        room -= usize::from(frame.head_left);
        while room > 0 {
            let Some(piece) = self.pieces.front_mut() else { break };
            let taken = if piece.len() > room {
                piece.split_to(room)
            } else {
                match self.pieces.pop_front() {
                    Some(piece) => piece,
                    None => break,
                }
            };
            room -= taken.len();
            self.left -= taken.len();
            frame.left += taken.len();
            frame.pieces.push_back(taken);
        }
        frame
    }

    fn head(&self) -> &[u8] {
        let done = self.head.len() - usize::from(self.head_left);
        self.head.get(done..).unwrap_or_default()
    }
}

/// The most that a TLS record holds, without the nine bytes of a frame's head.
const FRAME_BYTES: usize = (16 << 10) - 9;

impl Buf for Payload {
    fn remaining(&self) -> usize {
        usize::from(self.head_left) + self.left
    }

    fn chunk(&self) -> &[u8] {
        if self.head_left > 0 {
            return self.head();
        }
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, count: usize) {
        let from_head = count.min(usize::from(self.head_left));
        self.head_left -= u8::try_from(from_head).unwrap_or(self.head_left);
        let mut rest = count - from_head;
        self.left = self.left.saturating_sub(rest);
        while rest > 0 {
            let Some(piece) = self.pieces.front_mut() else { return };
            if piece.len() > rest {
                piece.advance(rest);
                return;
            }
            rest -= piece.len();
            self.pieces.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let head = Some(self.head()).filter(|head| !head.is_empty());
        let all = head.into_iter().chain(self.pieces.iter().map(AsRef::as_ref));
        let mut count = 0;
        for (slot, piece) in slices.iter_mut().zip(all) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Rope {
        Rope::from_iter([Bytes::from_static(b"abc"), Bytes::from_static(b"defgh")])
    }

    #[test]
    fn a_message_is_flag_length_and_body_however_it_is_read() {
        let whole = b"\x01\0\0\0\x08abcdefgh";
        for step in 1..=whole.len() {
            let mut payload = Payload::framed(body(), true).unwrap();
            let mut read = Vec::new();
            while payload.has_remaining() {
                let take = payload.chunk().len().min(step);
                read.extend_from_slice(&payload.chunk()[..take]);
                payload.advance(take);
                assert_eq!(payload.remaining(), whole.len() - read.len());
            }
            assert_eq!(read, whole);
        }
    }

    #[test]
    fn frames_fill_one_record_each_and_together_are_the_whole() {
        let pieces = [FRAME_BYTES - 3, 1, 2 * FRAME_BYTES, 7].map(|n| Bytes::from(vec![b'x'; n]));
        let mut payload = Payload::framed(Rope::from_iter(pieces), false).unwrap();
        let whole = payload.remaining();
        let mut lengths = Vec::new();
        while payload.has_remaining() {
            let mut frame = payload.next_frame();
            lengths.push(frame.remaining());
            assert_eq!(frame.remaining(), frame.copy_to_bytes(frame.remaining()).len());
        }
        assert_eq!(lengths, [FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, whole - 3 * FRAME_BYTES]);
    }

    #[test]
    fn all_pieces_can_be_written_at_once_and_are_not_copied() {
        let body = body();
        let address = body.pieces()[1].as_ptr();
        let mut payload = Payload::framed(body, false).unwrap();
        payload.advance(6);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(payload.chunks_vectored(&mut slices), 2);
        assert_eq!(&*slices[0], b"bc");
        assert_eq!(slices[1].as_ptr(), address);
    }
}
