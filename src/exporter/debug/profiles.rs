//! Profiles: their numbers resolved by the dictionary of the request.
//!
//! Guarantees that a number without an entry is shown as a number.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{
    Location, Profile, ProfilesDictionary, Sample, ValueType,
};

use crate::exporter::debug::text::{Text, hex, timestamp, typed};
use crate::exporter::debug::{detailed as other_signals, normal as lines};

/// One line a profile.
pub(super) fn normal(request: &ExportProfilesServiceRequest, text: &mut Text) {
    let tables = Tables::of(request);
    for (at, part) in request.resource_profiles.iter().enumerate() {
        lines::resource("ResourceProfiles", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_profiles.iter().enumerate() {
            lines::scope("ScopeProfiles", at, &part.schema_url, part.scope.as_ref(), text);
            for profile in &part.profiles {
                let attributes = tables.attributes(&profile.attribute_indices);
                let attributes: Vec<_> =
                    attributes.iter().map(|(key, value)| format!(" {key}={value}")).collect();
                text.line(format_args!(
                    "{} samples={}{}",
                    hex(&profile.profile_id),
                    profile.samples.len(),
                    attributes.concat()
                ));
            }
        }
    }
}

/// Every field.
pub(super) fn detailed(request: &ExportProfilesServiceRequest, text: &mut Text) {
    let tables = Tables::of(request);
    for (at, part) in request.resource_profiles.iter().enumerate() {
        let resource = part.resource.as_ref();
        other_signals::resource("ResourceProfiles", at, &part.schema_url, resource, text);
        for (at, part) in part.scope_profiles.iter().enumerate() {
            text.line(format_args!("ScopeProfiles #{at}"));
            text.line(format_args!("ScopeProfiles SchemaURL: {}", part.schema_url));
            text.scope(part.scope.as_ref());
            for (at, part) in part.profiles.iter().enumerate() {
                text.line(format_args!("Profile #{at}"));
                profile(part, &tables, text);
            }
        }
    }
    dictionary(&tables, text);
}

fn profile(profile: &Profile, tables: &Tables<'_>, text: &mut Text) {
    text.entry("Profile ID", hex(&profile.profile_id));
    text.entry("Start time", timestamp(profile.time_unix_nano));
    text.entry("Duration", format_args!("{} ns", profile.duration_nano));
    text.entry("Sample type", tables.value_type(profile.sample_type.as_ref()));
    text.entry("Period type", tables.value_type(profile.period_type.as_ref()));
    text.entry("Period", profile.period);
    text.entry("Dropped attributes count", profile.dropped_attributes_count);
    if !profile.original_payload.is_empty() {
        let (format, size) = (&profile.original_payload_format, profile.original_payload.len());
        text.entry("Original payload", format_args!("{format}, {size} bytes"));
    }
    attributes("    ", &profile.attribute_indices, tables, text);
    for (at, part) in profile.samples.iter().enumerate() {
        text.line(format_args!("    Sample #{at}"));
        sample(part, tables, text);
    }
}

fn attributes(indent: &str, indices: &[i32], tables: &Tables<'_>, text: &mut Text) {
    if !indices.is_empty() {
        text.line(format_args!("{indent}Attributes:"));
    }
    for (key, value) in tables.attributes(indices) {
        text.line(format_args!("{indent}     -> {key}: {value}"));
    }
}

fn sample(sample: &Sample, tables: &Tables<'_>, text: &mut Text) {
    text.line(format_args!("        Values: {:?}", sample.values));
    let times: Vec<_> = sample.timestamps_unix_nano.iter().map(|time| timestamp(*time)).collect();
    text.line(format_args!("        Timestamps: {times:?}"));
    if let Some(link) = entry(&tables.dictionary.link_table, sample.link_index) {
        let (trace, span) = (hex(&link.trace_id), hex(&link.span_id));
        text.line(format_args!("        Link: trace {trace} span {span}"));
    }
    attributes("        ", &sample.attribute_indices, tables, text);
    let Some(stack) = entry(&tables.dictionary.stack_table, sample.stack_index) else {
        return text.line(format_args!("        Stack: #{}", sample.stack_index));
    };
    text.line(format_args!("        Stack:"));
    for index in &stack.location_indices {
        match entry(&tables.dictionary.location_table, *index) {
            Some(found) => location("             -> ", found, tables, text),
            None => text.line(format_args!("             -> location #{index}")),
        }
    }
}

fn location(start: &str, location: &Location, tables: &Tables<'_>, text: &mut Text) {
    let address = location.address;
    if location.lines.is_empty() {
        let mapping = entry(&tables.dictionary.mapping_table, location.mapping_index)
            .map(|mapping| tables.text(mapping.filename_strindex))
            .unwrap_or_default();
        text.line(format_args!("{start}{address:#x} {mapping}"));
    }
    for line in &location.lines {
        let (row, column) = (line.line, line.column);
        match entry(&tables.dictionary.function_table, line.function_index) {
            Some(function) => {
                let name = tables.text(function.name_strindex);
                let file = tables.text(function.filename_strindex);
                text.line(format_args!("{start}{address:#x} {name} {file}:{row}:{column}"));
            }
            None => text.line(format_args!(
                "{start}{address:#x} function #{}:{row}:{column}",
                line.function_index
            )),
        }
    }
}

/// The tables themselves, for what the samples do not say.
fn dictionary(tables: &Tables<'_>, text: &mut Text) {
    let ProfilesDictionary { mapping_table, location_table, function_table, .. } =
        tables.dictionary;
    text.line(format_args!("Dictionary"));
    for (at, part) in mapping_table.iter().enumerate() {
        let (start, limit, offset) = (part.memory_start, part.memory_limit, part.file_offset);
        let file = tables.text(part.filename_strindex);
        text.line(format_args!("    Mapping #{at}: {start:#x}-{limit:#x} +{offset:#x} {file}"));
        attributes("        ", &part.attribute_indices, tables, text);
    }
    for (at, part) in location_table.iter().enumerate() {
        text.line(format_args!("    Location #{at}: mapping #{}", part.mapping_index));
        location("             -> ", part, tables, text);
        attributes("        ", &part.attribute_indices, tables, text);
    }
    for (at, part) in function_table.iter().enumerate() {
        let (name, file) = (tables.text(part.name_strindex), tables.text(part.filename_strindex));
        let (system, row) = (tables.text(part.system_name_strindex), part.start_line);
        text.line(format_args!("    Function #{at}: {name} ({system}) {file}:{row}"));
    }
}

/// The dictionary of a request.
struct Tables<'a> {
    dictionary: &'a ProfilesDictionary,
}

static NOTHING: ProfilesDictionary = ProfilesDictionary {
    mapping_table: Vec::new(),
    location_table: Vec::new(),
    function_table: Vec::new(),
    link_table: Vec::new(),
    string_table: Vec::new(),
    attribute_table: Vec::new(),
    stack_table: Vec::new(),
};

impl<'a> Tables<'a> {
    fn of(request: &'a ExportProfilesServiceRequest) -> Self {
        Self { dictionary: request.dictionary.as_ref().unwrap_or(&NOTHING) }
    }

    fn text(&self, index: i32) -> String {
        entry(&self.dictionary.string_table, index)
            .map_or_else(|| format!("text #{index}"), String::clone)
    }

    fn value_type(&self, value_type: Option<&ValueType>) -> String {
        let Some(value_type) = value_type else { return String::new() };
        let unit = self.text(value_type.unit_strindex);
        format!("{} ({unit})", self.text(value_type.type_strindex))
    }

    /// Keys and values, with the unit.
    fn attributes(&self, indices: &[i32]) -> Vec<(String, String)> {
        indices
            .iter()
            .map(|index| {
                let Some(found) = entry(&self.dictionary.attribute_table, *index) else {
                    return (format!("attribute #{index}"), String::new());
                };
                let value = found.value.as_ref().map(typed).unwrap_or_default();
                let unit = match found.unit_strindex {
                    0 => String::new(),
                    index => format!(" {}", self.text(index)),
                };
                (self.text(found.key_strindex), value + &unit)
            })
            .collect()
    }
}

fn entry<T>(table: &[T], index: i32) -> Option<&T> {
    table.get(usize::try_from(index).ok()?)
}
