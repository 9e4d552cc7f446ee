//! Traces over OTLP/gRPC: our own spans, sent in batches from a thread of their own. Where the collector is away or hangs,
//! spans are dropped; nobody waits for it but the very end of the process, and that not for long.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::traces::TRACED;
use super::{Level, LoggingError, targets};

/// What the collector may take for one batch.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// What the last batch may take at the end: an orchestrator counts these seconds too (SEC-N2).
const END_WITHIN: Duration = Duration::from_secs(1);

/// The way to the collector.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// `None` where no endpoint is configured.
    pub(super) fn to(endpoint: &str) -> Result<Option<Self>, LoggingError> {
        if endpoint.is_empty() {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(SEND_WITHIN)
            .build()
            .map_err(|error| LoggingError::Endpoint(error.to_string()))?;
        let resource = Resource::builder().with_service_name("doorward").build();
        Ok(Some(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
    }

    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // Who logged in from where is for the audit trail, not for whoever may look at traces.
        let seen = targets(Level::Info).with_target(TRACED, LevelFilter::INFO).with_target("audit", LevelFilter::OFF);
        // Source lines and threads are no help to who reads traces of many services.
        let layer = tracing_opentelemetry::layer().with_location(false).with_threads(false).with_target(false);
        let layer = layer.with_tracked_inactivity(false);
        layer.with_tracer(self.0.tracer("doorward")).with_filter(seen)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_WITHIN) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
