//! `otelcol_process_*` and `target_info`: the process as the kernel sees it.
//!
//! Read when asked, never in the background. What cannot be read is left out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::time::Instant;

/// Reads the process' own numbers at each rendering.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    started: Instant,
}

impl ProcessCollector {
    /// Counts the uptime from here.
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let uptime = self.started.elapsed().as_secs_f64();
        seconds(&mut encoder, "otelcol_process_uptime", "Uptime of the process", uptime)?;
        if let Some(cpu) = cpu_seconds() {
            let help = "Total CPU user and system time in seconds";
            seconds(&mut encoder, "otelcol_process_cpu_seconds", help, cpu)?;
        }
        let memory = Memory::read();
        bytes(
            &mut encoder,
            "otelcol_process_memory_rss",
            "Total physical memory (resident set size)",
            memory.resident,
        )?;
        bytes(
            &mut encoder,
            "otelcol_process_runtime_heap_alloc_bytes",
            "Resident anonymous memory: heap and stacks",
            memory.anonymous,
        )?;
        bytes(
            &mut encoder,
            "otelcol_process_runtime_total_sys_memory_bytes",
            "Memory reserved for data: heap and stacks, resident or not",
            memory.reserved,
        )
    }
}

/// The labels of `target_info`: defaults, overlaid with `service.telemetry.resource`.
pub(super) fn target_labels(resource: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut labels = BTreeMap::from([
        ("service_instance_id".to_owned(), instance_id()),
        ("service_name".to_owned(), env!("CARGO_PKG_NAME").to_owned()),
        ("service_version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    labels.extend(resource.iter().map(|(key, value)| (label_name(key), value.clone())));
    labels.into_iter().collect()
}

/// A resource attribute's key as a Prometheus label name.
fn label_name(key: &str) -> String {
    let mut name: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// A random id for this start of the process.
fn instance_id() -> String {
    read_kernel_file("/proc/sys/kernel/random/uuid")
        .map_or_else(|| std::process::id().to_string(), |text| text.trim().to_owned())
}

fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: f64,
) -> Result<(), fmt::Error> {
    let counter = ConstCounter::new(value);
    let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
    counter.encode(metric)
}

fn bytes(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Option<i64>,
) -> Result<(), fmt::Error> {
    let Some(value) = value else { return Ok(()) };
    let gauge = ConstGauge::new(value);
    let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric)
}

/// User and system time of all threads, from `/proc/self/stat`.
fn cpu_seconds() -> Option<f64> {
    // The second field is the command in parentheses and may hold spaces: count from its end.
    let stat = read_kernel_file("/proc/self/stat")?;
    let (_, after_command) = stat.rsplit_once(')')?;
    let mut fields = after_command.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[derive(Default)]
struct Memory {
    resident: Option<i64>,
    anonymous: Option<i64>,
    reserved: Option<i64>,
}

impl Memory {
    fn read() -> Self {
        let Some(status) = read_kernel_file("/proc/self/status") else { return Self::default() };
        let kilobytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            let number: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            number.checked_mul(1024)
        };
        Self {
            resident: kilobytes("VmRSS:"),
            anonymous: kilobytes("RssAnon:"),
            reserved: kilobytes("VmData:"),
        }
    }
}

fn read_kernel_file(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(KERNEL_FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// `USER_HZ`, which Linux has promised to user space for as long as `/proc` has existed.
const TICKS_PER_SECOND: f64 = 100.0;

/// The files read here are about 1 kB long.
const KERNEL_FILE_BYTES: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, label_name};

    #[test]
    fn attribute_keys_become_label_names() {
        assert_eq!(label_name("service.instance.id"), "service_instance_id");
        assert_eq!(label_name("1st"), "_1st");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_has_used_some_cpu() {
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
    }
}
