//! The same edits on decoded requests, written plainly: what the editor is compared with.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "conversions of attribute values round"
)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use regex::Regex;

use crate::config::sections::{AttributeAction, AttributeEdit, AttributeLevel, LiteralValue};
use crate::otlp::value::as_string;
use crate::signal::Signal;

/// Decodes, edits, encodes.
pub(super) fn edited(signal: Signal, request: &[u8], edits: &[AttributeEdit]) -> Vec<u8> {
    let mut model = Model { edits, strings: Vec::new() };
    match signal {
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(request).unwrap();
            for part in &mut request.resource_spans {
                model.resource(&mut part.resource);
                for part in &mut part.scope_spans {
                    model.scope(&mut part.scope);
                    for span in &mut part.spans {
                        model.list(
                            &[AttributeLevel::Span, AttributeLevel::Item],
                            &mut span.attributes,
                        );
                        for event in &mut span.events {
                            model.list(&[AttributeLevel::SpanEvent], &mut event.attributes);
                        }
                    }
                }
            }
            request.encode_to_vec()
        }
        Signal::Metrics => {
            let mut request = ExportMetricsServiceRequest::decode(request).unwrap();
            for part in &mut request.resource_metrics {
                model.resource(&mut part.resource);
                for part in &mut part.scope_metrics {
                    model.scope(&mut part.scope);
                    for metric in &mut part.metrics {
                        for list in data_points(&mut metric.data) {
                            model.list(&[AttributeLevel::DataPoint, AttributeLevel::Item], list);
                        }
                    }
                }
            }
            request.encode_to_vec()
        }
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(request).unwrap();
            for part in &mut request.resource_logs {
                model.resource(&mut part.resource);
                for part in &mut part.scope_logs {
                    model.scope(&mut part.scope);
                    for record in &mut part.log_records {
                        model.list(
                            &[AttributeLevel::LogRecord, AttributeLevel::Item],
                            &mut record.attributes,
                        );
                    }
                }
            }
            request.encode_to_vec()
        }
        Signal::Profiles => {
            let mut request = ExportProfilesServiceRequest::decode(request).unwrap();
            if let Some(dictionary) = &request.dictionary {
                model.strings.clone_from(&dictionary.string_table);
            }
            for part in &mut request.resource_profiles {
                model.resource(&mut part.resource);
                for part in &mut part.scope_profiles {
                    model.scope(&mut part.scope);
                }
            }
            request.encode_to_vec()
        }
    }
}

/// The request as `prost` would write it.
pub(super) fn normal(signal: Signal, request: &[u8]) -> Vec<u8> {
    edited(signal, request, &[])
}

fn data_points(data: &mut Option<Data>) -> Vec<&mut Vec<KeyValue>> {
    match data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => data.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        Some(Data::Sum(data)) => data.data_points.iter_mut().map(|p| &mut p.attributes).collect(),
        Some(Data::Histogram(data)) => {
            data.data_points.iter_mut().map(|p| &mut p.attributes).collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter_mut().map(|p| &mut p.attributes).collect()
        }
        Some(Data::Summary(data)) => {
            data.data_points.iter_mut().map(|p| &mut p.attributes).collect()
        }
    }
}

struct Model<'a> {
    edits: &'a [AttributeEdit],
    strings: Vec<String>,
}

impl Model<'_> {
    fn resource(&self, resource: &mut Option<Resource>) {
        let mut list = resource.as_ref().map(|r| r.attributes.clone()).unwrap_or_default();
        self.list(&[AttributeLevel::Resource], &mut list);
        if resource.is_some() || !list.is_empty() {
            resource.get_or_insert_default().attributes = list;
        }
    }

    fn scope(&self, scope: &mut Option<InstrumentationScope>) {
        let mut list = scope.as_ref().map(|s| s.attributes.clone()).unwrap_or_default();
        self.list(&[AttributeLevel::Scope], &mut list);
        if scope.is_some() || !list.is_empty() {
            scope.get_or_insert_default().attributes = list;
        }
    }

    fn list(&self, levels: &[AttributeLevel], list: &mut Vec<KeyValue>) {
        for edit in self.edits.iter().filter(|edit| levels.contains(&edit.level)) {
            self.edit(&edit.key, &edit.action, list);
        }
        // No value and a value of nothing are the same.
        for entry in list {
            entry.value.get_or_insert_default();
        }
    }

    fn key<'k>(&'k self, entry: &'k KeyValue) -> &'k str {
        let index = usize::try_from(entry.key_strindex).unwrap_or(usize::MAX);
        match self.strings.get(index) {
            Some(text) if entry.key.is_empty() && index != 0 => text,
            _ => &entry.key,
        }
    }

    fn resolved(&self, value: &AnyValue) -> AnyValue {
        match value.value {
            Some(Value::StringValueStrindex(index)) => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                text(self.strings.get(index).cloned().unwrap_or_default())
            }
            _ => value.clone(),
        }
    }

    fn first(&self, key: &str, list: &[KeyValue]) -> Option<AnyValue> {
        let entry = list.iter().find(|entry| self.key(entry) == key)?;
        Some(entry.value.clone().unwrap_or_default())
    }

    fn put(&self, key: &str, value: Option<AnyValue>, when: [bool; 2], list: &mut Vec<KeyValue>) {
        let Some(value) = value else { return };
        let [if_absent, if_present] = when;
        let mut found = false;
        for entry in list.iter_mut() {
            if self.key(entry) == key {
                found = true;
                let old = entry.value.clone().unwrap_or_default();
                if if_present && old.encode_to_vec() != value.encode_to_vec() {
                    entry.value = Some(value.clone());
                }
            }
        }
        if !found && if_absent {
            list.push(KeyValue { key: key.to_owned(), value: Some(value), key_strindex: 0 });
        }
    }

    fn edit(&self, key: &str, action: &AttributeAction, list: &mut Vec<KeyValue>) {
        match action {
            AttributeAction::Delete => list.retain(|entry| self.key(entry) != key),
            AttributeAction::DeletePattern(pattern) => {
                let pattern = Regex::new(pattern).unwrap();
                list.retain(|entry| !pattern.is_match(self.key(entry)));
            }
            AttributeAction::Insert(value) => {
                self.put(key, Some(literal(value)), [true, false], list);
            }
            AttributeAction::Update(value) => {
                self.put(key, Some(literal(value)), [false, true], list);
            }
            AttributeAction::Upsert(value) => {
                self.put(key, Some(literal(value)), [true, true], list);
            }
            AttributeAction::InsertFrom(from) => {
                self.put(key, self.first(from, list), [true, false], list);
            }
            AttributeAction::UpdateFrom(from) => {
                self.put(key, self.first(from, list), [false, true], list);
            }
            AttributeAction::UpsertFrom(from) => {
                self.put(key, self.first(from, list), [true, true], list);
            }
            AttributeAction::Extract(pattern) => {
                let Some(value) = self.first(key, list) else { return };
                let Some(Value::StringValue(subject)) = self.resolved(&value).value else { return };
                let pattern = Regex::new(pattern).unwrap();
                let Some(found) = pattern.captures(&subject) else { return };
                for name in pattern.capture_names().flatten() {
                    let group = found.name(name).map_or("", |group| group.as_str());
                    self.put(name, Some(text(group.to_owned())), [true, true], list);
                }
            }
            AttributeAction::Hash => {
                for entry in list.iter_mut().filter(|entry| self.key(entry) == key) {
                    let old = self.resolved(&entry.value.clone().unwrap_or_default());
                    entry.value = Some(hashed(&old));
                }
            }
            AttributeAction::Convert(target) => {
                for entry in list.iter_mut().filter(|entry| self.key(entry) == key) {
                    let old = self.resolved(&entry.value.clone().unwrap_or_default());
                    if let Some(new) = converted(old, target) {
                        entry.value = Some(AnyValue { value: Some(new) });
                    }
                }
            }
        }
    }
}

fn hashed(old: &AnyValue) -> AnyValue {
    let bytes = match &old.value {
        Some(Value::StringValue(text)) => text.clone().into_bytes(),
        Some(Value::BoolValue(flag)) => vec![u8::from(*flag)],
        Some(Value::IntValue(number)) => number.to_le_bytes().to_vec(),
        Some(Value::DoubleValue(number)) => number.to_bits().to_le_bytes().to_vec(),
        _ => Vec::new(),
    };
    if bytes.is_empty() {
        return text(String::new());
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    text(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn converted(old: AnyValue, target: &str) -> Option<Value> {
    match (target, old.value?) {
        ("string", Value::StringValue(_)) => None,
        ("string", other) => Some(Value::StringValue(as_string(&AnyValue { value: Some(other) }))),
        ("int", Value::DoubleValue(number)) => Some(Value::IntValue(number as i64)),
        ("int", Value::BoolValue(flag)) => Some(Value::IntValue(i64::from(flag))),
        ("int", Value::StringValue(text)) => text.parse().ok().map(Value::IntValue),
        ("double", Value::IntValue(number)) => Some(Value::DoubleValue(number as f64)),
        ("double", Value::BoolValue(flag)) => Some(Value::DoubleValue(f64::from(u8::from(flag)))),
        ("double", Value::StringValue(text)) => text.parse().ok().map(Value::DoubleValue),
        _ => None,
    }
}

fn text(text: String) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text)) }
}

fn literal(value: &LiteralValue) -> AnyValue {
    let value = match value {
        LiteralValue::Bool(flag) => Value::BoolValue(*flag),
        LiteralValue::Double(number) => Value::DoubleValue(*number),
        LiteralValue::Int(number) => Value::IntValue(*number),
        LiteralValue::String(text) => Value::StringValue(text.clone()),
        LiteralValue::List(values) => {
            Value::ArrayValue(ArrayValue { values: values.iter().map(literal).collect() })
        }
    };
    AnyValue { value: Some(value) }
}
