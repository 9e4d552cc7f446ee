//! Counters and histograms of the warm path: each thread counts for itself, and a scrape adds up. A count for all threads
//! is a cache line that every core takes from the others at each check; of those a check would write five.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use thread_local::ThreadLocal;

/// So many numbers a thread.
#[derive(Debug)]
struct Numbers {
    threads: ThreadLocal<Box<[AtomicU64]>>,
    count: usize,
}

impl Numbers {
    fn new(count: usize) -> Self {
        Self { threads: ThreadLocal::new(), count }
    }

    fn add(&self, index: usize, by: u64) {
        let own = self.threads.get_or(|| std::iter::repeat_with(AtomicU64::default).take(self.count).collect());
        // Nobody else writes here, so it need not be one step.
        own[index].store(own[index].load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    fn sums(&self) -> Vec<u64> {
        let mut sums = vec![0_u64; self.count];
        for thread in self.threads.iter() {
            for (sum, number) in sums.iter_mut().zip(thread) {
                *sum = sum.wrapping_add(number.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

/// What a metric is called, and the labels of each of its series.
#[derive(Debug)]
struct Family {
    desc: Desc,
    series: Vec<Vec<LabelPair>>,
}

impl Family {
    fn new(name: &str, help: &str, labels: &[&str], series: &[&[&str]]) -> prometheus::Result<Self> {
        let names = labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new())?;
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        // In the order of the names, as Prometheus writes all others.
        let pairs = |values: &&[&str]| {
            let mut pairs: Vec<_> = labels.iter().zip(*values).map(pair).collect();
            pairs.sort();
            pairs
        };
        Ok(Self { desc, series: series.iter().map(pairs).collect() })
    }

    fn collect(&self, kind: MetricType, value: impl Fn(usize, &mut Metric)) -> Vec<MetricFamily> {
        let metrics = self.series.iter().enumerate().map(|(index, labels)| {
            let mut metric = Metric::from_label(labels.clone());
            value(index, &mut metric);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(kind);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

/// Counters of one name. A series is known by its place in the list that it was made of.
#[derive(Clone, Debug)]
pub struct Counters(Arc<(Family, Numbers)>);

impl Counters {
    pub(super) fn new(name: &str, help: &str, labels: &[&str], series: &[&[&str]]) -> prometheus::Result<Self> {
        Ok(Self(Arc::new((Family::new(name, help, labels, series)?, Numbers::new(series.len())))))
    }

    pub fn inc(&self, series: usize) {
        self.0.1.add(series, 1);
    }
}

impl Collector for Counters {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sums = self.0.1.sums();
        self.0.0.collect(MetricType::COUNTER, |index, metric| {
            let mut counter = Counter::default();
            counter.set_value(sums[index] as f64);
            metric.set_counter(counter);
        })
    }
}

/// Histograms of one name: for each series its buckets, one for what is longer than all of them, and the sum in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histograms(Arc<(Family, Numbers, Box<[Duration]>)>);

impl Histograms {
    pub(super) fn new(
        name: &str,
        help: &str,
        labels: &[&str],
        series: &[&[&str]],
        bounds: &[f64],
    ) -> prometheus::Result<Self> {
        let numbers = Numbers::new(series.len() * (bounds.len() + 2));
        let bounds = bounds.iter().copied().map(Duration::from_secs_f64).collect();
        Ok(Self(Arc::new((Family::new(name, help, labels, series)?, numbers, bounds))))
    }

    pub fn observe(&self, series: usize, took: Duration) {
        let (_, numbers, bounds) = &*self.0;
        let first = series * (bounds.len() + 2);
        // From the shortest: nearly all are there.
        let bucket = bounds.iter().position(|bound| took <= *bound).unwrap_or(bounds.len());
        numbers.add(first + bucket, 1);
        numbers.add(first + bounds.len() + 1, took.as_nanos() as u64);
    }
}

impl Collector for Histograms {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (family, numbers, bounds) = &*self.0;
        let sums = numbers.sums();
        family.collect(MetricType::HISTOGRAM, |index, metric| {
            let own = &sums[index * (bounds.len() + 2)..][..bounds.len() + 2];
            let mut so_far = 0;
            let buckets = bounds.iter().zip(own).map(|(bound, count)| {
                so_far += count;
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound.as_secs_f64());
                bucket.set_cumulative_count(so_far);
                bucket
            });
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(so_far + own[bounds.len()]);
            histogram.set_sample_sum(Duration::from_nanos(own[bounds.len() + 1]).as_secs_f64());
            metric.set_histogram(histogram);
        })
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn what_threads_counted_each_by_itself_is_told_as_one() {
        let registry = Registry::new();
        let counters = Counters::new("n", "N.", &["b", "a"], &[&["x", "1"], &["y", "2"]]).expect("a name");
        let histograms = Histograms::new("t", "T.", &["a"], &[&["1"]], &[0.5, 1.0]).expect("a name");
        registry.register(Box::new(counters.clone())).expect("new");
        registry.register(Box::new(histograms.clone())).expect("new");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    counters.inc(1);
                    for millis in [250, 750, 5000] {
                        histograms.observe(0, Duration::from_millis(millis));
                    }
                });
            }
        });
        let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
        for line in [
            "# TYPE n counter",
            "n{a=\"1\",b=\"x\"} 0",
            "n{a=\"2\",b=\"y\"} 3",
            "t_bucket{a=\"1\",le=\"0.5\"} 3",
            "t_bucket{a=\"1\",le=\"1\"} 6",
            "t_bucket{a=\"1\",le=\"+Inf\"} 9",
            "t_sum{a=\"1\"} 18",
            "t_count{a=\"1\"} 9",
        ] {
            assert!(text.lines().any(|told| told == line), "no `{line}` in\n{text}");
        }
    }
}
