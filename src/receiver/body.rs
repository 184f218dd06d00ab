//! From the pieces of a request body to a checked request.
//!
//! Guarantees that every limit holds before memory is spent: the size on the wire and inflated, and
//! the listener's byte budget; and that what comes out was checked. Protobuf is checked piece by
//! piece as it arrives, without copying. Knows nothing of headers and framing.

use bytes::Bytes;

use super::budget::Reservation;
use super::refusal;
use super::settings::Settings;
use crate::batch::{Encoded, Rope};
use crate::coding::{Coding, Inflater};
use crate::otlp::answer::Encoding;
use crate::otlp::check::Checker;
use crate::otlp::json;
use crate::outcome::Failure;
use crate::signal::Signal;

/// A body that is arriving.
#[derive(Debug)]
pub(super) struct Intake {
    signal: Signal,
    limit: usize,
    /// Bytes that arrived on the wire.
    received: usize,
    reservation: Reservation,
    form: Form,
    compressed: Option<Compressed>,
    decoded: Rope,
}

/// A body that passed.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) signal: Signal,
    pub(super) items: u64,
    pub(super) decoded: Rope,
    pub(super) encoded: Option<Encoded>,
    /// The first name in a JSON text that OTLP does not know.
    pub(super) unknown: Option<String>,
    /// To be kept for as long as the bytes are.
    pub(super) reservation: Reservation,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a request, and a box would be an allocation each"
)]
enum Form {
    Json,
    Protobuf(Checker),
}

#[derive(Debug)]
struct Compressed {
    inflater: Inflater,
    body: Rope,
}

impl Intake {
    /// A body of which nothing has arrived.
    pub(super) fn new(
        settings: &Settings,
        signal: Signal,
        encoding: Encoding,
        coding: Option<Coding>,
    ) -> Self {
        let limit = settings.max_request_bytes;
        Self {
            signal,
            limit,
            received: 0,
            reservation: settings.budget.reservation(),
            form: match encoding {
                Encoding::Json => Form::Json,
                Encoding::Protobuf => Form::Protobuf(Checker::new(signal)),
            },
            compressed: coding.map(|coding| Compressed {
                inflater: Inflater::new(coding, limit),
                body: Rope::new(),
            }),
            decoded: Rope::new(),
        }
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    ///
    /// The body is too large, there is no room for it, or it is not what it should be.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), Failure> {
        self.received += piece.len();
        if self.received > self.limit {
            return Err(refusal::too_large("request body", self.limit));
        }
        self.reserve(piece.len())?;
        match &mut self.compressed {
            None => self.check(&piece)?,
            Some(compressed) => {
                let before = self.decoded.pieces().len();
                let inflated = compressed.inflater.push(&piece, &mut self.decoded);
                inflated.map_err(|error| refusal::inflating(&error))?;
                compressed.body.push(piece);
                return self.check_inflated(before);
            }
        }
        self.decoded.push(piece);
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    ///
    /// It is not whole, or not an OTLP request.
    pub(super) fn finish(mut self) -> Result<Taken, Failure> {
        let mut encoded = None;
        if let Some(compressed) = self.compressed.take() {
            let before = self.decoded.pieces().len();
            let coding = compressed.inflater.coding();
            let inflated = compressed.inflater.finish(&mut self.decoded);
            inflated.map_err(|error| refusal::inflating(&error))?;
            self.check_inflated(before)?;
            encoded = Some(Encoded { coding, body: compressed.body });
        }
        let mut unknown = None;
        let items = match self.form {
            Form::Protobuf(checker) => checker.finish(),
            Form::Json => {
                encoded = None;
                let text = std::mem::take(&mut self.decoded).to_bytes();
                let json::Decoded { request, first_ignored, .. } =
                    json::decode(self.signal, &text).map_err(|error| refusal::not_json(&error))?;
                if !self.reservation.grow(request.len()) {
                    return Err(refusal::no_room());
                }
                unknown = first_ignored;
                // What is forwarded is checked as everything else, whoever wrote it.
                let mut checker = Checker::new(self.signal);
                let pushed = checker.push(&request);
                self.decoded = Rope::from(request);
                pushed.and_then(|()| checker.finish())
            }
        };
        Ok(Taken {
            signal: self.signal,
            items: items.map_err(|error| refusal::not_otlp(&error))?.items,
            decoded: self.decoded,
            encoded,
            unknown,
            reservation: self.reservation,
        })
    }

    /// Reserves and checks what was inflated since there were `before` pieces.
    fn check_inflated(&mut self, before: usize) -> Result<(), Failure> {
        let fresh = self.decoded.pieces().get(before..).unwrap_or_default();
        for piece in fresh {
            if !self.reservation.grow(piece.len()) {
                return Err(refusal::no_room());
            }
            if let Form::Protobuf(checker) = &mut self.form {
                checker.push(piece).map_err(|error| refusal::not_otlp(&error))?;
            }
        }
        Ok(())
    }

    fn check(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match &mut self.form {
            Form::Json => Ok(()),
            Form::Protobuf(checker) => {
                checker.push(piece).map_err(|error| refusal::not_otlp(&error))
            }
        }
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Failure> {
        if self.reservation.grow(bytes) { Ok(()) } else { Err(refusal::no_room()) }
    }
}
