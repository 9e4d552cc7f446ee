//! Traces over OTLP/gRPC: our own spans, sent in batches from a thread of their own.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::{Level, LoggingError, targets};

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
            .build()
            .map_err(|error| LoggingError::Endpoint(error.to_string()))?;
        let resource = Resource::builder().with_service_name("doorward").build();
        Ok(Some(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
    }

    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.tracer("doorward");
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(targets(Level::Info))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
