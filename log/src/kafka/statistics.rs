//! What librdkafka says of a producer, as metrics: how much waits, how fast brokers answer, what failed.

use std::collections::HashMap;

use parking_lot::Mutex;
use rdkafka::Statistics;
use rdkafka::statistics::Broker;

boxbox_schemas::metrics! {
    /// The producers of a Kafka log.
    pub struct KafkaMetrics("boxbox_kafka") {
        /// Records in the producer's queue: waiting, or sent and not answered.
        queued_records: gauge,
        /// Bytes in the producer's queue.
        queued_bytes: gauge,
        /// Round trip to the slowest broker in the last 5 s: the 99th percentile, s.
        rtt_seconds: gauge,
        /// Longest time in the last 5 s for which a broker asked the producer to wait, s.
        throttle_seconds: gauge,
        /// Brokers that the producer knows: connected, without a connection though it tries, and those that it did not need yet.
        brokers: gauge by "state" of ["up", "down", "idle"],
        /// Requests that the producer sent again.
        retries: counter,
        /// Requests of the producer that failed: could not be sent, were answered with an error, or not answered in time.
        errors: counter by "kind" of ["send", "receive", "timeout"],
        /// Connections to brokers that ended.
        disconnects: counter,
    }
}

/// Follows the statistics of one producer; the next producer has another one of these.
pub(super) struct Watched {
    metrics: KafkaMetrics,
    /// What is counted already.
    before: Mutex<Totals>,
}

/// What a producer has counted since it was made, over all brokers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Totals {
    retries: u64,
    send: u64,
    receive: u64,
    timeout: u64,
    disconnects: u64,
}

impl Watched {
    pub(super) fn new(metrics: KafkaMetrics) -> Self {
        Self { metrics, before: Mutex::default() }
    }

    /// Statistics have come.
    pub(super) fn take(&self, now: &Statistics) {
        let m = &self.metrics;
        m.queued_records.set(now.msg_cnt as f64);
        m.queued_bytes.set(now.msg_size as f64);
        let windows = |of: fn(&Broker) -> Option<i64>| now.brokers.values().filter_map(of).max().unwrap_or(0).max(0) as f64;
        m.rtt_seconds.set(windows(|broker| broker.rtt.as_ref().map(|rtt| rtt.p99)) / 1e6);
        m.throttle_seconds.set(windows(|broker| broker.throttle.as_ref().map(|throttle| throttle.max)) / 1e3);
        for (state, brokers) in by_state(&now.brokers) {
            m.brokers.with(state).set(brokers as f64);
        }
        let totals = Totals::of(&now.brokers);
        let before = std::mem::replace(&mut *self.before.lock(), totals);
        m.retries.increment(totals.retries.saturating_sub(before.retries));
        m.errors.with("send").increment(totals.send.saturating_sub(before.send));
        m.errors.with("receive").increment(totals.receive.saturating_sub(before.receive));
        m.errors.with("timeout").increment(totals.timeout.saturating_sub(before.timeout));
        m.disconnects.increment(totals.disconnects.saturating_sub(before.disconnects));
    }
}

impl Totals {
    fn of(brokers: &HashMap<String, Broker>) -> Self {
        brokers.values().fold(Self::default(), |sum, broker| Self {
            retries: sum.retries.saturating_add(broker.txretries),
            send: sum.send.saturating_add(broker.txerrs),
            receive: sum.receive.saturating_add(broker.rxerrs),
            timeout: sum.timeout.saturating_add(broker.req_timeouts),
            disconnects: sum.disconnects.saturating_add(broker.disconnects.unwrap_or(0).max(0) as u64),
        })
    }
}

/// How many brokers are in which state. Addresses that were only asked which brokers there are have no number, and do not count.
fn by_state(brokers: &HashMap<String, Broker>) -> [(&'static str, usize); 3] {
    let states = brokers.values().filter(|broker| broker.nodeid >= 0).map(|broker| match broker.state.as_str() {
        "UP" => "up",
        "INIT" => "idle",
        _ => "down",
    });
    let states: Vec<_> = states.collect();
    ["up", "down", "idle"].map(|state| (state, states.iter().filter(|other| **other == state).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(nodeid: i32, state: &str, counts: u64) -> Broker {
        let window = |p99| rdkafka::statistics::Window { p99, max: 20, ..Default::default() };
        Broker {
            nodeid,
            state: state.into(),
            txretries: counts,
            txerrs: counts * 2,
            rxerrs: counts * 3,
            req_timeouts: counts * 4,
            disconnects: Some(counts as i64),
            rtt: Some(window(nodeid.into())),
            throttle: Some(window(0)),
            ..Default::default()
        }
    }

    #[test]
    fn what_all_brokers_count_is_added_once() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let text = recorder.handle();
        boxbox_schemas::metrics::facade::with_local_recorder(&recorder, || {
            let watched = Watched::new(KafkaMetrics::new());
            for counts in [1, 1, 5] {
                let brokers = [broker(-1, "UP", 0), broker(7, "UP", counts), broker(9_000, "DOWN", counts), broker(3, "INIT", 0)];
                let brokers = brokers.into_iter().enumerate().map(|(n, broker)| (n.to_string(), broker)).collect();
                watched.take(&Statistics { msg_cnt: 4, msg_size: 400, brokers, ..Default::default() });
            }
        });
        let text = text.render();
        for line in [
            "queued_records 4",
            "queued_bytes 400",
            "rtt_seconds 0.009",
            "throttle_seconds 0.02",
            "brokers{state=\"up\"} 1",
            "brokers{state=\"down\"} 1",
            "brokers{state=\"idle\"} 1",
            "retries_total 10",
            "errors_total{kind=\"send\"} 20",
            "errors_total{kind=\"receive\"} 30",
            "errors_total{kind=\"timeout\"} 40",
            "disconnects_total 10",
        ] {
            assert!(text.contains(&format!("boxbox_kafka_{line}\n")), "no {line:?} in\n{text}");
        }
    }
}
