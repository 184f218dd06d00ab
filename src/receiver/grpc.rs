//! OTLP/gRPC: one unary `Export` call to one answer.
//!
//! Guarantees that a call gets OK only when exactly one whole message came and was accepted, that
//! the sender's deadline holds, and that every failure is a gRPC status. Knows nothing of JSON.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tokio::time::Instant;
use tonic::Code;

use super::answer::Answer;
use super::body::{Intake, Taken};
use super::deliver::deliver;
use super::frame::{Deframer, FrameError};
use super::read::{Frames, Source};
use super::settings::Settings;
use super::{Peer, Receiver, refusal};
use crate::coding::{Coding, Progress};
use crate::otlp::answer::{Encoding, encode_status, encode_success};
use crate::outcome::{Accepted, Failure};
use crate::pipeline::Consumer;
use crate::signal::Signal;

/// The status of a call.
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// What `grpc-encoding` may say.
const ENCODINGS: &str = "identity,deflate,gzip,snappy,zstd";

/// Most bytes of a `grpc-message` after percent-encoding. With the details beside it in one header
/// block, more would not pass through peers that allow 8 KiB.
const MAX_MESSAGE_BYTES: usize = crate::outcome::MAX_MESSAGE_BYTES;

/// An empty message in its framing.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// Answers a call.
pub(super) async fn answer<C: Consumer, B: Frames>(
    receiver: &Receiver<C>,
    peer: &Peer,
    head: &Parts,
    source: &mut Source<B>,
) -> Response<Answer> {
    let settings = receiver.settings();
    let started = Instant::now();
    let call = match Call::read(receiver, peer, head) {
        Ok(call) => call,
        // Health checks and reflection bring no data.
        Err(failure) if head.uri.path().starts_with("/grpc.") => {
            return refused(&settings.refused(peer, failure));
        }
        Err(failure) => return refused(&settings.refused_data(peer, failure)),
    };
    let deadline = started + call.timeout;
    let taken = match take(settings, &call, source, started, deadline).await {
        Ok(taken) => taken,
        Err(failure) => return refused(&settings.refused_data(peer, failure)),
    };
    match deliver(receiver, &settings.grpc, peer, taken, deadline).await {
        Ok(accepted) => succeeded(call.signal, &accepted),
        Err(failure) => refused(&failure),
    }
}

/// The answer to gRPC with messages that are not protobuf.
pub(super) fn refuse_format<C: Consumer>(receiver: &Receiver<C>, peer: &Peer) -> Response<Answer> {
    let failure = receiver.let_in(peer).err().unwrap_or_else(|| {
        refusal::bad(
            Code::Unimplemented,
            "grpc_format",
            "OTLP/gRPC messages are protobuf: send content-type application/grpc or \
             application/grpc+proto (JSON goes to OTLP/HTTP with application/json)",
        )
    });
    refused(&receiver.settings().refused_data(peer, failure))
}

/// What the head of a call says.
#[derive(Debug)]
struct Call {
    signal: Signal,
    coding: Option<Coding>,
    timeout: Duration,
}

impl Call {
    fn read<C: Consumer>(
        receiver: &Receiver<C>,
        peer: &Peer,
        head: &Parts,
    ) -> Result<Self, Failure> {
        let settings = receiver.let_in(peer)?;
        let path = head.uri.path();
        let signal = Signal::from_grpc_path(path).ok_or_else(|| unknown_method(path))?;
        receiver.takes(peer, signal)?;
        let timeout = timeout(&head.headers)?.unwrap_or(Duration::MAX);
        let coding = coding(&head.headers)?;
        Ok(Self { signal, coding, timeout: timeout.min(settings.request_timeout) })
    }
}

async fn take<B: Frames>(
    settings: &Settings,
    call: &Call,
    source: &mut Source<B>,
    started: Instant,
    deadline: Instant,
) -> Result<Taken, Failure> {
    let mut deframer = Deframer::new(settings.max_request_bytes);
    let mut reservation = Some(settings.budget.request().ok_or_else(refusal::no_room)?);
    let mut intake: Option<Intake> = None;
    let take = |frame: Option<Bytes>| {
        let Some(frame) = frame else {
            return intake.as_mut().map_or(Ok(Progress::Done), Intake::go_on);
        };
        let piece = deframer.push(frame).map_err(refusal::framing)?;
        let Some(compressed) = deframer.compressed() else { return Ok(Progress::Done) };
        let intake = match &mut intake {
            Some(intake) => intake,
            None => {
                let coding = match (compressed, call.coding) {
                    (false, _) => None,
                    (true, None) => return Err(refusal::flag_without_coding()),
                    (true, coding) => coding,
                };
                let reservation = reservation.take().ok_or_else(refusal::no_room)?;
                let signal = call.signal;
                let new = Intake::new(settings, reservation, signal, Encoding::Protobuf, coding);
                intake.insert(new)
            }
        };
        if piece.is_empty() { Ok(Progress::Done) } else { intake.push(piece) }
    };
    source.read(settings, started, deadline, take).await?;
    deframer.finish().map_err(refusal::framing)?;
    let intake = intake.ok_or_else(|| refusal::framing(FrameError::Missing))?;
    intake.finish_by(&settings.aside, deadline).await
}

fn unknown_method(path: &str) -> Failure {
    refusal::bad(
        Code::Unimplemented,
        "unknown_method",
        format!(
            "{} is no method of this gateway: it has {} and the Export methods of the other \
             signals",
            refusal::quote(path),
            Signal::Traces.grpc_path(),
        ),
    )
}

/// The coding that `grpc-encoding` names.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Failure> {
    let Some(value) = headers.get("grpc-encoding") else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    if text == "identity" {
        return Ok(None);
    }
    Coding::from_grpc_name(&text).ok_or_else(|| {
        refusal::bad(
            Code::Unimplemented,
            UNKNOWN_ENCODING,
            format!(
                "grpc-encoding {} is not known here: use one of {ENCODINGS}",
                refusal::quote(&text)
            ),
        )
    })
}

const UNKNOWN_ENCODING: &str = "grpc_encoding";

/// The sender's deadline: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    parse_timeout(value.as_bytes()).map(Some).ok_or_else(|| {
        refusal::bad(
            Code::InvalidArgument,
            "grpc_timeout",
            format!(
                "grpc-timeout {} is not one to eight digits and one of H, M, S, m, u, n",
                refusal::quote(&String::from_utf8_lossy(value.as_bytes())),
            ),
        )
    })
}

/// What a `grpc-timeout` says.
pub(crate) fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

fn succeeded(signal: Signal, accepted: &Accepted) -> Response<Answer> {
    let message = encode_success(signal, accepted, Encoding::Protobuf);
    let framed = if message.is_empty() {
        Bytes::from_static(EMPTY_MESSAGE)
    } else {
        let mut framed = BytesMut::with_capacity(message.len() + EMPTY_MESSAGE.len());
        framed.put_u8(0);
        // A message of a partial success is bounded by MAX_MESSAGE_BYTES.
        framed.put_u32(u32::try_from(message.len()).unwrap_or_default());
        framed.put(message);
        framed.freeze()
    };
    let mut response = Response::new(Answer::grpc_ok(framed));
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// The status alone, in the headers that end the call.
pub(super) fn refused(failure: &Failure) -> Response<Answer> {
    let mut response = Response::new(Answer::default());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    headers.insert(GRPC_STATUS, HeaderValue::from(i32::from(failure.code)));
    // Percent-encoding and base64 leave nothing that a header cannot hold.
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&failure.message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if failure.retry_after.is_some() || !failure.details.is_empty() {
        let status = STANDARD_NO_PAD.encode(encode_status(failure, Encoding::Protobuf));
        if let Ok(status) = HeaderValue::try_from(status) {
            headers.insert(GRPC_DETAILS, status);
        }
    }
    if failure.reason == UNKNOWN_ENCODING {
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
    }
    response
}

/// A text as `grpc-message` has it, cut at a character when it is too long.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    let mut bytes = [0; 4];
    for character in text.chars() {
        let before = encoded.len();
        for byte in character.encode_utf8(&mut bytes).bytes() {
            match byte {
                b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
                // Writing to a text cannot fail.
                _ => write!(encoded, "%{byte:02X}").unwrap_or_default(),
            }
        }
        if encoded.len() > MAX_MESSAGE_BYTES {
            encoded.truncate(before);
            break;
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_defines_them() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1 S", None),
            ("1s", None),
            ("1", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_message_is_percent_encoded_and_cut_at_a_character() {
        assert_eq!(percent_encoded("100 %\n\u{e9}~"), "100 %25%0A%C3%A9~");
        let long = percent_encoded(&"\u{e9}".repeat(1000));
        assert_eq!(long.len() % 6, 0);
        assert!(long.len() > MAX_MESSAGE_BYTES - 6 && long.len() <= MAX_MESSAGE_BYTES);
    }
}
