//! From the pieces of a request body to a checked request.
//!
//! Guarantees that every limit holds before memory is spent: the size on the wire and inflated, and
//! the listener's byte budget; and that what comes out was checked. Protobuf is checked piece by
//! piece as it arrives, without copying. Knows nothing of headers and framing.

use bytes::{Buf as _, Bytes};
use tokio::time::Instant;

use super::budget::Reservation;
use super::gather::Gather;
use super::refusal;
use super::settings::Settings;
use crate::aside::{Aside, Undone};
use crate::batch::{Encoded, Rope};
use crate::coding::{Coding, Inflater, Progress};
use crate::otlp::answer::Encoding;
use crate::otlp::check::{CheckError, Checker, looks_like};
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
    /// What is still to be inflated of the piece that came last.
    waiting: Bytes,
}

/// What is decoded at the end is decoded beside the worker from this length on, as the worker's
/// other connections would wait for it: JSON text, and bodies in the codings that are inflated
/// whole, which can become a hundred times as long.
const LONG_JSON: usize = 1 << 20;
const LONG_INFLATED_LATE: usize = 32 << 10;

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
                waiting: Bytes::new(),
            }),
        }
    }

    /// Takes the next piece of the body, and the one after it only when this one is done.
    ///
    /// # Errors
    ///
    /// The body is too large, there is no room for it, or it is not what it should be.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<Progress, Failure> {
        if self.received.len().saturating_add(piece.len()) > self.limit {
            return Err(refusal::too_large("request body", self.limit));
        }
        self.reservation.grow(piece.len()).map_err(refusal::lack)?;
        let Some(inflated) = &mut self.inflated else {
            let checked = self.form.check(&piece);
            self.received.push(piece);
            checked.map_err(|error| not_otlp(self.signal, &error, &self.received.pieces()))?;
            return Ok(Progress::Done);
        };
        inflated.waiting = piece.clone();
        self.received.push(piece);
        self.go_on()
    }

    /// Goes on with the piece that came last.
    ///
    /// # Errors
    ///
    /// As for [`Intake::push`].
    pub(super) fn go_on(&mut self) -> Result<Progress, Failure> {
        let Some(Inflated { inflater, decoded, waiting }) = &mut self.inflated else {
            return Ok(Progress::Done);
        };
        let before = decoded.pieces().len();
        let mut rest: &[u8] = waiting;
        let progress =
            inflater.step(&mut rest, decoded).map_err(|error| refusal::inflating(&error))?;
        let taken = waiting.len() - rest.len();
        waiting.advance(taken);
        check_inflated(self.signal, &mut self.form, &mut self.reservation, decoded, before)?;
        Ok(progress)
    }

    /// Whether so much is left to do at the end that others should not wait for it.
    fn takes_long(&self) -> bool {
        let inflated = self.inflated.as_ref();
        let late = inflated.map_or(0, |inflated| inflated.inflater.waiting());
        let text = inflated.map_or(self.received.len(), |inflated| inflated.decoded.len());
        late > LONG_INFLATED_LATE || (matches!(self.form, Form::Json) && text > LONG_JSON)
    }

    /// The body has ended. What takes long to decode is decoded beside this thread.
    ///
    /// # Errors
    ///
    /// It is not whole, or not an OTLP request, or not decoded before the deadline.
    pub(super) async fn finish_by(
        self,
        aside: &Aside,
        deadline: Instant,
    ) -> Result<Taken, Failure> {
        if !self.takes_long() {
            return self.finish();
        }
        match Box::pin(aside.run(deadline, move || self.finish())).await {
            Ok(taken) => taken,
            Err(Undone::Late) => Err(refusal::slow_decoding()),
            Err(Undone::Panicked) => Err(refusal::broke("decoding_panicked")),
        }
    }

    fn finish(mut self) -> Result<Taken, Failure> {
        let received = self.received.finish();
        let (mut decoded, mut encoded) = match self.inflated {
            None => (received, None),
            Some(Inflated { inflater, mut decoded, .. }) => {
                let before = decoded.pieces().len();
                let coding = inflater.coding();
                let finished = inflater.finish(&mut decoded);
                finished.map_err(|error| refusal::inflating(&error))?;
                let (form, reservation) = (&mut self.form, &mut self.reservation);
                check_inflated(self.signal, form, reservation, &decoded, before)?;
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
                    json::decode_up_to(self.signal, &text, self.limit)
                        .map_err(|error| refusal::not_json(&error, self.limit))?;
                self.reservation.grow(request.len()).map_err(refusal::lack)?;
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
            items: items.map_err(|error| refusal::not_otlp(&error, None))?.items,
            decoded,
            encoded,
            unknown,
            reservation: self.reservation,
        })
    }
}

impl Form {
    fn check(&mut self, piece: &[u8]) -> Result<(), CheckError> {
        match self {
            Self::Json => Ok(()),
            Self::Protobuf(checker) => checker.push(piece),
        }
    }
}

/// Tells a sender, too, who has sent to the address of another signal.
fn not_otlp<'a>(
    signal: Signal,
    error: &CheckError,
    pieces: &(impl Iterator<Item = &'a [u8]> + Clone),
) -> Failure {
    refusal::not_otlp(error, looks_like(signal, error, pieces))
}

/// Reserves and checks what was inflated since there were `before` pieces.
fn check_inflated(
    signal: Signal,
    form: &mut Form,
    reservation: &mut Reservation,
    decoded: &Rope,
    before: usize,
) -> Result<(), Failure> {
    for piece in decoded.pieces().get(before..).unwrap_or_default() {
        reservation.grow(piece.len()).map_err(refusal::lack)?;
        form.check(piece).map_err(|error| {
            not_otlp(signal, &error, &decoded.pieces().iter().map(AsRef::as_ref))
        })?;
    }
    Ok(())
}
