//! The requests that the benchmark checks: 512 items of each signal with eight attributes each,
//! varied like real ones.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        profiles::v1development::ExportProfilesServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{
        Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        metric::Data, number_data_point,
    },
    profiles::v1development::{
        Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary,
        ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use prost::Message;

const ITEMS: usize = 512;
const START: u64 = 1_753_000_000_000_000_000;

/// One request.
pub struct Request {
    /// The signal's name.
    pub signal: &'static str,
    /// The request as protobuf.
    pub bytes: Vec<u8>,
    /// Decodes it with `prost`, for comparison.
    pub decode: fn(&[u8]) -> bool,
}

/// One request of each signal.
pub fn requests() -> [Request; 4] {
    [
        request("traces", &traces()),
        request("metrics", &metrics()),
        request("logs", &logs()),
        request("profiles", &profiles()),
    ]
}

fn request<M: Message + Default>(signal: &'static str, message: &M) -> Request {
    Request { signal, bytes: message.encode_to_vec(), decode: |bytes| M::decode(bytes).is_ok() }
}

/// `SplitMix64`: the same requests in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick(&mut self, from: &[&str]) -> String {
        from[usize::try_from(self.below(from.len() as u64)).expect("it is small")].to_owned()
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        let words = [self.next().to_le_bytes(), self.next().to_le_bytes()];
        words.concat()[..length].to_vec()
    }

    fn int(&mut self, bound: u64) -> Value {
        Value::IntValue(i64::try_from(self.below(bound)).expect("it is small"))
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn attributes(random: &mut Random) -> Vec<KeyValue> {
    vec![
        text("http.request.method", random.pick(&["GET", "POST", "PUT", "DELETE"])),
        text(
            "url.path",
            random.pick(&["/", "/api/v1/carts", "/api/v1/products/search", "/checkout/confirm"]),
        ),
        attribute(
            "http.response.status_code",
            Value::IntValue(200 + random.below(3).cast_signed()),
        ),
        text("server.address", random.pick(&["cart.shop.svc.cluster.local", "10.42.7.19", "db-0"])),
        attribute("network.peer.port", random.int(65_536)),
        text("session.id", format!("{:016x}", random.next())),
        attribute("cache.hit", Value::BoolValue(random.below(2) == 0)),
        text(
            "customer.name",
            random.pick(&[
                "Mira",
                "Anna Schmidt",
                "Jos\u{e9} \u{c1}lvarez",
                "Li",
                "Tom Baker",
                "A. N. Other",
            ]),
        ),
    ]
}

fn resource() -> Option<Resource> {
    let attributes = vec![
        text("service.name", "checkout"),
        text("service.instance.id", "0192c1f4-7f43-7c3a-a0c5-2f3a1d1b7e11"),
        text("k8s.pod.name", "checkout-6b7c9d5f8-x2x7k"),
        text("telemetry.sdk.language", "rust"),
    ];
    Some(Resource { attributes, dropped_attributes_count: 0, entity_refs: Vec::new() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "shop/http".to_owned(),
        version: "1.4.2".to_owned(),
        ..InstrumentationScope::default()
    })
}

fn traces() -> ExportTraceServiceRequest {
    let mut random = Random(1);
    let random = &mut random;
    let spans = (0..ITEMS)
        .map(|at| {
            let start = START + random.below(1_000_000_000);
            Span {
                trace_id: random.id(16),
                span_id: random.id(8),
                parent_span_id: random.id(if at % 4 > 0 { 8 } else { 0 }),
                flags: 0x101,
                name: random.pick(&["GET /api/v1/carts", "SELECT shop.orders", "charge"]),
                kind: i32::try_from(random.below(5)).expect("it is small") + 1,
                start_time_unix_nano: start,
                end_time_unix_nano: start + random.below(100_000_000),
                attributes: attributes(random),
                status: Some(Status::default()),
                ..Span::default()
            }
        })
        .collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, schema_url: String::new() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(), scope_spans, schema_url: String::new() }];
    ExportTraceServiceRequest { resource_spans }
}

fn metrics() -> ExportMetricsServiceRequest {
    let mut random = Random(2);
    let random = &mut random;
    let metrics = (0..ITEMS / 8)
        .map(|at| Metric {
            name: format!("http.server.request.{at}"),
            description: "Duration of HTTP server requests.".to_owned(),
            unit: "s".to_owned(),
            metadata: Vec::new(),
            data: Some(if at % 2 == 0 { sum(random) } else { histogram(random) }),
        })
        .collect();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, schema_url: String::new() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(), scope_metrics, schema_url: String::new() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn sum(random: &mut Random) -> Data {
    let data_points = (0..8)
        .map(|_| NumberDataPoint {
            attributes: attributes(random),
            start_time_unix_nano: START,
            time_unix_nano: START + random.below(1_000_000_000),
            value: Some(number_data_point::Value::AsInt(random.below(1 << 40).cast_signed())),
            ..NumberDataPoint::default()
        })
        .collect();
    Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
}

fn histogram(random: &mut Random) -> Data {
    let data_points = (0..8)
        .map(|_| HistogramDataPoint {
            attributes: attributes(random),
            start_time_unix_nano: START,
            time_unix_nano: START + random.below(1_000_000_000),
            count: random.below(1000),
            sum: Some(12.5),
            bucket_counts: (0..16).map(|at| at * 7 % 50).collect(),
            explicit_bounds: (0..15u8).map(|at| f64::from(at) * 0.1).collect(),
            ..HistogramDataPoint::default()
        })
        .collect();
    Data::Histogram(Histogram { data_points, aggregation_temporality: 2 })
}

fn logs() -> ExportLogsServiceRequest {
    let mut random = Random(3);
    let random = &mut random;
    let log_records = (0..ITEMS)
        .map(|_| LogRecord {
            time_unix_nano: START + random.below(1_000_000_000),
            observed_time_unix_nano: START + 1_000_000_000,
            severity_number: 9,
            severity_text: "INFO".to_owned(),
            body: Some(AnyValue {
                value: Some(Value::StringValue(random.pick(&[
                    "order accepted and handed over to the payment provider, awaiting callback",
                    "cache miss for product list; reading through",
                    "Zahlung best\u{e4}tigt, Bestellung wird f\u{fc}r den Versand vorbereitet",
                ]))),
            }),
            attributes: attributes(random),
            trace_id: random.id(16),
            span_id: random.id(8),
            flags: 1,
            ..LogRecord::default()
        })
        .collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, schema_url: String::new() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(), scope_logs, schema_url: String::new() }];
    ExportLogsServiceRequest { resource_logs }
}

fn profiles() -> ExportProfilesServiceRequest {
    let mut random = Random(4);
    let random = &mut random;
    let samples = (0..ITEMS)
        .map(|at| Sample {
            stack_index: i32::try_from(at).expect("it is small"),
            attribute_indices: (0..8).map(|_| small(random, 100)).collect(),
            link_index: small(random, 100),
            values: vec![random.below(100_000_000).cast_signed()],
            timestamps_unix_nano: vec![START + random.below(1_000_000_000)],
        })
        .collect();
    let profile = Profile {
        sample_type: Some(ValueType { type_strindex: 1, unit_strindex: 2 }),
        samples,
        time_unix_nano: START,
        duration_nano: 60_000_000_000,
        profile_id: random.id(16),
        ..Profile::default()
    };
    let scope_profiles =
        vec![ScopeProfiles { scope: scope(), profiles: vec![profile], schema_url: String::new() }];
    let resource_profiles =
        vec![ResourceProfiles { resource: resource(), scope_profiles, schema_url: String::new() }];
    ExportProfilesServiceRequest { resource_profiles, dictionary: Some(dictionary(random)) }
}

fn dictionary(random: &mut Random) -> ProfilesDictionary {
    ProfilesDictionary {
        mapping_table: vec![Mapping { memory_limit: 1 << 32, ..Mapping::default() }],
        location_table: (0..2000)
            .map(|_| Location {
                address: 0x5500_0000_0000 + random.below(1 << 24),
                lines: vec![Line {
                    function_index: small(random, 1000),
                    line: random.below(2000).cast_signed(),
                    column: 0,
                }],
                ..Location::default()
            })
            .collect(),
        function_table: (0..1000)
            .map(|at| Function {
                name_strindex: at,
                filename_strindex: at / 8,
                ..Function::default()
            })
            .collect(),
        link_table: (0..100)
            .map(|_| Link { trace_id: random.id(16), span_id: random.id(8) })
            .collect(),
        string_table: (0..1000)
            .map(|at| format!("shop::checkout::cart::Cart::step_{at}"))
            .collect(),
        attribute_table: (0..100)
            .map(|at| KeyValueAndUnit {
                key_strindex: at,
                value: Some(AnyValue { value: Some(random.int(1000)) }),
                unit_strindex: 0,
            })
            .collect(),
        stack_table: (0..512)
            .map(|_| Stack { location_indices: (0..40).map(|_| small(random, 2000)).collect() })
            .collect(),
    }
}

fn small(random: &mut Random, bound: u64) -> i32 {
    i32::try_from(random.below(bound)).expect("it is small")
}
