//! OTLP/JSON in both directions.

use bytes::Bytes;

use super::{cut, frames, mode, signal};
use crate::batch::Rope;
use crate::otlp::check::{check, oracle};
use crate::otlp::json::{decode, encode};

/// Reads the rest of the input as a text; with the highest bit set, writes it, a protobuf request,
/// as a text first.
pub fn json(data: &[u8]) {
    let (mode, rest) = mode(data);
    let signal = signal(mode);
    let request = if mode & 0x80 == 0 {
        let Ok(decoded) = decode(signal, rest) else { return };
        decoded.request
    } else {
        let rope = cut(rest, frames(mode));
        // What did not pass is never written, but must not end the process either.
        let text = encode(signal, &rope);
        if check(signal, &rope).is_err() {
            return;
        }
        let back = decode(signal, &text).expect("our own text is read").request;
        assert_eq!(oracle::shown(signal, &back), oracle::shown(signal, rest));
        back
    };
    let items = check(signal, &Rope::from(request.clone())).expect("passes the checker").items;
    let decoded = oracle::decode(signal, &request).expect("prost reads it");
    assert_eq!(items, decoded.items);
    let text = encode(signal, &Rope::from(request.clone()));
    let back: Bytes = decode(signal, &text).expect("our own text is read").request;
    assert_eq!(oracle::shown(signal, &back), oracle::shown(signal, &request));
}
