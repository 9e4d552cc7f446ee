//! Every counter and histogram by name. Takes plain labels and knows no room; labels are bounded (SEC-G4).

pub mod by_thread;

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::metrics::by_thread::{Counters, Histograms};

/// All metrics of one process. Made once in `app`, shared by reference.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub cache_entries: IntGauge,
    pub revocation_staleness: Gauge,
    pub state_up: IntGauge,
    pub state_op_duration: HistogramVec,
    pub login_attempts: IntCounterVec,
    pub refresh: IntCounterVec,
    pub sessions_revoked: IntCounterVec,
    pub everyone_revoked: IntCounter,
    pub rate_limited: IntCounterVec,
    pub key_info: GaugeVec,
    pub store_clock_skew: Gauge,
}

/// From 25 µs, with an edge at 10 ms, the usual promise of an authorization hop.
const CHECK_BUCKETS: [f64; 12] =
    [25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 250e-3];
const STATE_BUCKETS: [f64; 10] = [100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 100e-3, 500e-3];

impl Metrics {
    pub fn new() -> Self {
        Self::build().expect("every metric has its own name and is registered once")
    }

    fn build() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(format!("doorward_{name}"), help), labels)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let opts = HistogramOpts::new(format!("doorward_{name}"), help).buckets(buckets.to_vec());
            let made = HistogramVec::new(opts, labels)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let plain_counter = |name: &str, help: &str| {
            let made = IntCounter::new(format!("doorward_{name}"), help)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let gauge = |name: &str, help: &str| {
            let made = Gauge::new(format!("doorward_{name}"), help)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let int_gauge = |name: &str, help: &str| {
            let made = IntGauge::new(format!("doorward_{name}"), help)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        let labelled = |name: &str, help: &str, labels: &[&str]| {
            let made = GaugeVec::new(Opts::new(format!("doorward_{name}"), help), labels)?;
            registry.register(Box::new(made.clone()))?;
            prometheus::Result::Ok(made)
        };
        labelled("build_info", "Always 1; the labels say what runs.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            cache_entries: int_gauge("cache_entries", "Identities in the cache.")?,
            revocation_staleness: gauge(
                "revocation_staleness_seconds",
                "Time since the revocation log was last read to its end.",
            )?,
            state_up: int_gauge("state_up", "1 while the token store answers.")?,
            state_op_duration: histogram(
                "state_op_duration_seconds",
                "Calls of the token store, by operation.",
                &["op"],
                &STATE_BUCKETS,
            )?,
            login_attempts: counter(
                "login_attempts_total",
                "Attempts to sign in, by method and result.",
                &["method", "result"],
            )?,
            refresh: counter(
                "refresh_total",
                "Refreshes: rotated, repeated, caught_up, reused, lost, invalid or unavailable.",
                &["result"],
            )?,
            sessions_revoked: counter(
                "sessions_revoked_total",
                "Sessions ended before their time, by cause.",
                &["cause"],
            )?,
            everyone_revoked: plain_counter(
                "everyone_revoked_total",
                "Times that everyone's sessions were ended at once; they are not counted one by one.",
            )?,
            rate_limited: counter("rate_limited_total", "Requests refused by a limit.", &["limit"])?,
            key_info: labelled("key_info", "Always 1; our signing keys and their states.", &["kid", "state"])?,
            store_clock_skew: gauge("store_clock_skew_seconds", "How far the token store's clock is ahead of ours.")?,
            registry,
        })
    }

    /// Counts checks, a series for each of these: door, decision (allow or deny), reason (ok or why not). To be called once.
    pub fn check_requests(&self, series: &[&[&str]]) -> Counters {
        let help = "Checks answered, by door, decision (allow or deny) and reason (ok or why not).";
        let made = Counters::new("doorward_check_requests_total", help, &["gate", "decision", "reason"], series);
        self.registered(made)
    }

    /// Times checks, a series for each door. To be called once.
    pub fn check_duration(&self, doors: &[&[&str]]) -> Histograms {
        let help = "From the request head to the decision.";
        let made = Histograms::new("doorward_check_duration_seconds", help, &["gate"], doors, &CHECK_BUCKETS);
        self.registered(made)
    }

    /// Counts look-ups of the identity cache, a series for each result. To be called once.
    pub fn cache_requests(&self, results: &[&[&str]]) -> Counters {
        let help = "Look-ups of the identity cache: hit, miss, stale (asked the store again) or outage (answered while the store was away).";
        self.registered(Counters::new("doorward_cache_requests_total", help, &["result"], results))
    }

    fn registered<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let made = made.expect("its name and labels are good ones");
        self.registry.register(Box::new(made.clone())).expect("every metric is registered once");
        made
    }

    /// Shows the ring's keys and no others; called again after each change of the ring.
    pub fn show_keys<'a>(&self, keys: impl Iterator<Item = (&'a str, &'a str)>) {
        self.key_info.reset();
        for (kid, state) in keys {
            self.key_info.with_label_values(&[kid, state]).set(1.0);
        }
    }

    /// The histogram of one store operation: resolved once, not at each call.
    pub fn state_op(&self, op: &str) -> Histogram {
        self.state_op_duration.with_label_values(&[op])
    }

    pub fn observe_staleness(&self, staleness: Duration) {
        self.revocation_staleness.set(staleness.as_secs_f64());
    }

    /// The text exposition format of Prometheus.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
