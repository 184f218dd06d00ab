//! `sending_queue`, `retry_on_failure` and `sending_queue.batch` (contract 4.6, 5.1).

use crate::config::read::ids;
use crate::config::read::section::{Flavour, Section};
use crate::config::read::values::MAX;
use crate::config::sections::{QueueSettings, RetrySettings};

/// `retry_on_failure`; checked even when it is disabled, as in the Collector.
pub(super) fn retry(exporter: &Section<'_>) -> RetrySettings {
    let settings = exporter.section("retry_on_failure", |section| {
        let defaults = RetrySettings::default();
        let settings = RetrySettings {
            enabled: section.boolean("enabled").unwrap_or(defaults.enabled),
            initial_interval: section
                .duration("initial_interval")
                .unwrap_or(defaults.initial_interval),
            max_interval: section.duration("max_interval").unwrap_or(defaults.max_interval),
            max_elapsed_time: section
                .duration("max_elapsed_time")
                .unwrap_or(defaults.max_elapsed_time),
            multiplier: section.float("multiplier").unwrap_or(defaults.multiplier),
            randomization_factor: section
                .float("randomization_factor")
                .unwrap_or(defaults.randomization_factor),
        };
        check_retry(section, &settings);
        settings
    });
    if exporter.has("retry_on_failure") && settings.enabled {
        let why = "each batch is sent once, and the sender gets the upstream's answer and retries";
        exporter.no_effect("retry_on_failure", why);
    }
    settings
}

fn check_retry(section: &Section<'_>, settings: &RetrySettings) {
    if !(settings.multiplier >= 0.0 && settings.multiplier.is_finite()) {
        section.error("multiplier", "out_of_range", "'multiplier' must be non-negative");
    }
    if !(0.0..=1.0).contains(&settings.randomization_factor) {
        let message = "'randomization_factor' must be within [0, 1]";
        section.error("randomization_factor", "out_of_range", message);
    }
    if settings.max_elapsed_time.is_zero() {
        return;
    }
    let longest = settings.max_elapsed_time;
    for (key, interval) in
        [("initial_interval", settings.initial_interval), ("max_interval", settings.max_interval)]
    {
        if longest < interval {
            section.error_help(
                "max_elapsed_time",
                "out_of_range",
                format!("'max_elapsed_time' must not be less than '{key}'"),
                format!("{key} is {interval:?}: make one longer or the other shorter"),
            );
        }
    }
}

/// `sending_queue`; `None` when it is off.
pub(super) fn queue(exporter: &Section<'_>, flavour: Flavour) -> Option<QueueSettings> {
    let settings = exporter.optional("sending_queue", flavour, sending_queue)?;
    if exporter.has("sending_queue") {
        let why = if settings.storage.is_some() {
            "nothing is stored; an OK means that the upstream took the batch, and until then it is \
             the sender's"
        } else {
            "nothing is queued; an OK means that the upstream took the batch"
        };
        exporter.no_effect("sending_queue", why);
    }
    Some(settings)
}

fn sending_queue(section: &Section<'_>) -> QueueSettings {
    let positive = |key: &str| {
        let value = section.number::<i64>(key, -MAX..=MAX)?;
        if value <= 0 {
            section.error(key, "out_of_range", format!("`{key}` must be positive"));
            return None;
        }
        u64::try_from(value).ok()
    };
    let consumers = positive("num_consumers").unwrap_or(10);
    let queue_size = positive("queue_size").unwrap_or(1000);
    let named = section.word("sizer", &SIZERS);
    let sizer = named.unwrap_or("requests");
    let storage = section.string("storage").filter(|text| !text.is_empty());
    let storage = storage.and_then(|text| ids::component(section, "storage", &text));
    let waits = section.boolean("wait_for_result");
    if waits == Some(true) && storage.is_some() {
        section.error_help(
            "wait_for_result",
            "contradiction",
            "`wait_for_result` is not supported with a persistent queue configured with `storage`",
            "remove one of the two",
        );
    }
    let block_on_overflow = section.boolean("block_on_overflow").unwrap_or(false);
    let has_batch = section.has("batch");
    section.optional("batch", Flavour::Default, |batch| {
        check_batch(batch, named.filter(|_| has_batch), sizer, queue_size);
    });
    QueueSettings {
        num_consumers: usize::try_from(consumers).unwrap_or(usize::MAX),
        queue_size,
        sizer: sizer.to_owned(),
        block_on_overflow,
        wait_for_result: waits.unwrap_or_else(|| storage.is_none()),
        storage,
    }
}

fn check_batch(section: &Section<'_>, named: Option<&str>, queue_sizer: &str, queue_size: u64) {
    if section.duration("flush_timeout").is_some_and(|timeout| timeout.is_zero()) {
        section.error("flush_timeout", "out_of_range", "`flush_timeout` must be positive, found 0");
    }
    let size = |key: &str| {
        let value = section.number::<i64>(key, -MAX..=MAX)?;
        if value < 0 {
            let message = format!("`{key}` must be non-negative, found {value}");
            section.error(key, "out_of_range", message);
        }
        u64::try_from(value).ok()
    };
    let min = size("min_size").unwrap_or(8192);
    let max = size("max_size").unwrap_or(0);
    let own = section.word("sizer", &SIZERS);
    let sizer = own.or(named).unwrap_or("items");
    if sizer == "requests" {
        section.error_help(
            "sizer",
            "contradiction",
            "`batch` supports only `items` or `bytes` sizer, found \"requests\"",
            "add sizer: items to the batch block",
        );
    }
    if sizer == queue_sizer && min > queue_size {
        let message =
            format!("`min_size` ({min}) must be less than or equal to `queue_size` ({queue_size})");
        section.error_help("min_size", "out_of_range", message, "make queue_size larger");
    }
    if max > 0 && max < min {
        let message = format!("`max_size` ({max}) must be greater or equal to `min_size` ({min})");
        section.error("max_size", "out_of_range", message);
    }
    section.section("partition", |partition| {
        unique_keys(partition, "metadata_keys");
        partition.number::<i64>("cache_size", 1..=MAX);
        partition.duration("idle_timeout");
    });
}

/// Metadata keys must differ, whatever their case.
pub(super) fn unique_keys(section: &Section<'_>, key: &str) {
    let mut seen: Vec<String> = Vec::new();
    for text in section.strings(key).unwrap_or_default() {
        let lower = text.to_lowercase();
        if seen.contains(&lower) {
            let message = format!("duplicate entry in metadata_keys: {lower:?} (case-insensitive)");
            section.error(key, "duplicate_key", message);
        }
        seen.push(lower);
    }
}

const SIZERS: [(&str, &str); 3] =
    [("requests", "requests"), ("items", "items"), ("bytes", "bytes")];
