//! The `tracing` layer: takes an event apart, asks the sampler, formats, writes.
//!
//! Spans are not recorded: facts are fields of the event that states them.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};

use crate::config::sections::LogLevel;
use crate::telemetry::format::{Formatter, Record, Value};
use crate::telemetry::output::Outputs;
use crate::telemetry::recent::{Recent, RecentRecord};
use crate::telemetry::sampling::Sampler;
use crate::telemetry::{BLOCK_FIELD, UNSAMPLED_TARGET};

/// Targets with a bound of their own. Who was refused and which file is bad is not the same as
/// another's, though the message is.
const UNSAMPLED: [&str; 3] =
    [UNSAMPLED_TARGET, "portcullis::acceptor::report", "portcullis::tls::reload"];

/// One log of the process.
pub(super) struct LogLayer {
    level: LevelFilter,
    sampler: Arc<Sampler>,
    formatter: Formatter,
    outputs: Outputs,
    recent: Recent,
}

impl LogLayer {
    pub(super) fn new(
        level: LogLevel,
        sampler: Arc<Sampler>,
        formatter: Formatter,
        outputs: Outputs,
        recent: Recent,
    ) -> Self {
        let level = match level {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        };
        Self { level, sampler, formatter, outputs, recent }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        // Libraries speak of every frame at debug; only their warnings are for operators.
        let ours = metadata.target().starts_with(env!("CARGO_PKG_NAME"));
        *metadata.level() <= self.level && (ours || *metadata.level() <= Level::WARN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = metadata.target();
        let sampled = !UNSAMPLED.iter().any(|exempt| target.starts_with(exempt));
        if sampled && !self.sampler.passes(*metadata.level(), &fields.message, &fields.marks()) {
            return;
        }
        let record = Record {
            time: OffsetDateTime::now_utc(),
            level: level_name(*metadata.level()),
            target: metadata.target(),
            message: &fields.message,
            fields: &fields.others,
            block: fields.block.as_deref(),
        };
        if !self.outputs.write(&self.formatter.line(&record)) {
            self.sampler.left_out();
        }
        if *metadata.level() <= Level::WARN {
            self.recent.push(RecentRecord {
                time: record.timestamp(),
                level: record.level,
                text: record.summary(),
            });
        }
    }
}

/// The Collector's spelling; `trace` has no place in its levels and counts as debug.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    block: Option<String>,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    /// What tells records of one message apart for whoever reads them.
    fn marks(&self) -> Vec<&str> {
        let marked = self.others.iter().filter(|(name, _)| MARKS.contains(name));
        marked.filter_map(|(_, value)| value.as_text()).collect()
    }

    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            BLOCK_FIELD => self.block = Some(text),
            name => self.others.push((name, Value::Text(text))),
        }
    }
}

/// Of bounded kinds: they come from the configuration and the code.
const MARKS: [&str; 4] = ["reason", "exporter", "listener", "block"];

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), Value::Bool(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.push((field.name(), Value::Float(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), Value::Int(i128::from(value))));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), Value::Int(i128::from(value))));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        // The outermost text alone ("transport error") helps nobody: tell the whole chain.
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Some errors repeat their source in their own text.
            if !text.ends_with(&next) {
                let _infallible = write!(text, ": {next}");
            }
            cause = error.source();
        }
        self.text(field, text);
    }
}
