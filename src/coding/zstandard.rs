//! Zstandard frames (RFC 8878), several of them and skippable ones too.
//!
//! Guarantees a bounded window, and to reuse the contexts on each thread.

use std::cell::RefCell;
use std::fmt;

use smallvec::SmallVec;
use zstd::zstd_safe::{
    DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name, get_frame_content_size,
};

use super::inflate::Stepped;
use super::sink::Sink;
use super::{Coding, InflateError, Progress};
use crate::batch::Rope;

/// The largest window, as a power of two: 32 MiB. Go's encoder, and so the Collector from level 10
/// on, announces that much whatever the size of the body. The memory is touched only as far as
/// bytes are inflated into it.
const MOST_WINDOW: u32 = 25;

/// Magic number, descriptor, window, dictionary and size.
const LONGEST_HEADER: usize = 18;
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Contexts kept by a thread while they are not used, and how large one may be to be kept: enough
/// for bodies of known size and for the window of default levels.
const KEPT: usize = 4;
const LARGEST_KEPT: usize = 4 << 20;

thread_local! {
    static IDLE: RefCell<Vec<DCtx<'static>>> = const { RefCell::new(Vec::new()) };
}

/// A body of one or more frames.
pub(super) struct Zstandard {
    context: Option<DCtx<'static>>,
    is_whole: bool,
    /// There may be more to be had without further input.
    has_more: bool,
    frame: Frame,
}

/// The frame that is being read. The library compares its size with the announced one, but not
/// when its last block is empty and it came in pieces; other decoders always do.
#[derive(Default)]
struct Frame {
    /// The start of it, as far as its header can reach.
    head: SmallVec<[u8; LONGEST_HEADER]>,
    /// Bytes that it inflated to.
    produced: u64,
}

impl Frame {
    /// Whether it inflated to something else than it announced.
    fn is_short(&self) -> bool {
        let announced = get_frame_content_size(&self.head);
        // A frame that is skipped announces nothing that can be read here.
        matches!(announced, Ok(Some(announced)) if announced != self.produced)
            && self.head.starts_with(&MAGIC)
    }
}

impl Zstandard {
    /// Nothing was taken yet.
    pub(super) fn new() -> Self {
        let mut context = IDLE.with_borrow_mut(Vec::pop).or_else(DCtx::try_create);
        if let Some(context) = &mut context {
            // Neither can fail: the session is over, and the value is one of those allowed.
            let _ = context.reset(ResetDirective::SessionOnly);
            let _ = context.set_parameter(DParameter::WindowLogMax(MOST_WINDOW));
        }
        Self { context, is_whole: false, has_more: false, frame: Frame::default() }
    }

    /// Takes the next bytes of the body, or goes on after a pause.
    pub(super) fn step(&mut self, input: &mut &[u8], sink: &mut Sink, out: &mut Rope) -> Stepped {
        let Some(context) = &mut self.context else {
            return Err(InflateError::corrupt(Coding::Zstd, "no memory for a decoder"));
        };
        while self.has_more || !input.is_empty() {
            if sink.pauses() {
                return Ok(Progress::Paused);
            }
            let mut source = InBuffer::around(input);
            let piece = sink.room(input.len(), out);
            let filled = piece.len();
            let mut target = OutBuffer::around_pos(piece, filled);
            let wanted = context
                .decompress_stream(&mut target, &mut source)
                .map_err(|code| InflateError::corrupt(Coding::Zstd, get_error_name(code)))?;
            let (taken, rest) = input.split_at_checked(source.pos()).unwrap_or_default();
            *input = rest;
            self.is_whole = wanted == 0;
            // A full piece may not be all that can be had, except at the end of a frame.
            self.has_more = piece.len() == piece.capacity() && !self.is_whole;
            let produced = piece.len() - filled;
            sink.wrote(produced)?;
            let missing = LONGEST_HEADER.saturating_sub(self.frame.head.len());
            self.frame.head.extend(taken.iter().take(missing).copied());
            self.frame.produced += produced as u64;
            if self.is_whole && std::mem::take(&mut self.frame).is_short() {
                let detail = "a frame has another size than it announces";
                return Err(InflateError::corrupt(Coding::Zstd, detail));
            }
        }
        Ok(Progress::Done)
    }

    /// Whether the body may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl Drop for Zstandard {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else { return };
        if context.sizeof() > LARGEST_KEPT {
            return;
        }
        // Fails when the thread is ending: then there is nothing to keep it for.
        let _ = IDLE.try_with(|idle| {
            if let Ok(mut idle) = idle.try_borrow_mut()
                && idle.len() < KEPT
            {
                idle.push(context);
            }
        });
    }
}

impl fmt::Debug for Zstandard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstandard").field("is_whole", &self.is_whole).finish_non_exhaustive()
    }
}
