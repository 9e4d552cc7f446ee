//! A check as a span, for whoever follows a request through proxy, doorward and upstream. Called by each door around the
//! decision; where no traces are sent, no span is made.

use http::HeaderMap;
use tracing::Span;
use tracing::field::Empty;

use crate::check::Decision;
use crate::fault::Fault;
use crate::gate::{Door, Link, tally};
use crate::logging::traces::{self, TRACED};

/// The span of one check, within the trace that a trusted proxy names in these headers.
pub(super) fn begin(door: Door, link: Link, headers: &HeaderMap) -> Span {
    let gate = tally::name(door);
    let span = tracing::info_span!(target: TRACED, "check", gate, decision = Empty, reason = Empty);
    if link.trusted {
        traces::join(&span, headers);
    }
    span
}

pub(super) fn end(span: &Span, decision: &Decision) {
    if let Decision::Deny(denial) = decision {
        span.record("decision", "deny").record("reason", denial.code());
    } else {
        span.record("decision", "allow");
    }
}
