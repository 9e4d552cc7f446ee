//! Spans that only traces show, and the callers' traces that they belong to (W3C Trace Context). Called by `gate` and `web`;
//! without the feature `otlp` all of it comes to nothing.

use http::{HeaderMap, HeaderName};
use tracing::Span;

/// The target of spans that no log line shows: where no traces are sent they are never made.
pub const TRACED: &str = "traced";

/// The one header of a trace that is read.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes the span a part of the trace that these headers name. Only for a caller whose word counts: anyone else could put
/// spans into a stranger's trace, or have all of theirs kept. To be called before the span is entered.
pub fn join(span: &Span, headers: &HeaderMap) {
    #[cfg(feature = "otlp")]
    if !span.is_disabled() && headers.contains_key(&TRACEPARENT) {
        super::otlp::join(span, headers);
    }
    #[cfg(not(feature = "otlp"))]
    let _ = (span, headers);
}

/// Adds to the trace what the log has elsewhere.
pub fn note_status(span: &Span, status: u16) {
    #[cfg(feature = "otlp")]
    if !span.is_disabled() {
        super::otlp::note(span, "http.response.status_code", i64::from(status));
    }
    #[cfg(not(feature = "otlp"))]
    let _ = (span, status);
}
