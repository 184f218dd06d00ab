//! Every coding: there and back, cut anywhere, damaged, and too large. A long file, because all of
//! its tests share the same few fixtures.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Coding, InflateError, Inflater, compress};
use crate::batch::Rope;

/// A body like telemetry: the same words again and again, with numbers between.
fn telemetry(length: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(length + 100);
    let mut number = 7_u64;
    while body.len() < length {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let _ = write!(body, "service.name=checkout http.method=GET id={number:016x};");
    }
    body.truncate(length);
    body
}

/// Bytes that no coding makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn rope(bytes: &[u8], piece: usize) -> Rope {
    bytes.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect()
}

fn compressed(coding: Coding, body: &[u8]) -> Vec<u8> {
    compress(coding, None, &rope(body, 5000)).to_bytes().to_vec()
}

fn inflate(coding: Coding, limit: usize, pieces: &[&[u8]]) -> Result<Rope, InflateError> {
    let mut inflater = Inflater::new(coding, limit);
    let mut out = Rope::new();
    for piece in pieces {
        inflater.push(piece, &mut out)?;
    }
    inflater.finish(&mut out)?;
    Ok(out)
}

fn inflated(coding: Coding, body: &[u8]) -> Vec<u8> {
    inflate(coding, 1 << 24, &[body]).unwrap().to_bytes().to_vec()
}

fn coding() -> impl Strategy<Value = Coding> {
    proptest::sample::select(&Coding::ALL[..])
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (0usize..400_000).prop_map(telemetry),
        (0usize..400_000).prop_map(noise),
        (any::<u8>(), 0usize..1_000_000).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: any body, compressed at any level from pieces and inflated from other pieces.
    /// Guarantees: the same body, in pieces of bounded size.
    #[test]
    fn what_was_compressed_inflates_to_the_same(
        coding in coding(),
        level in proptest::option::of(-3..12),
        body in body(),
        (there, back) in (1usize..70_000, 1usize..70_000),
    ) {
        let packed = compress(coding, level, &rope(&body, there)).to_bytes();
        let pieces: Vec<_> = packed.chunks(back).collect();
        let out = inflate(coding, body.len(), &pieces).unwrap();
        prop_assert_eq!(out.to_bytes(), &body);
        if coding != Coding::Snappy {
            prop_assert!(out.pieces().iter().all(|piece| piece.len() <= 256 << 10));
        }
    }

    /// Scenario: a compressed body with some bytes changed, inserted or removed.
    /// Guarantees: no panic, no endless loop, and never more than the limit.
    #[test]
    fn damage_is_an_error_or_stays_within_the_limit(
        coding in coding(),
        length in 0usize..20_000,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..5),
    ) {
        let mut packed = compressed(coding, &telemetry(length));
        for (index, byte, how) in damage {
            if packed.is_empty() { break; }
            let at = index.index(packed.len());
            match how {
                0 => packed[at] = byte,
                1 => packed.insert(at, byte),
                _ => drop(packed.remove(at)),
            }
        }
        if let Ok(out) = inflate(coding, 20_000, &[&packed]) {
            prop_assert!(out.len() <= 20_000);
        }
    }

    /// Scenario: bytes that were never compressed.
    /// Guarantees: no panic.
    #[test]
    fn random_bytes_never_panic(coding in coding(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = inflate(coding, 10_000, &[&bytes]);
    }
}

#[test]
fn input_may_be_split_anywhere() {
    let body = telemetry(3000);
    for coding in Coding::ALL {
        let packed = compressed(coding, &body);
        for at in 0..=packed.len() {
            let (first, second) = packed.split_at(at);
            let out = inflate(coding, body.len(), &[first, second]).unwrap();
            assert_eq!(out.to_bytes(), body, "{coding:?} split at {at}");
        }
        let bytes: Vec<_> = packed.chunks(1).collect();
        assert_eq!(inflate(coding, body.len(), &bytes).unwrap().to_bytes(), body);
    }
}

#[test]
fn a_body_cut_anywhere_is_truncated() {
    for body in [telemetry(3000), noise(500), Vec::new()] {
        for coding in Coding::ALL {
            let packed = compressed(coding, &body);
            for at in 0..packed.len() {
                let result = inflate(coding, 10_000, &[&packed[..at]]);
                // A stream of chunks may end after any of them.
                if coding == Coding::SnappyFramed && (at == 10 || at == packed.len()) {
                    continue;
                }
                let error = result.expect_err("cut");
                assert!(
                    matches!(error, InflateError::Truncated { .. }),
                    "{coding:?} {at}: {error}"
                );
            }
        }
    }
}

#[test]
fn the_limit_is_held_to_the_byte() {
    for length in [0, 1, 4095, 4096, 4097, 100_000, 600_000] {
        for body in [vec![0; length], noise(length)] {
            for coding in Coding::ALL {
                let packed = compressed(coding, &body);
                assert_eq!(inflate(coding, length, &[&packed]).map(|out| out.len()), Ok(length));
                if length > 0 {
                    assert_eq!(
                        inflate(coding, length - 1, &[&packed]).map(|out| out.len()),
                        Err(InflateError::TooLarge { limit: length - 1 }),
                        "{coding:?} {length}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_bomb_is_refused_before_it_takes_memory() {
    let bomb = vec![0; 50 << 20];
    for coding in Coding::ALL {
        let packed = compressed(coding, &bomb);
        let mut inflater = Inflater::new(coding, 1 << 20);
        let mut out = Rope::new();
        let refused = packed
            .chunks(1000)
            .find_map(|piece| inflater.push(piece, &mut out).err())
            .or_else(|| inflater.finish(&mut out).err());
        assert_eq!(refused, Some(InflateError::TooLarge { limit: 1 << 20 }), "{coding:?}");
        assert!(out.len() <= 1 << 20);
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for coding in Coding::ALL {
        for garbage in [&b"garbage that is long enough"[..], &[0; 16], b"x\x9c"] {
            let mut packed = compressed(coding, &telemetry(100));
            packed.extend_from_slice(garbage);
            let result = inflate(coding, 10_000, &[&packed]);
            assert!(result.is_err(), "{coding:?} {garbage:?}");
        }
    }
}

#[test]
fn frames_and_members_may_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Lz4, Coding::SnappyFramed, Coding::Zstd] {
        let (first, second) = (telemetry(5000), noise(300));
        let packed =
            [compressed(coding, &first), compressed(coding, &[]), compressed(coding, &second)];
        assert_eq!(inflated(coding, &packed.concat()), [first, second].concat(), "{coding:?}");
    }
}

#[test]
fn zstd_skips_frames_that_are_to_be_skipped() {
    let packed = compressed(Coding::Zstd, b"body");
    let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    assert_eq!(inflated(Coding::Zstd, &[&skipped[..], &packed, skipped].concat()), b"body");
}

#[test]
fn zstd_windows_are_bounded() {
    let frame = |exponent: u8| {
        [0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3, 0x19, 0, 0, b'x', b'y', b'z']
    };
    assert_eq!(inflated(Coding::Zstd, &frame(25)), b"xyz");
    let result = inflate(Coding::Zstd, 100, &[&frame(26)]);
    assert!(matches!(result, Err(InflateError::Corrupt { .. })), "{result:?}");
}

#[test]
fn gzip_headers_may_have_every_field() {
    let plain = compressed(Coding::Gzip, b"body");
    let rest = &plain[10..];
    for flags in 0..32_u8 {
        let mut header = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
        if flags & 4 != 0 {
            header.extend_from_slice(b"\x03\0abc");
        }
        if flags & 8 != 0 {
            header.extend_from_slice(b"name\0");
        }
        if flags & 16 != 0 {
            header.extend_from_slice(b"comment\0");
        }
        if flags & 2 != 0 {
            let mut crc = flate2::Crc::new();
            crc.update(&header);
            header.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
        }
        let packed = [&header, rest].concat();
        assert_eq!(inflated(Coding::Gzip, &packed), b"body", "{flags}");
        let mut theirs = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut theirs).unwrap();
        assert_eq!(theirs, b"body");
        if flags & 2 != 0 {
            let mut packed = packed;
            packed[header.len() - 1] ^= 1;
            assert!(inflate(Coding::Gzip, 100, &[&packed]).is_err());
        }
    }
}

#[test]
fn wrong_checksums_are_refused() {
    for (coding, back) in
        [(Coding::Gzip, 6), (Coding::Gzip, 2), (Coding::Zlib, 2), (Coding::Deflate, 1)]
    {
        let mut packed = compressed(coding, b"body");
        let at = packed.len() - back;
        packed[at] ^= 1;
        let result = inflate(coding, 100, &[&packed]);
        assert!(matches!(result, Err(InflateError::Corrupt { .. })), "{result:?}");
    }
    let mut framed = compressed(Coding::SnappyFramed, b"body");
    framed[14] ^= 1;
    let result = inflate(Coding::SnappyFramed, 100, &[&framed]);
    assert!(matches!(result, Err(InflateError::Corrupt { .. })), "{result:?}");
}

#[test]
fn snappy_detects_the_framing_format() {
    let packed = compressed(Coding::SnappyFramed, &telemetry(5000));
    let mut inflater = Inflater::new(Coding::Snappy, 5000);
    let mut out = Rope::new();
    for byte in packed.chunks(1) {
        inflater.push(byte, &mut out).unwrap();
    }
    assert_eq!(inflater.coding(), Coding::SnappyFramed);
    inflater.finish(&mut out).unwrap();
    assert_eq!(out.to_bytes(), telemetry(5000));
}

#[test]
fn snappy_lengths_are_not_believed() {
    let limit = 1 << 30;
    let declares_a_gigabyte = b"\x80\x80\x80\x80\x04\x00a";
    let result = inflate(Coding::Snappy, limit, &[declares_a_gigabyte]);
    assert_eq!(
        result.map(|out| out.len()),
        Err(InflateError::Truncated { coding: Coding::Snappy })
    );
    let mut inflater = Inflater::new(Coding::Snappy, 1000);
    let refused = inflater.push(declares_a_gigabyte, &mut Rope::new());
    assert_eq!(refused, Err(InflateError::TooLarge { limit: 1000 }));
    let mut inflater = Inflater::new(Coding::Snappy, 1000);
    assert!(inflater.push(b"\x80\x80\x80\x80\x80\x80", &mut Rope::new()).is_err());
    let mut inflater = Inflater::new(Coding::Snappy, 1000);
    inflater.push(b"\x01\x00a", &mut Rope::new()).unwrap();
    assert!(inflater.push(&[0; 100], &mut Rope::new()).is_err());
}

#[test]
fn lz4_bodies_of_thousands_of_frames_are_refused() {
    let frame = compressed(Coding::Lz4, b"");
    assert_eq!(inflated(Coding::Lz4, &frame.repeat(16)), b"");
    let result = inflate(Coding::Lz4, 100, &[&frame.repeat(17)]);
    assert!(matches!(result, Err(InflateError::Corrupt { .. })), "{result:?}");
}

#[test]
fn lz4_goes_on_after_a_block_of_nothing() {
    let whole = compressed(Coding::Lz4, b"body");
    let (header, blocks) = whole.split_at(7);
    let packed = [header, b"\x01\0\0\0\0", blocks].concat();
    assert_eq!(inflated(Coding::Lz4, &packed), b"body");
}

#[test]
fn levels_change_the_size() {
    let body = rope(&telemetry(200_000), 16_000);
    for coding in [Coding::Gzip, Coding::Zlib, Coding::Deflate, Coding::Zstd] {
        let size = |level| compress(coding, level, &body).len();
        let fastest = if coding == Coding::Zstd { -50 } else { 1 };
        assert!(size(Some(9)) < size(Some(fastest)), "{coding:?}");
        for odd in [i32::MIN, -3, -2, -1, 10, 23, i32::MAX] {
            let packed = compress(coding, Some(odd), &body).to_bytes();
            assert_eq!(inflated(coding, &packed), body.to_bytes(), "{coding:?} {odd}");
        }
    }
    assert!(compress(Coding::Gzip, Some(0), &body).len() > body.len());
}

#[test]
fn a_damaged_body_leaves_nothing_behind_for_the_next() {
    for coding in Coding::ALL {
        let body = telemetry(50_000);
        let packed = compressed(coding, &body);
        for _ in 0..3 {
            let mut inflater = Inflater::new(coding, 1 << 20);
            let _ = inflater.push(&packed[..packed.len() / 2], &mut Rope::new());
            let _ = inflater.push(&[0xff; 100], &mut Rope::new());
            drop(inflater);
            assert_eq!(inflated(coding, &packed), body, "{coding:?}");
        }
    }
}

#[test]
fn names_lead_back_to_their_codings() {
    for coding in Coding::ALL {
        assert_eq!(Coding::from_http_name(coding.http_name()), Some(Some(coding)));
        let upper = coding.http_name().to_uppercase();
        assert_eq!(Coding::from_http_name(&upper), Some(Some(coding)));
        if let Some(name) = coding.grpc_name() {
            assert_eq!(Coding::from_grpc_name(name), Some(Some(coding)));
        }
    }
    for name in ["", "identity", "IDENTITY", " identity "] {
        assert_eq!(Coding::from_http_name(name), Some(None));
    }
    assert_eq!(Coding::from_http_name("x-gzip"), Some(Some(Coding::Gzip)));
    assert_eq!(Coding::from_http_name("br"), None);
    assert_eq!(Coding::from_http_name("gzip, gzip"), None);
    assert_eq!(Coding::from_grpc_name("identity"), Some(None));
    assert_eq!(Coding::from_grpc_name("snappy"), Some(Some(Coding::SnappyFramed)));
    assert_eq!(Coding::from_grpc_name("deflate"), Some(Some(Coding::Deflate)));
    assert_eq!(Coding::from_grpc_name("lz4"), None);
}

#[test]
fn errors_name_the_coding_as_the_sender_wrote_it() {
    let error = inflate(Coding::Gzip, 10, &[b"plain text"]).unwrap_err();
    assert_eq!(error.to_string(), "the body is not valid gzip: no gzip header");
    let error = inflate(Coding::SnappyFramed, 10, &[b""]).unwrap_err();
    assert_eq!(error.to_string(), "the x-snappy-framed body ends too early");
}

/// Scenario: a frame announces four bytes and its only block, an empty one, is the last.
/// Guarantees: refused also when it comes in pieces, where the library alone does not notice.
#[test]
fn a_zstd_frame_of_another_size_than_announced_is_corrupt_however_it_is_cut() {
    let short = b"\x28\xb5\x2f\xfd\x20\x04\x01\0\0";
    let pieces: Vec<&[u8]> = short.chunks(1).collect();
    for pieces in [&[&short[..]][..], &pieces] {
        let error = inflate(Coding::Zstd, 100, pieces).unwrap_err();
        assert!(matches!(error, InflateError::Corrupt { .. }), "{error:?}");
    }
    let twice = compressed(Coding::Zstd, b"four").repeat(2);
    let pieces: Vec<&[u8]> = twice.chunks(1).collect();
    assert!(inflate(Coding::Zstd, 100, &pieces).is_ok());
}
