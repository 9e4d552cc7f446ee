//! Logs and traces: text on a terminal, JSON otherwise, one event a line on standard error; OTLP where asked for.
//!
//! `cli` starts it once; `app` changes the level when the configuration is reloaded. `RUST_LOG` is not read: the level
//! has one place. No input can forge a line or steer a terminal (SEC-G2); see `escape`.

mod escape;
#[cfg(feature = "otlp")]
mod otlp;
pub mod traces;

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The form of the log on standard error.
    pub mode: Mode,
    /// The least of what is written; audit events are written at every level. A reload changes it.
    pub level: Level,
    /// Where to send OpenTelemetry traces, OTLP over gRPC: `http://127.0.0.1:4317`. Empty: nowhere.
    /// Needs a binary built with `--features otlp`, as the image is. Each request and each check is a span, within the
    /// trace that a trusted proxy names in `traceparent`; `OTEL_TRACES_SAMPLER` says which others are kept (all).
    pub otlp_endpoint: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Text where standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("logging was started before in this process")]
    Started,
    #[error("logging.otlp_endpoint: {0}")]
    Endpoint(String),
}

/// Keeps logging going. Dropping it sends the last traces, which may block: drop it off the async threads.
#[must_use]
pub struct Guard {
    #[cfg(feature = "otlp")]
    _traces: Option<otlp::Traces>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

/// A process has one log, so its level has one handle.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// From now on this is the least of what is written. Without effect where logging was not started.
pub fn set_level(level: Level) {
    if let Some(Err(error)) = LEVEL.get().map(|handle| handle.reload(targets(level))) {
        tracing::warn!(%error, "the log level stays as it was");
    }
}

/// Starts logging for the whole process. With `otlp_endpoint` it must be called inside the runtime, which carries the
/// traces away.
///
/// # Errors
/// If it was started before, or the OTLP endpoint is no URL.
pub fn init(settings: &Settings) -> Result<Guard, LoggingError> {
    let terminal = stderr().is_terminal();
    let text = match settings.mode {
        Mode::Auto => terminal,
        Mode::Text => true,
        Mode::Json => false,
    };
    // https://no-color.org: set to anything but the empty string.
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (filter, level) = reload::Layer::new(targets(settings.level));
    let registry = Registry::default().with(lines(text, colour, stderr).with_filter(filter));
    #[cfg(feature = "otlp")]
    let guard = {
        let traces = otlp::Traces::to(&settings.otlp_endpoint)?;
        // No layer at all without an endpoint: an absent one would still be asked about each span.
        match &traces {
            Some(traces) => registry.with(traces.layer()).try_init(),
            None => registry.try_init(),
        }
        .map_err(|_| LoggingError::Started)?;
        Guard { _traces: traces }
    };
    #[cfg(not(feature = "otlp"))]
    let guard = {
        if !settings.otlp_endpoint.is_empty() {
            let fix = "this binary sends no traces; build it with --features otlp, or remove the key";
            return Err(LoggingError::Endpoint(fix.into()));
        }
        registry.try_init().map_err(|_| LoggingError::Started)?;
        Guard {}
    };
    let _ = LEVEL.set(level);
    Ok(guard)
}

/// What is written at this level. Libraries are held to warnings: at debug they would write requests and commands, and
/// with them tokens (SEC-G1).
fn targets(level: Level) -> Targets {
    let own = LevelFilter::from(level);
    Targets::new()
        .with_default(own.min(LevelFilter::WARN))
        // Each lost connection is several of its warnings; ours says it once.
        .with_target("fred", own.min(LevelFilter::ERROR))
        .with_target("doorward", own)
        .with_target("audit", LevelFilter::INFO)
}

fn lines<S, W>(text: bool, colour: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer();
    if text {
        Box::new(layer.with_ansi(colour).fmt_fields(escape::text_fields()).with_writer(writer))
    } else {
        let layer = layer.json().flatten_event(true).with_current_span(true).with_span_list(false);
        Box::new(layer.with_writer(escape::JsonWriter(writer)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::audit;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `doing`.
    fn written(text: bool, level: Level, doing: impl FnOnce()) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let layer = lines(text, false, move || writer.clone()).with_filter(targets(level));
        tracing::subscriber::with_default(Registry::default().with(layer), doing);
        let bytes = paper.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    // SEC-G2
    #[test]
    fn no_input_forges_a_line_or_steers_a_terminal() {
        let hostile = "x\n2026-01-01T00:00:00Z  INFO audit: forged\r\x1b[2J\u{9b}2J\u{2028}\u{202e}\0";
        for text in [true, false] {
            let log = written(text, Level::Info, || {
                tracing::info!(quoted = hostile, shown = %hostile, debugged = ?hostile, "message {hostile}");
                let span = tracing::info_span!("request", id = %hostile);
                span.in_scope(|| tracing::warn!("in it"));
            });
            assert_eq!(log.lines().count(), 2, "{log}");
            let bad = log.chars().find(|c| (c.is_control() && *c != '\n') || "\u{2028}\u{2029}\u{202e}".contains(*c));
            assert_eq!(bad, None, "{log:?}");
            for line in log.lines().filter(|_| !text) {
                let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert!(event["level"].is_string() && event["timestamp"].is_string(), "{event}");
            }
        }
    }

    #[test]
    fn a_json_line_gives_values_back_as_they_were() {
        let value = "a\u{9b}b\u{202e}c\"\\\n";
        let log = written(false, Level::Info, || tracing::info!(value, "m"));
        let event: serde_json::Value = serde_json::from_str(&log).expect("JSON");
        assert_eq!(event["value"], value);
    }

    #[test]
    fn audit_events_are_written_at_every_level_and_libraries_only_warn() {
        let log = written(false, Level::Error, || {
            audit::record(audit::Event::KeyChange, audit::About { outcome: "rotated", ..Default::default() });
            tracing::warn!("ours, below the level");
        });
        assert!(log.contains("crypt_key_change") && !log.contains("below the level"), "{log}");
        let log = written(false, Level::Trace, || {
            tracing::trace!("ours");
            tracing::info!(target: "fred", "GET token");
            tracing::debug!(target: "hyper::proto", "headers");
            tracing::warn!(target: "fred", "broadcasting");
            tracing::warn!(target: "rustls", "odd certificate");
        });
        assert!(log.contains("ours") && log.contains("odd certificate"), "{log}");
        assert!(!["GET token", "broadcasting", "headers"].iter().any(|words| log.contains(words)), "{log}");
    }
}
