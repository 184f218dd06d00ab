//! Checks G: what holds for every transport and encoding.

use bytes::Bytes;

use super::requests::{
    VARIANTS, call, compressed, export, export_in, export_json, framed, post, post_variant, with,
};
use super::wire::{Wire, on_every_wire};
use crate::coding::Coding;
use crate::otlp::answer::Encoding;
use crate::outcome::{Accepted, PartialSuccess};
use crate::signal::Signal;

fn partial(rejected: i64, message: &str) -> Accepted {
    let message = message.to_owned();
    Accepted { partial_success: Some(PartialSuccess { rejected, message }) }
}

async fn g01_plain_and_gzip_requests_are_accepted(wire: Wire) {
    for signal in Signal::ALL {
        let message = export(signal, 3);
        let gate = wire.gate();
        gate.ask(call(signal, framed(false, &message))).await.grpc_accepted(signal);
        let batch = gate.only();
        assert_eq!((batch.signal, batch.items), (signal, 3));
        assert_eq!(batch.decoded.to_bytes(), message);
        assert!(batch.encoded.is_none());

        let gate = wire.gate();
        let squeezed = compressed(Coding::Gzip, &message);
        let request = with(call(signal, framed(true, &squeezed)), "grpc-encoding", "gzip");
        gate.ask(request).await.grpc_accepted(signal);
        let batch = gate.only();
        assert_eq!(batch.items, 3);
        assert_eq!(batch.decoded.to_bytes(), message);
        let encoded = batch.encoded.expect("the very bytes");
        assert_eq!((encoded.coding, encoded.body.to_bytes()), (Coding::Gzip, squeezed));
        for variant in VARIANTS {
            let gate = wire.gate();
            let body = export_in(variant.0, signal);
            let reply = gate.ask(post_variant(signal, variant, &body)).await;
            reply.http_accepted(signal, variant.0);
            let batch = gate.only();
            assert_eq!(batch.items, 1);
            let kept = variant.0 == Encoding::Protobuf && variant.1.is_some();
            assert_eq!(batch.encoded.is_some(), kept, "compressed JSON is not what goes on");
        }
    }
}

async fn g02_a_full_success_is_an_empty_response_message(wire: Wire) {
    for signal in Signal::ALL {
        let gate = wire.gate();
        let reply = gate.ask(call(signal, framed(false, &export(signal, 1)))).await;
        assert_eq!(reply.grpc_accepted(signal), Accepted::default());
        assert_eq!(&reply.body[..], [0; 5]);
        let reply = gate.ask(post(signal, Encoding::Protobuf, export(signal, 1))).await;
        reply.http_accepted(signal, Encoding::Protobuf);
        assert!(reply.body.is_empty());
        let reply = gate.ask(post(signal, Encoding::Json, export_json(signal))).await;
        reply.http_accepted(signal, Encoding::Json);
        assert_eq!(&reply.body[..], b"{}");
    }
}

async fn g03_an_empty_request_is_a_success(wire: Wire) {
    let gate = wire.gate();
    for signal in Signal::ALL {
        gate.ask(call(signal, framed(false, b""))).await.grpc_accepted(signal);
        for variant in VARIANTS {
            let body = match variant.0 {
                Encoding::Json => Bytes::from_static(b"{}"),
                Encoding::Protobuf => Bytes::new(),
            };
            let reply = gate.ask(post_variant(signal, variant, &body)).await;
            reply.http_accepted(signal, variant.0);
        }
        gate.ask(post(signal, Encoding::Protobuf, Bytes::new())).await;
    }
    assert!(gate.seen().is_empty(), "and reaches nobody");
}

/// Scenario: the backend takes a part. Guarantees: the sender hears how many it lost, in its own
/// protocol, and the counters tell both parts.
async fn g04_the_number_of_rejected_items_reaches_the_sender(wire: Wire) {
    for signal in Signal::ALL {
        let gate = wire.gate().answering(Ok(partial(2, "two are too old")));
        let expected = partial(2, "two are too old");
        let reply = gate.ask(call(signal, framed(false, &export(signal, 5)))).await;
        assert_eq!(reply.grpc_accepted(signal), expected);
        for variant in VARIANTS {
            let body = export_in(variant.0, signal);
            let reply = gate.ask(post_variant(signal, variant, &body)).await;
            assert_eq!(reply.http_accepted(signal, variant.0), expected);
        }
        let items = signal.items_name();
        let series = |verb: &str| {
            format!("otelcol_receiver_{verb}_{items}{{receiver=\"otlp\",transport=\"grpc\"}}")
        };
        assert_eq!(gate.count(&series("accepted")), 3);
        assert_eq!(gate.count(&series("refused")), 2);
    }
}

async fn g05_the_backends_words_reach_the_sender(wire: Wire) {
    let gate = wire.gate().answering(Ok(partial(1, "span 3: no trace id")));
    let reply = gate.ask(post(Signal::Traces, Encoding::Json, export_json(Signal::Traces))).await;
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert_eq!(
        text,
        r#"{"partialSuccess":{"errorMessage":"span 3: no trace id","rejectedSpans":"1"}}"#
    );
}

async fn g06_a_warning_rejects_nothing_and_has_a_text(wire: Wire) {
    let gate = wire.gate().answering(Ok(partial(0, "deprecated")));
    let reply = gate.ask(call(Signal::Logs, framed(false, &export(Signal::Logs, 1)))).await;
    assert_eq!(reply.grpc_accepted(Signal::Logs), partial(0, "deprecated"));
    let gate = wire.gate().answering(Ok(partial(0, "")));
    let reply = gate.ask(call(Signal::Logs, framed(false, &export(Signal::Logs, 1)))).await;
    assert_eq!(
        reply.grpc_accepted(Signal::Logs),
        Accepted::default(),
        "nothing said, nothing sent"
    );
}

/// Scenario: a sender did not hear the answer and sends the same again. Guarantees: it is accepted,
/// and both reach the backend, who alone can tell.
async fn g15_a_request_sent_twice_is_accepted_twice(wire: Wire) {
    for signal in Signal::ALL {
        let gate = wire.gate();
        for _ in 0..2 {
            gate.ask(call(signal, framed(false, &export(signal, 2)))).await.grpc_accepted(signal);
        }
        let seen = gate.seen();
        assert_eq!(seen.iter().map(|batch| batch.items).collect::<Vec<_>>(), [2, 2]);
    }
}

/// Scenario: a sender of a later OTLP uses fields that nobody here knows. Guarantees: they are
/// tolerated, and forwarded.
async fn g16_unknown_fields_are_tolerated_and_survive(wire: Wire) {
    let mut message = export(Signal::Traces, 1).to_vec();
    // Field 1000 with the value 1.
    message.extend([0xc0, 0x3e, 1]);
    let gate = wire.gate();
    gate.ask(call(Signal::Traces, framed(false, &message))).await.grpc_accepted(Signal::Traces);
    assert_eq!(gate.only().decoded.to_bytes(), message);

    let text = r#"{"later":{"x":[1,{}]},"resourceLogs":[{"scopeLogs":[{"logRecords":[{"new":null,"severityText":"I"}]}]}]}"#;
    let gate = wire.gate();
    let request = post(Signal::Logs, Encoding::Json, Bytes::from_static(text.as_bytes()));
    gate.ask(request).await.http_accepted(Signal::Logs, Encoding::Json);
    assert_eq!(gate.only().items, 1);
}

async fn g17_an_empty_envelope_is_dropped(wire: Wire) {
    for signal in Signal::ALL {
        let gate = wire.gate();
        gate.ask(call(signal, framed(false, &export(signal, 0)))).await.grpc_accepted(signal);
        let reply = gate.ask(post(signal, Encoding::Protobuf, export(signal, 0))).await;
        reply.http_accepted(signal, Encoding::Protobuf);
        assert!(gate.seen().is_empty());
    }
}

/// Scenario: spans use the interning fields that only profiles may use. Guarantees: not fatal, and
/// the bytes go on as they are.
async fn g18_interning_fields_outside_profiles_are_not_fatal(wire: Wire) {
    // Resource.attributes[0] = { value { string_value_strindex (8): 4 }, key_strindex (3): 5 }.
    let attribute = [0x12, 2, 0x40, 4, 0x18, 5];
    let resource = [&[0x0a, 6][..], &attribute].concat();
    let mut message = vec![0x0a, 18, 0x0a, 8];
    message.extend(resource);
    // ScopeSpans with an empty Span, and schema_url "s".
    message.extend([0x12, 2, 0x12, 0, 0x1a, 2, b's', b'u']);
    let gate = wire.gate();
    gate.ask(call(Signal::Traces, framed(false, &message))).await.grpc_accepted(Signal::Traces);
    assert_eq!(gate.only().decoded.to_bytes(), message);
}

async fn g19_profiles_are_served_under_their_development_names(wire: Wire) {
    let gate = wire.gate();
    let mut request = post(Signal::Traces, Encoding::Protobuf, export(Signal::Profiles, 2));
    *request.uri_mut() = "/v1development/profiles".parse().unwrap();
    gate.ask(request).await.http_accepted(Signal::Profiles, Encoding::Protobuf);
    let mut request = call(Signal::Traces, framed(false, &export(Signal::Profiles, 3)));
    let method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    *request.uri_mut() = method.parse().unwrap();
    gate.ask(request).await.grpc_accepted(Signal::Profiles);
    let seen = gate.seen();
    assert_eq!(seen.iter().map(|batch| batch.items).collect::<Vec<_>>(), [2, 3]);
    assert!(seen.iter().all(|batch| batch.signal == Signal::Profiles));
}

on_every_wire!(
    g01_plain_and_gzip_requests_are_accepted,
    g02_a_full_success_is_an_empty_response_message,
    g03_an_empty_request_is_a_success,
    g04_the_number_of_rejected_items_reaches_the_sender,
    g05_the_backends_words_reach_the_sender,
    g06_a_warning_rejects_nothing_and_has_a_text,
    g15_a_request_sent_twice_is_accepted_twice,
    g16_unknown_fields_are_tolerated_and_survive,
    g17_an_empty_envelope_is_dropped,
    g18_interning_fields_outside_profiles_are_not_fatal,
    g19_profiles_are_served_under_their_development_names,
);
