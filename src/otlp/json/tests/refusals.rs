//! What is refused, with which reason, and where the error says it is.

use std::fmt::Write as _;

use crate::otlp::json::{JsonError, decode};
use crate::signal::Signal;

fn refusal(text: &str) -> JsonError {
    decode(Signal::Traces, text.as_bytes()).expect_err(text)
}

/// The error for these members of a span.
fn in_span(members: &str) -> JsonError {
    refusal(&format!(
        r#"{{"resourceSpans":[{{}},{{"scopeSpans":[null,{{"spans":[{{"name":"ok"}},{{{members}}}]}}]}}]}}"#
    ))
}

const SPAN: &str = "$.resourceSpans[1].scopeSpans[1].spans[1]";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn errors_name_the_place_and_the_reason() {
    for (members, place, reason, message) in [
        (
            r#""traceId":"AQIDBAUGBwgJCgsMDQ4PEA==""#,
            ".traceId",
            "json_id",
            r#"looks like base64, must be hex: must be 32 hexadecimal digits, but is "AQIDBAUGBwgJCgsMDQ4PEA==""#,
        ),
        (
            r#""spanId":"AQIDBAUGBwg""#,
            ".spanId",
            "json_id",
            r#"looks like base64, must be hex: must be 16 hexadecimal digits, but is "AQIDBAUGBwg""#,
        ),
        (
            r#""span_id":"0102""#,
            ".spanId",
            "json_id",
            r#"must be 16 hexadecimal digits, but is "0102""#,
        ),
        (
            r#""spanId":"010203040506070x""#,
            ".spanId",
            "json_id",
            r#"must be 16 hexadecimal digits, but is "010203040506070x""#,
        ),
        (
            r#""spanId":7"#,
            ".spanId",
            "json_type",
            "must be a text of hexadecimal digits, but is a number",
        ),
        (r#""name":5"#, ".name", "json_type", "must be a text, but is a number"),
        (r#""kind":"CLIENT""#, ".kind", "json_enum", r#""CLIENT" is no Span.SpanKind"#),
        (
            r#""startTimeUnixNano":{"low":1,"high":2}"#,
            ".startTimeUnixNano",
            "json_type",
            "must be an integer, or a text of its decimal digits, but is an object",
        ),
        (
            r#""startTimeUnixNano":-1"#,
            ".startTimeUnixNano",
            "json_range",
            "is out of range: it must be from 0 to 18446744073709551615",
        ),
        (
            r#""startTimeUnixNano":"18446744073709551616""#,
            ".startTimeUnixNano",
            "json_range",
            "is out of range: it must be from -9223372036854775808 to 18446744073709551615",
        ),
        (
            r#""startTimeUnixNano":1.5"#,
            ".startTimeUnixNano",
            "json_type",
            r#"must be an integer, but is "1.5""#,
        ),
        (
            r#""startTimeUnixNano":"soon""#,
            ".startTimeUnixNano",
            "json_type",
            r#"must be an integer, but is "soon""#,
        ),
        (
            r#""startTimeUnixNano":"""#,
            ".startTimeUnixNano",
            "json_type",
            r#"must be an integer, but is """#,
        ),
        (
            r#""flags":4294967296"#,
            ".flags",
            "json_range",
            "is out of range: it must be from 0 to 4294967295",
        ),
        (
            r#""kind":2147483648"#,
            ".kind",
            "json_range",
            "is out of range: it must be from -2147483648 to 2147483647",
        ),
        (r#""attributes":{}"#, ".attributes", "json_type", "must be a list, but is an object"),
        (r#""attributes":[[]]"#, ".attributes[0]", "json_type", "must be an object, but is a list"),
        (r#""status":[]"#, ".status", "json_type", "must be an object, but is a list"),
        (
            r#""attributes":[{},{"value":{"boolValue":1}}]"#,
            ".attributes[1].value.boolValue",
            "json_type",
            "must be true or false, but is a number",
        ),
        (
            r#""attributes":[{"value":{"stringValue":"a","intValue":1}}]"#,
            ".attributes[0].value.intValue",
            "json_oneof",
            "excludes another key in the same object: only one of them may be there",
        ),
        (
            r#""attributes":[{"value":{"doubleValue":1e400}}]"#,
            ".attributes[0].value.doubleValue",
            "json_range",
            "is out of the range of 64-bit floating point numbers",
        ),
        (
            r#""attributes":[{"value":{"doubleValue":"inf"}}]"#,
            ".attributes[0].value.doubleValue",
            "json_type",
            r#"must be a number, NaN, Infinity or -Infinity, but is "inf""#,
        ),
        (
            r#""name":"\ud83d""#,
            ".name",
            "json_surrogate",
            "has half of a surrogate pair, \\ud83d: this is no character",
        ),
        (
            r#""name":"\ud83d\u0041""#,
            ".name",
            "json_surrogate",
            "has half of a surrogate pair, \\ud83d: this is no character",
        ),
        (
            r#""name":"\udd80""#,
            ".name",
            "json_surrogate",
            "has half of a surrogate pair, \\udd80: this is no character",
        ),
        (r#""name":"\x""#, ".name", "json_syntax", "has an escape that JSON does not know"),
    ] {
        let expected =
            JsonError { path: format!("{SPAN}{place}"), message: message.into(), reason };
        assert_eq!(in_span(members), expected);
    }
    let error = in_span(r#""attributes":[{"value":{"bytesValue":"a*"}}]"#);
    assert_eq!(error.reason, "json_base64");
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "{",
        "}",
        "[]",
        "1",
        "\"",
        "nul",
        "nullx",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{,}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" 1}",
        "{\"a\":[1 2]}",
        "{\"a\":{]}",
        "{\"a\":[}",
        "{\"\\ud800\":1}",
        "{\"a\":\"\\ud800\"}",
        "\0",
        "{}\0",
        "{/**/}",
        "{\"resourceSpans\":[{},]}",
        "{\"resourceSpans\":[{}",
        "{\"resourceSpans\":[",
        "{\"resourceSpans\":",
        "{\"resourceSpans\"",
        "{\"resourceSpans",
        "{\"resourceSpans\\",
        "<html>",
        "{\"a\":\"\\",
    ] {
        assert!(refusal(text).reason.starts_with("json_"), "{text}");
    }
    assert_eq!(refusal("{\"a\":1 \"b\":2}").message, "expected ',' or '}'; found '\"' at byte 7");
    assert_eq!(
        refusal("{").message,
        "expected a key in double quotes; found the end of the body at byte 1"
    );
    assert_eq!(refusal("[]").message, "must be an object, but is a list");
}

#[test]
fn every_cut_of_a_request_is_refused() {
    let whole = r#" {"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","name":"\u00e9","startTimeUnixNano":"1","attributes":[{"key":"k","value":{"doubleValue":-1.5e3}}]}]}],"x":[true,null]}]}"#;
    assert!(decode(Signal::Traces, whole.as_bytes()).is_ok());
    for end in 0..whole.len() {
        refusal(whole.get(..end).expect("ASCII"));
    }
}

#[test]
fn more_than_one_request_is_refused() {
    for text in ["{}{}", "{} x", "{},", "null null", "{}\n{}\n", "{}]"] {
        assert_eq!(refusal(text).reason, "json_trailing", "{text}");
    }
}

#[test]
fn bodies_that_are_no_text_are_refused() {
    assert_eq!(refusal("").reason, "json_empty");
    assert_eq!(refusal("\u{feff}{}").reason, "json_bom");
    for bytes in [&b"{\"a\":\"\xff\"}"[..], b"{}\xff", b"\xc0\x80"] {
        assert_eq!(decode(Signal::Logs, bytes).unwrap_err().reason, "json_utf8");
    }
}

#[test]
fn nesting_is_bounded_for_known_and_unknown_keys() {
    let array = |levels: usize| {
        let mut text = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":"#.to_owned();
        // A list is two messages: the value and its list.
        for _ in 0..levels {
            text.push_str(r#"{"arrayValue":{"values":["#);
        }
        text.push_str("{}");
        for _ in 0..levels {
            text.push_str("]}}");
        }
        text.push_str("}]}]}]}");
        text
    };
    // Three around the body, and one inside the lists.
    assert!(decode(Signal::Logs, array(48).as_bytes()).is_ok());
    assert_eq!(decode(Signal::Logs, array(49).as_bytes()).unwrap_err().reason, "json_depth");
    let unknown = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(decode(Signal::Logs, unknown(100).as_bytes()).is_ok());
    // The innermost one may be open: it holds nothing.
    assert_eq!(decode(Signal::Logs, unknown(102).as_bytes()).unwrap_err().reason, "json_depth");
}

#[test]
fn megabytes_of_brackets_are_refused_at_once() {
    for open in ["[", "{\"a\":", "[{\"b\":"] {
        let bomb = format!("{{\"x\":{}", open.repeat(19_000_000 / open.len()));
        assert_eq!(refusal(&bomb).reason, "json_depth");
    }
    let mut bomb = r#"{"resourceSpans":[{"resource":{"attributes":["#.to_owned();
    while bomb.len() < 19_000_000 {
        let _ = write!(bomb, r#"{{"key":"k","value":{{"arrayValue":{{"values":["#);
    }
    assert_eq!(refusal(&bomb).reason, "json_depth");
}

/// Scenario: a request of one signal arrives as one of another, alone or beside what is wanted.
/// Guarantees: it is refused with the place where it is taken; where nothing would be lost it is
/// unknown like any other name.
#[test]
fn data_of_another_signal_is_not_ignored() {
    let roots = [
        (Signal::Traces, "resourceSpans"),
        (Signal::Metrics, "resource_metrics"),
        (Signal::Logs, "resourceLogs"),
        (Signal::Profiles, "resourceProfiles"),
    ];
    for (asked, wanted) in roots {
        for (of, name) in roots.into_iter().filter(|(of, _)| *of != asked) {
            let decoded = |value: &str| {
                decode(asked, format!("{{\"{wanted}\":[],\"{name}\":{value}}}").as_bytes())
            };
            let error = decoded("[{\"schemaUrl\":\"x\"}]").unwrap_err();
            assert_eq!((&*error.path, error.reason), ("$", "json_other_signal"));
            let told = format!("{name:?} is of {of}: send it to {} (or", of.http_path());
            assert!(error.message.starts_with(&told), "{error}");
            for nothing in ["null", "[]", "[ {}, { } ]", "{}"] {
                assert_eq!(decoded(nothing).unwrap().ignored, 1, "{nothing}");
            }
        }
    }
    let nested = br#"{"resourceSpans":[{"resourceLogs":[{"a":1}]}]}"#;
    assert_eq!(decode(Signal::Traces, nested).unwrap().ignored, 1);
}
