//! Spans of the records of streams that are followed: see [`boxbox_schemas::trace`].

use boxbox_schemas::trace::{self, Part, Stage, Value};

use crate::counts::Traced;
use crate::time::now_us;

/// Records that wait for their step to be committed, and when they were processed, Unix µs.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Traced, i64)>);

impl Waiting {
    /// These records were processed.
    pub(super) fn add(&mut self, records: Vec<Traced>) {
        // Without any the clock is not read.
        if !records.is_empty() {
            let now_us = now_us();
            self.0.extend(records.into_iter().map(|record| (record, now_us)));
        }
    }

    /// They are committed: the commit of their step, with so many laps, began then.
    pub(super) fn committed(self, began_us: i64, partition: u32, laps: usize) {
        let Some(tracer) = trace::tracer().filter(|_| !self.0.is_empty()) else { return };
        let end_us = now_us();
        let attributes = || vec![("boxbox.partition", Value::Number(partition.into())), ("boxbox.step_laps", Value::Number(laps as u64))];
        for (Traced { stream, first, next }, start_us) in &self.0 {
            let part = Part { stream, first: *first, next: *next, start_us: *start_us, end_us };
            tracer.record(Stage::Processor, &part, false, attributes);
            tracer.record(Stage::Store, &Part { start_us: began_us, ..part }, false, Vec::new);
        }
    }
}
