//! DEFLATE as such, and in the zlib format (RFC 1950).
//!
//! Guarantees to reuse the decoders' state on each thread: making one costs as much as inflating a
//! small body. Knows nothing of gzip.

use std::cell::RefCell;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::inflate::Stepped;
use super::sink::Sink;
use super::{Coding, InflateError, Progress};
use crate::batch::Rope;

/// Decoders kept by a thread while they are not used, of about 45 kB each.
const KEPT: usize = 8;

thread_local! {
    static IDLE: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

/// A body in the zlib format.
#[derive(Debug)]
pub(super) struct Zlib {
    inflate: Inflate,
    has_ended: bool,
}

impl Zlib {
    /// Nothing was taken yet.
    pub(super) fn new(coding: Coding) -> Self {
        Self { inflate: Inflate::new(coding, true), has_ended: false }
    }

    /// Takes the next bytes of the body, or goes on after a pause.
    pub(super) fn step(&mut self, input: &mut &[u8], sink: &mut Sink, out: &mut Rope) -> Stepped {
        if !self.has_ended {
            match self.inflate.step(input, sink, out, None)? {
                Stop::End => self.has_ended = true,
                Stop::Hungry => {}
                Stop::Pause => return Ok(Progress::Paused),
            }
        }
        if input.is_empty() {
            Ok(Progress::Done)
        } else {
            Err(self.inflate.corrupt("bytes after the end"))
        }
    }

    /// Whether the body may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.has_ended
    }
}

/// Why a decoder stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The stream has ended.
    End,
    /// All input is used up.
    Hungry,
    /// It was enough for one go; there may be more to be had even if no input is left.
    Pause,
}

/// A borrowed decoder.
#[derive(Debug)]
pub(super) struct Inflate {
    decoder: Option<Decompress>,
    coding: Coding,
}

impl Inflate {
    /// A decoder for a new stream, in the zlib format or raw.
    pub(super) fn new(coding: Coding, is_zlib: bool) -> Self {
        let decoder = match IDLE.with_borrow_mut(Vec::pop) {
            Some(mut decoder) => {
                decoder.reset(is_zlib);
                decoder
            }
            None => Decompress::new(is_zlib),
        };
        Self { decoder: Some(decoder), coding }
    }

    /// Starts a new raw stream.
    pub(super) fn restart(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.reset(false);
        }
    }

    /// Inflates until the input is used up, the stream ends, or a pause is due.
    pub(super) fn step(
        &mut self,
        input: &mut &[u8],
        sink: &mut Sink,
        out: &mut Rope,
        mut crc: Option<&mut Crc>,
    ) -> Result<Stop, InflateError> {
        let coding = self.coding;
        let Some(decoder) = &mut self.decoder else { return Ok(Stop::Hungry) };
        loop {
            let piece = sink.room(input.len(), out);
            let (taken, filled) = (decoder.total_in(), piece.len());
            let status =
                decoder.decompress_vec(input, piece, FlushDecompress::None).map_err(|error| {
                    let detail = error.message().unwrap_or("damaged").to_owned();
                    InflateError::corrupt(coding, detail)
                })?;
            let taken = usize::try_from(decoder.total_in() - taken).unwrap_or(usize::MAX);
            *input = input.get(taken..).unwrap_or_default();
            let is_full = piece.len() == piece.capacity();
            let new = piece.get(filled..).unwrap_or_default();
            if let Some(crc) = &mut crc {
                crc.update(new);
            }
            let produced = new.len();
            sink.wrote(produced)?;
            match status {
                Status::StreamEnd => return Ok(Stop::End),
                // There may be more where that came from.
                Status::Ok | Status::BufError if is_full => {}
                Status::Ok if !input.is_empty() => {}
                Status::Ok | Status::BufError => return Ok(Stop::Hungry),
            }
            if sink.pauses() {
                return Ok(Stop::Pause);
            }
        }
    }

    /// The error for a damaged body.
    pub(super) fn corrupt(&self, detail: &'static str) -> InflateError {
        InflateError::corrupt(self.coding, detail)
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        let Some(decoder) = self.decoder.take() else { return };
        // Fails when the thread is ending: then there is nothing to keep it for.
        let _ = IDLE.try_with(|idle| {
            if let Ok(mut idle) = idle.try_borrow_mut()
                && idle.len() < KEPT
            {
                idle.push(decoder);
            }
        });
    }
}
