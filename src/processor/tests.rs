//! An edit on the wire is the same edit on the decoded request.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;
use tokio::time::Instant;

use super::*;
use crate::batch::{Encoded, Rope};
use crate::coding::Coding;
use crate::config::sections::{AttributeAction, AttributeLevel, LiteralValue};
use crate::otlp::check::{check, generate};
use crate::otlp::schema;

fn edit(level: AttributeLevel, key: &str, action: AttributeAction) -> AttributeEdit {
    AttributeEdit { level, key: key.to_owned(), action }
}

fn upsert(level: AttributeLevel, key: &str, value: &str) -> AttributeEdit {
    edit(level, key, AttributeAction::Upsert(LiteralValue::String(value.to_owned())))
}

fn processors(edits: &[AttributeEdit]) -> Processors {
    within(64 << 20, edits)
}

/// Edited requests may hold so many bytes.
fn within(limit: usize, edits: &[AttributeEdit]) -> Processors {
    let edits = Processor::Attributes(edits.to_vec());
    let all = [&Processor::MemoryLimiter, &edits, &Processor::Batch];
    Processors::build(&all, &Room::new(limit)).unwrap()
}

fn batch(signal: Signal, decoded: Rope) -> Batch {
    let items = check(signal, &decoded).unwrap().items;
    Batch {
        signal,
        items,
        decoded,
        encoded: Some(Encoded { coding: Coding::Gzip, body: Rope::new() }),
        identity: None,
        deadline: Instant::now() + Duration::from_secs(5),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

fn spans(resource: &[KeyValue], spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource.to_vec(), ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn field(number: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut out);
    prost::encoding::encode_varint(value.len() as u64, &mut out);
    out.extend(value);
    out
}

fn apply(edits: &[AttributeEdit], request: Vec<u8>) -> ExportTraceServiceRequest {
    let batch =
        processors(edits).apply(batch(Signal::Traces, Bytes::from(request).into())).unwrap();
    ExportTraceServiceRequest::decode(batch.decoded.to_bytes()).unwrap()
}

#[test]
fn a_batch_nothing_applies_to_passes_as_it_came() {
    let request = spans(&[text("env", "prod")], vec![Span::default()]).encode_to_vec();
    let edits = [
        upsert(AttributeLevel::Resource, "env", "prod"),
        edit(AttributeLevel::Span, "env", AttributeAction::Delete),
        edit(AttributeLevel::LogRecord, "env", AttributeAction::Hash),
    ];
    let before = batch(Signal::Traces, Bytes::from(request).into());
    let after = processors(&edits).apply(before.clone()).unwrap();
    assert!(after.encoded.is_some());
    assert_eq!(after.decoded.pieces()[0].as_ptr(), before.decoded.pieces()[0].as_ptr());
}

#[test]
fn stamping_a_resource_shares_every_long_stretch_and_drops_the_encoded_body() {
    let span = Span { name: "x".repeat(5000), ..Span::default() };
    let request = Bytes::from(spans(&[text("a", "b")], vec![span; 3]).encode_to_vec());
    let before = batch(Signal::Traces, request.clone().into());
    let edits = [upsert(AttributeLevel::Resource, "client.identity", "dns:a")];
    let after = processors(&edits).apply(before).unwrap();
    assert!(after.encoded.is_none());
    assert_eq!(after.items, 3);
    let own = request.as_ptr_range();
    let shared: usize = after
        .decoded
        .pieces()
        .iter()
        .filter(|piece| own.contains(&piece.as_ptr()))
        .map(Bytes::len)
        .sum();
    assert!(shared > 15_000, "{shared}");
    assert_eq!(
        ExportTraceServiceRequest::decode(after.decoded.to_bytes()).unwrap().resource_spans[0]
            .resource,
        Some(Resource {
            attributes: vec![text("a", "b"), text("client.identity", "dns:a")],
            ..Resource::default()
        })
    );
}

/// Scenario: a sender claims the stamped key twice in one list, and again in a second `resource`
/// of the same `ResourceSpans`, which decoders merge.
/// Guarantees: whichever of them a backend takes, it is the stamped value.
#[test]
fn a_stamp_holds_against_repeated_keys_and_repeated_resources() {
    let claim = |n: usize| field(1, &text("who", &format!("forged{n}")).encode_to_vec());
    let resource = |n: usize| field(1, &[claim(n), claim(n + 1)].concat());
    let request = field(1, &[resource(0), field(2, &[]), resource(2)].concat());
    let stamped = apply(&[upsert(AttributeLevel::Resource, "who", "me")], request.clone());
    let list = &stamped.resource_spans[0].resource.as_ref().unwrap().attributes;
    assert_eq!(list, &vec![text("who", "me"); 4]);
    let deleted = apply(&[edit(AttributeLevel::Resource, "who", AttributeAction::Delete)], request);
    assert!(deleted.resource_spans[0].resource.as_ref().unwrap().attributes.is_empty());
}

#[test]
fn a_key_given_twice_in_one_attribute_is_the_last_one() {
    let forged = [field(1, b"x"), text("who", "forged").encode_to_vec()].concat();
    let request = field(1, &field(1, &field(1, &forged)));
    let stamped = apply(&[upsert(AttributeLevel::Resource, "who", "me")], request);
    let list = &stamped.resource_spans[0].resource.as_ref().unwrap().attributes;
    assert_eq!(list, &[text("who", "me")]);
}

#[test]
fn unknown_fields_survive_around_and_inside_an_edited_attribute() {
    let unknown = field(77, b"new");
    let attribute = field(1, &[unknown.clone(), text("k", "v").encode_to_vec()].concat());
    let resource = field(1, &[unknown.clone(), attribute].concat());
    let request = [unknown.clone(), field(1, &[unknown.clone(), resource].concat())].concat();
    let before = batch(Signal::Traces, Bytes::from(request).into());
    let after = processors(&[upsert(AttributeLevel::Resource, "k", "w")]).apply(before).unwrap();
    let bytes = after.decoded.to_bytes();
    let count = bytes.windows(unknown.len()).filter(|window| *window == unknown).count();
    assert_eq!(count, 4);
}

#[test]
fn a_missing_resource_and_scope_are_made_when_something_is_added_to_them() {
    let edits = [
        upsert(AttributeLevel::Resource, "a", "r"),
        upsert(AttributeLevel::Scope, "a", "s"),
        edit(AttributeLevel::Scope, "b", AttributeAction::Update(LiteralValue::Int(1))),
    ];
    let edited = apply(&edits, field(1, &field(2, &[])));
    let part = &edited.resource_spans[0];
    assert_eq!(part.resource.as_ref().unwrap().attributes, [text("a", "r")]);
    assert_eq!(part.scope_spans[0].scope.as_ref().unwrap().attributes, [text("a", "s")]);
}

#[test]
fn edits_of_one_level_are_made_in_order() {
    let edits = [
        edit(AttributeLevel::Item, "copy", AttributeAction::InsertFrom("user".to_owned())),
        edit(AttributeLevel::Span, "user", AttributeAction::Hash),
        edit(
            AttributeLevel::Span,
            "copy",
            AttributeAction::Extract("^(?P<name>[^@]*)@(?P<host>.*)$".to_owned()),
        ),
        edit(AttributeLevel::Span, "copy", AttributeAction::Delete),
        edit(AttributeLevel::Span, "port", AttributeAction::Convert("int".to_owned())),
    ];
    let span =
        Span { attributes: vec![text("user", "a@b"), text("port", "443")], ..Span::default() };
    let edited = apply(&edits, spans(&[], vec![span]).encode_to_vec());
    let hash = "7508d8b5018ea640b85269861a101203f0c26900555268e930025dac844b0f35";
    let list = &edited.resource_spans[0].scope_spans[0].spans[0].attributes;
    assert_eq!(list[0], text("user", hash));
    let port = AnyValue { value: Some(Value::IntValue(443)) };
    assert_eq!(list[1].value, Some(port));
    assert_eq!(list[2..], [text("name", "a"), text("host", "b")]);
}

/// Scenario: a request of four million spans of two bytes, and an attribute for each.
/// Guarantees: it is refused before it becomes gigabytes.
#[test]
fn a_small_request_does_not_become_a_huge_one() {
    let spans = field(2, &[]).repeat(1 << 22);
    let request = Bytes::from(field(1, &field(2, &spans)));
    let edits = [upsert(AttributeLevel::Span, "k", &"v".repeat(100))];
    let refusal = processors(&edits).apply(batch(Signal::Traces, request.into())).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (Code::ResourceExhausted, "edit_too_large"));
    assert!(!refusal.is_retryable());
}

/// Scenario: a span with a million attributes of two bytes; an edit for spans.
/// Guarantees: it is refused before a list of them is made that takes forty times as much.
#[test]
fn a_message_with_more_attributes_than_can_be_edited_is_refused() {
    let span = field(9, &[]).repeat(1 << 20);
    let request = Bytes::from(field(1, &field(2, &field(2, &span))));
    let edits = [edit(AttributeLevel::Span, "k", AttributeAction::Delete)];
    let refusal = processors(&edits).apply(batch(Signal::Traces, request.into())).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (Code::ResourceExhausted, "edit_too_large"));
}

/// Scenario: a value that is a list of half a million empty values.
/// Guarantees: nothing is left of it where it is hashed, and it stays where it would be converted,
/// for it is not decoded into thirty times as much.
#[test]
fn a_list_too_long_to_be_decoded_is_hashed_to_nothing_and_not_converted() {
    let list = field(5, &field(1, &[]).repeat(1 << 19));
    let attribute = field(9, &[field(1, b"k"), field(2, &list)].concat());
    let request = field(1, &field(2, &field(2, &attribute)));
    let edited = |action| {
        let edits = [edit(AttributeLevel::Span, "k", action)];
        let before = batch(Signal::Traces, Bytes::from(request.clone()).into());
        processors(&edits).apply(before).unwrap().decoded.to_bytes()
    };
    assert_eq!(edited(AttributeAction::Convert("string".to_owned())), request);
    let hashed = ExportTraceServiceRequest::decode(edited(AttributeAction::Hash)).unwrap();
    let list = &hashed.resource_spans[0].scope_spans[0].spans[0].attributes;
    assert_eq!(list, &[text("k", "")]);
}

/// Guarantees: edited requests hold as many bytes as they may and not one more; the one too many is
/// to come again, and is taken once another has gone.
#[test]
fn edited_requests_hold_no_more_bytes_than_they_may() {
    let edits = [upsert(AttributeLevel::Resource, "k", "w")];
    let before = || batch(Signal::Traces, Bytes::from_static(b"\x0a\x02\x0a\x00").into());
    let length = processors(&edits).apply(before()).unwrap().decoded.len();
    let refusal = within(length - 1, &edits).apply(before()).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (Code::Unavailable, "edit_no_room"));
    assert!(refusal.retry_after.is_some());
    assert!(refusal.message.contains("service.max_edited_bytes"), "{}", refusal.message);
    let full = within(length, &edits);
    let held = full.apply(before()).unwrap();
    assert_eq!(full.apply(before()).unwrap_err().reason, "edit_no_room");
    drop(held);
    assert!(full.apply(before()).is_ok());
}

#[test]
fn unusable_patterns_and_types_are_refused() {
    let build = |action| {
        let edits = vec![edit(AttributeLevel::Span, "k", action)];
        Processors::build(&[&Processor::Attributes(edits)], &Room::new(0)).unwrap_err()
    };
    let pattern = build(AttributeAction::DeletePattern("(".to_owned()));
    assert!(matches!(pattern, ProcessorError::Pattern { .. }), "{pattern}");
    let groups = build(AttributeAction::Extract("(?P<a>x)(y)".to_owned()));
    assert!(matches!(groups, ProcessorError::Groups { .. }), "{groups}");
    let convert = build(AttributeAction::Convert("float".to_owned()));
    assert!(matches!(convert, ProcessorError::Convert { .. }), "{convert}");
}

fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "key", "service.name", "", "new"]).prop_map(str::to_owned)
}

fn literals() -> impl Strategy<Value = LiteralValue> {
    prop_oneof![
        any::<bool>().prop_map(LiteralValue::Bool),
        any::<i64>().prop_map(LiteralValue::Int),
        Just(LiteralValue::Double(0.5)),
        Just(LiteralValue::String("v".repeat(300))),
        Just(LiteralValue::String(String::new())),
        Just(LiteralValue::List(vec![LiteralValue::Int(1), LiteralValue::Bool(true)])),
    ]
}

fn actions() -> impl Strategy<Value = AttributeAction> {
    let patterns = prop::sample::select(vec!["^k", "a+", "^$", "."]);
    let targets = prop::sample::select(vec!["int", "double", "string"]);
    prop_oneof![
        targets.prop_map(|target| AttributeAction::Convert(target.to_owned())),
        Just(AttributeAction::Delete),
        patterns.prop_map(|pattern| AttributeAction::DeletePattern(pattern.to_owned())),
        Just(AttributeAction::Extract("(?P<key>.)(?P<new>y)?".to_owned())),
        Just(AttributeAction::Hash),
        literals().prop_map(AttributeAction::Insert),
        literals().prop_map(AttributeAction::Update),
        literals().prop_map(AttributeAction::Upsert),
        keys().prop_map(AttributeAction::InsertFrom),
        keys().prop_map(AttributeAction::UpdateFrom),
        keys().prop_map(AttributeAction::UpsertFrom),
    ]
}

fn edits() -> impl Strategy<Value = Vec<AttributeEdit>> {
    let levels = prop::sample::select(vec![
        AttributeLevel::DataPoint,
        AttributeLevel::Item,
        AttributeLevel::LogRecord,
        AttributeLevel::Resource,
        AttributeLevel::Scope,
        AttributeLevel::Span,
        AttributeLevel::SpanEvent,
    ]);
    let one = (levels, keys(), actions()).prop_map(|(level, key, action)| AttributeEdit {
        level,
        key,
        action,
    });
    prop::collection::vec(one, 1..6)
}

/// The bytes in pieces that end at these places.
fn split(bytes: &Bytes, cuts: &[prop::sample::Index]) -> Rope {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| bytes.slice(cut[0]..cut[1])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Scenario: any valid request of any signal, with unknown fields, repeated singular fields
    /// and long varints, in any frames; any edits.
    /// Guarantees: the result decodes to what the same edits make of the decoded request, it
    /// passes the checker with the same number of items, and a batch that did not change keeps
    /// its encoded body.
    #[test]
    fn an_edit_on_the_wire_is_the_same_edit_on_the_decoded_request(
        seed: u64,
        signal in prop::sample::select(&Signal::ALL),
        budget in 1_usize..400,
        edits in edits(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut choices = generate::Choices::new(seed, budget, false);
        let request = Bytes::from(generate::message(&mut choices, schema::request(signal), 99));
        let rope = split(&request, &cuts);
        let before = batch(signal, rope);
        let items = before.items;
        let after = processors(&edits).apply(before).unwrap();
        let edited = after.decoded.to_bytes();
        prop_assert_eq!(check(signal, &after.decoded).unwrap().items, items);
        prop_assert_eq!(after.encoded.is_some(), edited == request);
        prop_assert_eq!(model::normal(signal, &edited), model::edited(signal, &request, &edits));
    }
}
