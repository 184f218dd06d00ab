//! What an upstream answers, read and told to the sender.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;
use tonic::Code;

use super::signal;
use crate::batch::{Batch, Rope};
use crate::exporter::fuzzed::{Read, over_grpc, over_http};
use crate::otlp::answer::{Encoding, decode_status, decode_success, encode_status, encode_success};
use crate::outcome::{Accepted, Failure, MAX_MESSAGE_BYTES};
use crate::signal::Signal;

/// Takes the input for an answer over gRPC and over HTTP: headers of a few words, then a body.
/// Nothing panics; only what says so is a success; and what senders are told is short, can be
/// read in both encodings, and says the same in both.
pub fn answer(data: &[u8]) {
    let [mode, first, second, rest @ ..] = data else { return };
    let signal = signal(*mode);
    let (words, body) = words(rest);
    let status = 100 + (u16::from(*first) << 8 | u16::from(*second)) % 900;
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let body = Bytes::copy_from_slice(body);
    let batch = batch(signal);

    let headers = fields(&WEB, &words, *mode);
    let outcome = over_http(Read { status, headers, body: body.clone(), trailers: None }, &batch);
    match &outcome {
        Ok(_) => assert!(status.is_success(), "{status} is no success"),
        Err(failure) => {
            let is_large = failure.reason == "upstream_answer_too_large";
            assert_ne!(status.is_success(), !is_large, "{status}: {failure:?}");
        }
    }
    told(signal, outcome);

    let mut headers = fields(&CALL, &words, *mode);
    let alone = mode & 0x10 != 0;
    let trailers = (!alone).then(|| {
        let kept = headers.remove("grpc-encoding");
        let trailers = std::mem::take(&mut headers);
        headers.extend(kept.map(|kept| (HeaderName::from_static("grpc-encoding"), kept)));
        trailers
    });
    let said = trailers.as_ref().unwrap_or(&headers).get("grpc-status").cloned();
    let outcome = over_grpc(Read { status, headers, body, trailers }, &batch);
    if outcome.is_ok() {
        assert_eq!(said.as_ref().map(HeaderValue::as_bytes), Some(&b"0"[..]), "nobody said OK");
    }
    told(signal, outcome);
}

const WEB: [&str; 4] = ["content-type", "content-encoding", "retry-after", "location"];
const CALL: [&str; 4] = ["grpc-status", "grpc-encoding", "grpc-message", "grpc-status-details-bin"];

/// Up to four words, each after its length, and the rest.
fn words(mut rest: &[u8]) -> ([&[u8]; 4], &[u8]) {
    let words = std::array::from_fn(|_| {
        let Some((length, after)) = rest.split_first() else { return &[][..] };
        let (word, beyond) = after.split_at(usize::from(*length).min(after.len()));
        rest = beyond;
        word
    });
    (words, rest)
}

/// Some words stand for others that are long or must be exact, so that they are found soon.
fn fields(names: &[&'static str; 4], words: &[&[u8]; 4], mode: u8) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, word) in names.iter().zip(words) {
        let known: &[&[u8]] = match *name {
            "content-type" => &[b"application/json", b"application/x-protobuf; a=b"],
            "content-encoding" | "grpc-encoding" => &[b"gzip", b"snappy", b"zstd", b"identity"],
            "grpc-status" => &[b"0", b"8", b"14"],
            _ => &[],
        };
        let value = match *word {
            [] => continue,
            [number] if usize::from(*number) < known.len() => known[usize::from(*number)].to_vec(),
            _ if name.ends_with("-bin") && mode & 0x20 != 0 => {
                STANDARD_NO_PAD.encode(word).into_bytes()
            }
            _ => word.to_vec(),
        };
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn batch(signal: Signal) -> Batch {
    Batch {
        signal,
        items: 1,
        decoded: Rope::new(),
        encoded: None,
        identity: None,
        deadline: Instant::now(),
    }
}

fn told(signal: Signal, outcome: Result<Accepted, Failure>) {
    match outcome {
        Ok(accepted) => {
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                let bytes = encode_success(signal, &accepted, encoding);
                let back = decode_success(signal, &bytes, encoding).expect("our own answer");
                assert_eq!(back, accepted, "{encoding:?}");
            }
        }
        Err(failure) => refused(&failure),
    }
}

/// `RetryInfo`, the code and the lengths, beside text and details.
const AROUND: usize = 160;
const DETAILS: usize = 2048;

fn refused(failure: &Failure) {
    assert_ne!(failure.code, Code::Ok, "a failure that says OK");
    assert!(failure.message.len() <= MAX_MESSAGE_BYTES, "{} bytes", failure.message.len());
    let bytes = encode_status(failure, Encoding::Protobuf);
    assert!(bytes.len() <= MAX_MESSAGE_BYTES + DETAILS + AROUND, "{} bytes", bytes.len());
    let back = decode_status(&bytes, Encoding::Protobuf).expect("our own status");
    assert_eq!((back.code, &back.message), (failure.code, &failure.message));
    assert_eq!(back.retry_after.is_some(), failure.retry_after.is_some());
    let text = encode_status(failure, Encoding::Json);
    let read = decode_status(&text, Encoding::Json).expect("our own text");
    assert_eq!((read.code, &read.message), (back.code, &back.message));
    assert_eq!(read.retry_after, back.retry_after, "{failure:?}");
    let types = |status: &crate::otlp::answer::Status| -> HashSet<String> {
        status.details.iter().map(|detail| detail.type_url.clone()).collect()
    };
    assert_eq!(types(&read), types(&back), "{failure:?}");
}
