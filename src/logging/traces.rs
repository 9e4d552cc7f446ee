//! Spans that only traces show, and the callers' traces that they belong to (W3C Trace Context). Called by `gate` and `web`;
//! without the feature `otlp` all of it comes to nothing.

use http::HeaderMap;
use tracing::Span;

/// The target of spans that no log line shows: where no traces are sent they are never made.
pub const TRACED: &str = "traced";

/// Makes the span a part of the trace that these headers name. Only for a caller whose word counts: anyone else could put
/// spans into a stranger's trace, or have all of theirs kept. To be called before the span is entered.
pub fn join(span: &Span, headers: &HeaderMap) {
    #[cfg(feature = "otlp")]
    if !span.is_disabled() && headers.contains_key(parent::TRACEPARENT) {
        parent::join(span, headers);
    }
    #[cfg(not(feature = "otlp"))]
    let _ = (span, headers);
}

/// Adds to the trace what the log has elsewhere.
pub fn note_status(span: &Span, status: u16) {
    #[cfg(feature = "otlp")]
    if !span.is_disabled() {
        use tracing_opentelemetry::OpenTelemetrySpanExt;
        span.set_attribute("http.response.status_code", i64::from(status));
    }
    #[cfg(not(feature = "otlp"))]
    let _ = (span, status);
}

#[cfg(feature = "otlp")]
mod parent {
    use http::HeaderMap;
    use opentelemetry::propagation::{Extractor, TextMapPropagator};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    /// The one header of a trace that is read.
    pub(super) const TRACEPARENT: &str = "traceparent";

    /// A `traceparent` that is malformed names no trace.
    pub(super) fn join(span: &Span, headers: &HeaderMap) {
        let parent = TraceContextPropagator::new().extract(&Given(headers));
        if let Err(error) = span.set_parent(parent) {
            tracing::debug!(%error, "a span did not join its trace");
        }
    }

    /// `traceparent`, where it was given once and once only. `tracestate` is for vendors, and longer than what it is good for.
    struct Given<'a>(&'a HeaderMap);

    impl Extractor for Given<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            let mut values = self.0.get_all(TRACEPARENT).iter();
            let one = values.next().filter(|_| values.next().is_none() && name == TRACEPARENT);
            one.and_then(|value| value.to_str().ok())
        }

        fn keys(&self) -> Vec<&str> {
            vec![TRACEPARENT]
        }
    }
}
