//! From the pieces of a request body to a checked request.
//!
//! Guarantees that every limit holds before memory is spent: the size on the wire and inflated, and
//! the listener's byte budget; and that what comes out was checked. Protobuf is checked piece by
//! piece as it arrives, without copying. Knows nothing of headers and framing.

use bytes::Bytes;

use super::budget::Reservation;
use super::gather::Gather;
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
    /// What arrived on the wire.
    received: Gather,
    reservation: Reservation,
    form: Form,
    inflated: Option<Inflated>,
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
struct Inflated {
    inflater: Inflater,
    decoded: Rope,
}

impl Intake {
    /// A body of which nothing has arrived.
    pub(super) fn new(
        settings: &Settings,
        reservation: Reservation,
        signal: Signal,
        encoding: Encoding,
        coding: Option<Coding>,
    ) -> Self {
        let limit = settings.max_request_bytes;
        Self {
            signal,
            limit,
            received: Gather::default(),
            reservation,
            form: match encoding {
                Encoding::Json => Form::Json,
                Encoding::Protobuf => Form::Protobuf(Checker::new(signal)),
            },
            inflated: coding.map(|coding| Inflated {
                inflater: Inflater::new(coding, limit),
                decoded: Rope::new(),
            }),
        }
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    ///
    /// The body is too large, there is no room for it, or it is not what it should be.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), Failure> {
        if self.received.len().saturating_add(piece.len()) > self.limit {
            return Err(refusal::too_large("request body", self.limit));
        }
        if !self.reservation.grow(piece.len()) {
            return Err(refusal::no_room());
        }
        match &mut self.inflated {
            None => self.form.check(&piece)?,
            Some(inflated) => {
                let before = inflated.decoded.pieces().len();
                let pushed = inflated.inflater.push(&piece, &mut inflated.decoded);
                pushed.map_err(|error| refusal::inflating(&error))?;
                check_inflated(&mut self.form, &mut self.reservation, &inflated.decoded, before)?;
            }
        }
        self.received.push(piece);
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    ///
    /// It is not whole, or not an OTLP request.
    pub(super) fn finish(mut self) -> Result<Taken, Failure> {
        let received = self.received.finish();
        let (mut decoded, mut encoded) = match self.inflated {
            None => (received, None),
            Some(Inflated { inflater, mut decoded }) => {
                let before = decoded.pieces().len();
                let coding = inflater.coding();
                let finished = inflater.finish(&mut decoded);
                finished.map_err(|error| refusal::inflating(&error))?;
                check_inflated(&mut self.form, &mut self.reservation, &decoded, before)?;
                (decoded, Some(Encoded { coding, body: received }))
            }
        };
        let mut unknown = None;
        let items = match self.form {
            Form::Protobuf(checker) => checker.finish(),
            Form::Json => {
                encoded = None;
                let text = std::mem::take(&mut decoded).to_bytes();
                let json::Decoded { request, first_ignored, .. } =
                    json::decode(self.signal, &text).map_err(|error| refusal::not_json(&error))?;
                if !self.reservation.grow(request.len()) {
                    return Err(refusal::no_room());
                }
                unknown = first_ignored;
                // What is forwarded is checked as everything else, whoever wrote it.
                let mut checker = Checker::new(self.signal);
                let pushed = checker.push(&request);
                decoded = Rope::from(request);
                pushed.and_then(|()| checker.finish())
            }
        };
        Ok(Taken {
            signal: self.signal,
            items: items.map_err(|error| refusal::not_otlp(&error))?.items,
            decoded,
            encoded,
            unknown,
            reservation: self.reservation,
        })
    }
}

impl Form {
    fn check(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Json => Ok(()),
            Self::Protobuf(checker) => {
                checker.push(piece).map_err(|error| refusal::not_otlp(&error))
            }
        }
    }
}

/// Reserves and checks what was inflated since there were `before` pieces.
fn check_inflated(
    form: &mut Form,
    reservation: &mut Reservation,
    decoded: &Rope,
    before: usize,
) -> Result<(), Failure> {
    for piece in decoded.pieces().get(before..).unwrap_or_default() {
        if !reservation.grow(piece.len()) {
            return Err(refusal::no_room());
        }
        form.check(piece)?;
    }
    Ok(())
}
