//! What gateways of this process log about exporters, as values.

use std::fmt::Debug;
use std::sync::{Mutex, Once};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// One record: its fields, its text as `message`, its level as `level`.
pub type Line = Map<String, Value>;

/// Begins to keep records, once for the process.
pub fn keep() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Keeper);
        tracing::subscriber::set_global_default(subscriber).expect("nobody else keeps the log");
    });
}

/// The records about an exporter so far.
pub fn of(exporter: &str) -> Vec<Line> {
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|line| line["exporter"] == *exporter).cloned().collect()
}

/// Exporters of other tests are not named so.
pub const MARK: &str = "/watched";

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let mut line = fields.0;
        if line.get("exporter").and_then(Value::as_str).is_some_and(|id| id.contains(MARK)) {
            line.insert("level".to_owned(), event.metadata().level().as_str().into());
            LINES.lock().unwrap().push(line);
        }
    }
}

struct Fields(Line);

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
