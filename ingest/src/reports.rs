//! What clients report of themselves, for the metrics of the edge. Nothing is decided by it, because a client may say anything: what one
//! client can say is bounded, and no label has anything of it.

use std::time::{Duration, Instant};

use boxbox_schemas::limits::FIRST_BASE_MAX;
use boxbox_schemas::wire::Report;

use crate::metrics::EdgeMetrics;

/// How often clients are asked to report.
pub(crate) const REPORTS_EVERY: Duration = Duration::from_secs(10);
/// Reports that may come at once: a network that was away delivers several together.
const BURST: u32 = 16;
/// Largest spool of a client that is believed: 1 TiB.
const SPOOL_MAX_BYTES: u64 = 1 << 40;
/// Most reconnects between two reports that are believed: one each 10 ms.
const RECONNECTS_MAX: u64 = 1_000;

/// The reports of one connection.
#[derive(Debug)]
pub(crate) struct Reports {
    began: Instant,
    taken: u32,
    last: Option<Report>,
}

impl Reports {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, taken: 0, last: None }
    }

    /// Takes a report, and counts what it adds; `false` if far more come than were asked for.
    pub(crate) fn take(&mut self, report: &Report, now: Instant, metrics: &EdgeMetrics) -> bool {
        let due = now.saturating_duration_since(self.began).as_millis() / (REPORTS_EVERY / 2).as_millis();
        if u128::from(self.taken) >= due + u128::from(BURST) {
            return false;
        }
        self.taken += 1;
        let (spool_bytes, unacked) = (report.spool_bytes.min(SPOOL_MAX_BYTES), report.unacked.min(FIRST_BASE_MAX));
        let (reconnects, dropped) = (report.reconnects.min(RECONNECTS_MAX), report.dropped.min(FIRST_BASE_MAX));
        metrics.clients_reconnects.increment(reconnects);
        metrics.clients_dropped_frames.increment(dropped);
        self.last = Some(Report { spool_bytes, unacked, reconnects, dropped });
        true
    }

    /// The last one.
    pub(crate) fn last(&self) -> Option<Report> {
        self.last
    }
}

/// What the last reports of all clients say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reported {
    clients: u64,
    spool_bytes: u64,
    spool_bytes_max: u64,
    unacked: u64,
}

impl Reported {
    pub(crate) fn add(&mut self, report: Option<Report>) {
        let Some(report) = report else { return };
        self.clients += 1;
        self.spool_bytes = self.spool_bytes.saturating_add(report.spool_bytes);
        self.spool_bytes_max = self.spool_bytes_max.max(report.spool_bytes);
        self.unacked = self.unacked.saturating_add(report.unacked);
    }

    pub(crate) fn show(&self, metrics: &EdgeMetrics) {
        metrics.clients_reporting.set(self.clients as f64);
        metrics.clients_spool_bytes.set(self.spool_bytes as f64);
        metrics.clients_spool_bytes_max.set(self.spool_bytes_max as f64);
        metrics.clients_unacked_frames.set(self.unacked as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_believed_within_bounds_only() {
        let (metrics, now) = (EdgeMetrics::new(), Instant::now());
        let mut reports = Reports::new(now);
        let boast = Report { spool_bytes: u64::MAX, unacked: u64::MAX, reconnects: u64::MAX, dropped: u64::MAX };
        assert!(reports.take(&boast, now, &metrics));
        let mut all = Reported::default();
        all.add(reports.last());
        all.add(Some(Report { spool_bytes: 5, ..Report::default() }));
        all.add(None);
        assert_eq!(all, Reported { clients: 2, spool_bytes: SPOOL_MAX_BYTES + 5, spool_bytes_max: SPOOL_MAX_BYTES, unacked: FIRST_BASE_MAX });
    }

    #[test]
    fn reports_in_time_are_taken_and_a_flood_is_not() {
        let (metrics, began) = (EdgeMetrics::new(), Instant::now());
        let mut reports = Reports::new(began);
        for n in 0..1_000 {
            assert!(reports.take(&Report::default(), began + REPORTS_EVERY * n, &metrics));
        }
        let mut flood = Reports::new(began);
        let taken = (0..1_000).take_while(|_| flood.take(&Report::default(), began, &metrics)).count();
        assert_eq!(taken, BURST as usize);
    }
}
