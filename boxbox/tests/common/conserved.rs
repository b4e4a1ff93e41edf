//! What a node counts adds up: every record that an edge received, and every sequence number that a processor read, has gone somewhere.

use std::collections::BTreeMap;

use boxbox_testkit::wait::block_until;

use super::Server;

/// Where a record can be that an edge received: `boxbox_edge_records_received_total` is the sum of these.
pub const RECORDS: [&str; 7] = [
    "records_acked_total",
    "records_void_total",
    "records_refused_total",
    "records_abandoned_total",
    "records_failed_total",
    "records_waiting",
    "in_flight_records",
];

/// Where a sequence number can be that a processor read: `boxbox_processor_numbers_total` is the sum of these.
pub const NUMBERS: [&str; 9] = ["frames", "descriptions", "gaps", "voids", "duplicates", "early", "parked", "retired", "unopened"];

/// What a scrape says: the sum of each metric over all values of its labels.
pub fn sums(scrape: &str) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        if let Some((series, value)) = line.rsplit_once(' ') {
            *sums.entry(series.split('{').next().unwrap_or(series)).or_default() += value.parse().unwrap_or(0.0);
        }
    }
    sums
}

/// What does not add up in a scrape, with the figures; empty if all does. A node without a service does not have the service's metrics.
pub fn off_balance(scrape: &str) -> Vec<String> {
    let of = sums(scrape);
    let edge = ("boxbox_edge_records_received_total".to_owned(), RECORDS.map(|part| format!("boxbox_edge_{part}")).to_vec());
    let processor = ("boxbox_processor_numbers_total".to_owned(), NUMBERS.map(|part| format!("boxbox_processor_{part}_total")).to_vec());
    let off = |(total, parts): (String, Vec<String>)| {
        let received = *of.get(&*total)?;
        let parts: Vec<(&str, f64)> = parts.iter().map(|part| (&**part, *of.get(&**part).unwrap_or_else(|| panic!("no metric {part}")))).collect();
        (received != parts.iter().map(|(_, value)| value).sum::<f64>()).then(|| format!("{total} is {received}, and {parts:?}"))
    };
    [edge, processor].into_iter().filter_map(off).collect()
}

/// Records that were acked and that a processor never read.
pub fn lost(scrape: &str) -> f64 {
    let of = sums(scrape);
    ["holes", "removed_unprocessed"].iter().filter_map(|what| of.get(&*format!("boxbox_processor_{what}_total"))).sum()
}

impl Server {
    /// Waits until all that this node counts adds up; panics if it never does, or if anything acked is lost.
    pub fn conserves(&self) {
        block_until("all that this node counts adds up", || {
            let (status, scrape) = self.ask("/metrics", None);
            assert_eq!(lost(&scrape), 0.0, "acked and lost");
            let off = off_balance(&scrape);
            off.iter().for_each(|off| eprintln!("not yet: {off}"));
            status == 200 && off.is_empty()
        });
    }
}
