//! The checker at the edges of the wire format, each also compared with `prost`.

use super::error::{Fault, Place};
use super::oracle::{compare, in_frames};
use super::{CheckError, check};
use crate::batch::Rope;
use crate::signal::Signal;

/// Key and value of a field that has a length.
fn nest(number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(value.len() as u64, &mut out);
    out.extend(value);
    out
}

/// A request with one span of these bytes.
fn with_span(span: &[u8]) -> Vec<u8> {
    nest(1, &nest(2, &nest(2, span)))
}

/// A request with one metric of these bytes.
fn with_metric(metric: &[u8]) -> Vec<u8> {
    nest(1, &nest(2, &nest(2, metric)))
}

/// The verdict, which must be that of `prost`, and the same in frames of one byte and of seven.
#[track_caller]
fn verdict(signal: Signal, bytes: &[u8]) -> Result<u64, CheckError> {
    compare(signal, bytes, &[1]);
    compare(signal, bytes, &[7]);
    in_frames(signal, bytes, &[bytes.len()]).map(|checked| checked.items)
}

#[track_caller]
fn fault(bytes: &[u8]) -> Fault {
    verdict(Signal::Traces, bytes).expect_err("it must be refused").fault
}

#[test]
fn an_empty_request_passes_with_no_items() {
    for signal in Signal::ALL {
        assert_eq!(verdict(signal, &[]), Ok(0));
    }
}

#[test]
fn a_rope_is_checked_piece_by_piece() {
    let bytes = bytes::Bytes::from(with_span(&nest(5, b"name")));
    let rope = Rope::from_iter([bytes.slice(..5), bytes.slice(5..)]);
    assert_eq!(check(Signal::Traces, &rope).map(|checked| checked.items), Ok(1));
}

/// A request, and after it enough bytes for the fast way through attributes.
fn padded(request: &[u8]) -> Vec<u8> {
    [request, &nest(1, &nest(3, &[b'x'; 200]))].concat()
}

/// Scenario: every byte of a request with attributes of every usual kind takes every value.
/// Guarantees: the verdict of `prost` for each.
#[test]
fn every_change_of_one_byte_gets_the_verdict_of_prost() {
    let attribute = |value: &[u8]| nest(9, &[nest(1, b"key"), nest(2, value)].concat());
    let span = [
        nest(1, &[1; 16]),
        nest(5, "n\u{e9}".as_bytes()),
        vec![0x39, 1, 2, 3, 4, 5, 6, 7, 0xf8],
        attribute(&nest(1, b"text")),
        attribute(&nest(1, "\u{20ac}".as_bytes())),
        attribute(&[0x18, 0xc8, 0x01]),
        attribute(&[0x10, 0x01]),
        attribute(&[0x21, 1, 2, 3, 4, 5, 6, 7, 0xf8]),
        attribute(&nest(5, &nest(1, &nest(1, b"in")))),
        vec![0x85, 0x01, 1, 1, 0, 0],
        vec![0x30, 3],
        nest(15, &[]),
    ]
    .concat();
    let request = with_span(&span);
    for at in 0..request.len() {
        let mut changed = padded(&request);
        for value in 0..=255 {
            changed[at] = value;
            compare(Signal::Traces, &changed, &[at, 1, 1000]);
        }
        for bit in 0..8 {
            let mut changed = request.clone();
            changed[at] ^= 1 << bit;
            compare(Signal::Traces, &changed, &[at, 1, 1000]);
        }
    }
}

/// Scenario: attributes whose lengths contradict each other in every way, with bytes where the
/// value would be that look right.
/// Guarantees: the verdict of `prost` for each.
#[test]
fn lengths_of_attributes_must_fit_each_other() {
    for length in 0..=127u8 {
        for key_length in (0..=127u8).step_by(3).chain(length.checked_sub(6)) {
            let rest = length.wrapping_sub(key_length).wrapping_sub(4);
            for value in [[0x12, rest, 0x0a, rest.wrapping_sub(2)], [0x12, rest, 0x18, 1]] {
                let key = vec![b'k'; usize::from(key_length)];
                let mut span = [&[0x4a, length, 0x0a, key_length][..], &key, &value].concat();
                span.resize(span.len().max(usize::from(length) + 2), b'v');
                compare(Signal::Traces, &padded(&with_span(&span)), &[9]);
            }
        }
    }
}

/// Guarantees: a request cut anywhere is refused as `prost` refuses it, or is whole by chance.
#[test]
fn a_cut_request_gets_the_verdict_of_prost() {
    let span = [nest(5, b"name"), nest(9, &nest(1, b"key")), vec![0x30, 0x80, 1]].concat();
    let request = [with_span(&span), with_span(&span)].concat();
    for length in 0..request.len() {
        let cut = &request[..length];
        compare(Signal::Traces, cut, &[3]);
    }
    assert_eq!(fault(&request[..request.len() - 1]), Fault::Truncated);
}

/// An `AnyValue` in the attributes of a resource, around it this many arrays.
fn deep(arrays: usize, innermost: &[u8]) -> Vec<u8> {
    let mut value = innermost.to_vec();
    for _ in 0..arrays {
        value = nest(5, &nest(1, &value));
    }
    padded(&nest(1, &nest(1, &nest(1, &nest(2, &value)))))
}

/// Guarantees: the hundredth level is the last; the walker and the machine agree on it.
#[test]
fn nesting_is_accepted_to_the_limit_of_prost() {
    // Four messages around the outermost value; each array adds two.
    assert_eq!(verdict(Signal::Traces, &deep(47, &nest(1, b"98"))), Ok(0));
    assert_eq!(verdict(Signal::Traces, &deep(48, &nest(1, b"100"))), Ok(0));
    assert_eq!(verdict(Signal::Traces, &deep(48, &[])), Ok(0));
    assert_eq!(fault(&deep(48, &nest(5, &[]))), Fault::Depth);
    assert_eq!(fault(&deep(49, &[])), Fault::Depth);
    assert_eq!(fault(&deep(5000, &[])), Fault::Depth);
    // An attribute of the usual shape, of which the value, or also the key, is too deep.
    let list = |innermost: &[u8]| nest(6, &nest(1, innermost));
    let pair = [nest(1, b"key"), nest(2, &nest(1, b"text"))].concat();
    assert_eq!(verdict(Signal::Traces, &deep(46, &list(&pair))), Ok(0));
    assert_eq!(fault(&deep(47, &list(&pair))), Fault::Depth);
    assert_eq!(fault(&deep(48, &list(&pair))), Fault::Depth);
}

/// Guarantees: an unknown field counts as a level, as it does for `prost`.
#[test]
fn an_unknown_field_at_the_last_level_is_refused() {
    assert_eq!(verdict(Signal::Traces, &deep(47, &[0x78, 0])), Ok(0));
    for unknown in [&[0x78, 0][..], &[0x7a, 0], &[0x7d, 0, 0, 0, 0], &[0x7b, 0x7c]] {
        assert_eq!(fault(&deep(48, unknown)), Fault::Depth);
    }
}

#[test]
fn groups_of_unknown_fields_are_passed_over() {
    let group = |inner: &[u8]| [&[0x7b], inner, &[0x7c]].concat();
    assert_eq!(verdict(Signal::Traces, &group(&[])), Ok(0));
    assert_eq!(verdict(Signal::Traces, &group(&[0x0a, 1, 0xff, 0x10, 5])), Ok(0));
    let span = [nest(5, b"name"), [vec![0xa3, 1], group(&[0x08, 1]), vec![0xa4, 1]].concat()];
    assert_eq!(verdict(Signal::Traces, &with_span(&span.concat())), Ok(1));
    let mut nested = Vec::new();
    for _ in 0..100 {
        nested = group(&nested);
    }
    assert_eq!(verdict(Signal::Traces, &nested), Ok(0));
    assert_eq!(fault(&group(&nested)), Fault::Depth);
}

#[test]
fn groups_must_end_where_they_began() {
    assert_eq!(fault(&[0x7c]), Fault::Group, "no start");
    assert_eq!(fault(&[0x7b, 0x74]), Fault::Group, "another number");
    assert_eq!(fault(&[0x7b]), Fault::Truncated, "no end");
    assert_eq!(fault(&[0x0a, 1, 0x7b, 0x7c]), Fault::Group, "the end is outside of the message");
    assert_eq!(fault(&[0x7b, 0x0a, 1, 0x7c, 0x0c]), Fault::Group);
    assert_eq!(fault(&[0x0b, 0x0c]), Fault::WireType { found: 3 }, "a known field is no group");
}

#[test]
fn varints_may_be_long_but_not_beyond_64_bits() {
    let kind = |varint: &[u8]| with_span(&[&[0x30], varint].concat());
    let overlong = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
    for last in [0, 1] {
        let varint = [&overlong[..], &[last]].concat();
        assert_eq!(verdict(Signal::Traces, &kind(&varint)), Ok(1));
    }
    assert_eq!(fault(&kind(&[&overlong[..], &[2]].concat())), Fault::Varint);
    assert_eq!(fault(&kind(&[&overlong[..], &[0x80, 0]].concat())), Fault::Varint);
    assert_eq!(fault(&kind(&[0x80])), Fault::Overrun);
    // Keys and lengths may be longer than they need to be, too.
    let name = [0xaa, 0x80, 0x00, 0x81, 0x80, 0x00, b'x'];
    assert_eq!(verdict(Signal::Traces, &with_span(&name)), Ok(1));
    let attribute = [0xca, 0x00, 0x84, 0x00, 0x8a, 0x00, 0x80, 0x00];
    assert_eq!(verdict(Signal::Traces, &with_span(&attribute)), Ok(1));
}

#[test]
fn packed_varints_are_looked_at_one_by_one() {
    let stack = |packed: &[u8]| nest(2, &nest(7, &nest(1, packed)));
    let sound = [&[0x80; 8][..], &[0x7f], &[0xff; 9], &[1, 5, 0xff, 0xff, 3]].concat();
    assert_eq!(verdict(Signal::Profiles, &stack(&sound)), Ok(0));
    for unsound in [&[0x80; 11][..], &[0xff; 10], &[0x80], &[1, 0x80, 0x80]] {
        for prefix in 0..5 {
            for suffix in [&[][..], &[1], &[2], &[1, 1, 1, 1, 1]] {
                let packed = [&vec![1; prefix][..], unsound, suffix].concat();
                compare(Signal::Profiles, &stack(&packed), &[3]);
            }
        }
    }
    let unpacked = nest(2, &nest(7, &[0x08, 1, 0x08, 0x80, 1]));
    assert_eq!(verdict(Signal::Profiles, &unpacked), Ok(0));
}

#[test]
fn packed_numbers_of_eight_bytes_must_be_whole() {
    let point = |packed: &[u8]| with_metric(&nest(9, &nest(1, &nest(6, packed))));
    for length in 0..20 {
        let outcome = verdict(Signal::Metrics, &point(&vec![0; length]));
        assert_eq!(outcome.is_ok(), length % 8 == 0, "{length}");
    }
    let unpacked = with_metric(&nest(9, &nest(1, &[0x31, 0, 0, 0, 0, 0, 0, 0, 0])));
    assert_eq!(verdict(Signal::Metrics, &unpacked), Ok(1));
}

#[test]
fn keys_must_name_a_field_and_a_wire_type() {
    assert_eq!(fault(&[0x00, 0x00]), Fault::Key, "field 0");
    assert_eq!(fault(&[0x02, 0x00]), Fault::Key, "field 0");
    assert_eq!(fault(&[0x0e]), Fault::Key, "wire type 6");
    assert_eq!(fault(&[0x7f]), Fault::Key, "wire type 7");
    assert_eq!(verdict(Signal::Traces, &[0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00]), Ok(0), "2^29 - 1");
    assert_eq!(fault(&[0x80, 0x80, 0x80, 0x80, 0x10, 0x00]), Fault::Key, "2^29");
}

#[test]
fn a_known_field_must_have_its_wire_type() {
    for wire_type in [0, 1, 5] {
        assert_eq!(fault(&[0x08 | wire_type]), Fault::WireType { found: wire_type.into() });
    }
    assert_eq!(fault(&with_span(&[0x38, 1])), Fault::WireType { found: 0 });
    assert_eq!(fault(&with_span(&[0x81, 0x01, 0, 0, 0, 0])), Fault::WireType { found: 1 });
    assert_eq!(fault(&with_span(&nest(6, &[1]))), Fault::WireType { found: 2 }, "not repeated");
}

#[test]
fn lengths_must_stay_in_the_message() {
    assert_eq!(fault(&[0x0a, 2, 0x1a, 1, b'x']), Fault::Overrun);
    assert_eq!(fault(&[0x0a, 5, 0x1a, 1, b'x']), Fault::Truncated);
    let longest = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(fault(&longest), Fault::Overrun);
    assert_eq!(fault(&with_span(&[0x39, 1, 2, 3])), Fault::Overrun);
    assert_eq!(fault(&with_span(&[0x85, 0x01, 1])), Fault::Overrun);
}

/// Scenario: texts that are not UTF-8, and characters that frames cut in every way.
#[test]
fn texts_must_be_utf8_wherever_frames_end() {
    for text in ["\u{e9}", "\u{20ac}", "\u{1f980}", "x\u{10ffff}y\u{e9}", "\u{7ff}\u{800}"] {
        for padding in [0, 60, 70, 300] {
            let name = ["x".repeat(padding).as_str(), text].concat();
            let request = with_span(&nest(5, name.as_bytes()));
            for first in 1..request.len() {
                compare(Signal::Traces, &request, &[first, 1]);
                compare(Signal::Traces, &request, &[first, 1000]);
            }
        }
    }
    for bad in [
        &b"\xff"[..],
        b"\x80",
        b"\xc3",
        b"\xc3\x28",
        b"\xe2\x82",
        b"\xe2\x28\xa1",
        b"\xed\xa0\x80",
        b"\xf0\x9f\xa6",
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
        b"\xf8\x88\x80\x80\x80",
    ] {
        for padding in [0, 5, 63, 64, 100] {
            let text = [&vec![b'x'; padding][..], bad].concat();
            for field in
                [nest(5, &text), nest(9, &nest(1, &text)), nest(9, &nest(2, &nest(1, &text)))]
            {
                assert_eq!(fault(&with_span(&field)), Fault::Utf8);
                assert_eq!(fault(&padded(&with_span(&field))), Fault::Utf8);
            }
            let bytes = nest(9, &nest(2, &nest(7, &text)));
            assert_eq!(verdict(Signal::Traces, &with_span(&bytes)), Ok(1), "bytes need not be");
        }
    }
}

#[test]
fn ids_must_be_absent_or_whole() {
    for (field, expected) in [(1, 16), (2, 8), (4, 8)] {
        for length in 0..20usize {
            let outcome = verdict(Signal::Traces, &with_span(&nest(field, &vec![1; length])));
            if length == 0 || length == usize::from(expected) {
                assert_eq!(outcome, Ok(1));
            } else {
                let fault = Fault::IdLength { expected, found: length as u64 };
                assert_eq!(outcome.map_err(|error| error.fault), Err(fault));
            }
        }
    }
    let profile = |id: &[u8]| nest(1, &nest(2, &nest(2, &nest(7, id))));
    assert_eq!(verdict(Signal::Profiles, &profile(&[1; 16])), Ok(0));
    assert!(verdict(Signal::Profiles, &profile(&[1; 8])).is_err());
    // `prost` would keep the second value only.
    let twice = [nest(1, &[1; 3]), nest(1, &[1; 16])].concat();
    assert!(verdict(Signal::Traces, &with_span(&twice)).is_err());
}

/// Guarantees: what decoders merge is counted as merged.
#[test]
fn repeated_singular_messages_are_merged() {
    let scope = |spans: usize| nest(2, &nest(2, &[]).repeat(spans));
    let resource = nest(1, &nest(1, &nest(1, b"key")));
    let twice = nest(1, &[resource.clone(), scope(2), resource, scope(1)].concat());
    assert_eq!(verdict(Signal::Traces, &[twice.clone(), twice].concat()), Ok(6));
}

#[test]
fn data_of_a_metric_is_merged_or_replaced() {
    let data = |field: u8, points: usize| nest(field, &nest(1, &[]).repeat(points));
    let metric = |data: &[Vec<u8>]| with_metric(&data.concat());
    for field in [5, 7, 9, 10, 11] {
        assert_eq!(verdict(Signal::Metrics, &metric(&[data(field, 3)])), Ok(3));
        assert_eq!(verdict(Signal::Metrics, &metric(&[data(field, 3), data(field, 2)])), Ok(5));
    }
    let replaced = metric(&[data(5, 3), data(7, 2), data(7, 0)]);
    assert_eq!(verdict(Signal::Metrics, &replaced), Ok(2));
    let back = metric(&[data(5, 3), data(7, 2), nest(1, b"name"), data(5, 1)]);
    assert_eq!(verdict(Signal::Metrics, &back), Ok(1));
    let two = [replaced, back].concat();
    assert_eq!(verdict(Signal::Metrics, &two), Ok(3), "each metric has its own data");
}

/// Guarantees: an error names message, field and position, and has a stable reason.
#[test]
fn an_error_says_what_is_wrong_and_where() {
    let request = with_span(&[nest(5, b"name"), nest(9, &nest(1, b"a\xffb"))].concat());
    let error = verdict(Signal::Traces, &request).expect_err("it is not UTF-8");
    let place = Place::Field { message: "KeyValue", field: "key" };
    assert_eq!(error, CheckError { fault: Fault::Utf8, place, offset: 17 });
    assert_eq!(error.reason(), "protobuf_utf8");
    assert_eq!(
        error.to_string(),
        "KeyValue.key at byte 17: text that is not UTF-8; the sender's OTLP encoder is at fault, \
         or the body was damaged on the way"
    );
    let unknown = verdict(Signal::Logs, &[0x7c]).expect_err("it has no start");
    assert_eq!(unknown.place, Place::Unknown { message: "ExportLogsServiceRequest", number: 15 });
    let key = verdict(Signal::Logs, &[0x00]).expect_err("it is no key");
    assert_eq!(key.place, Place::Message { message: "ExportLogsServiceRequest" });
}
