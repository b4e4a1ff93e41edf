//! The metrics of a processor. Where the sequence numbers of its records went adds up exactly between two steps:
//!
//! ```text
//! numbers = frames + descriptions + gaps + voids + duplicates + early + parked + retired + unopened
//! ```

use boxbox_race::stream::PARTS;
use boxbox_schemas::event::{Closing, Judging, Reject};

use crate::counts::{Counts, OF};

/// Why a record was quarantined.
const QUARANTINED: [&str; 12] =
    ["stamp", "stamp_version", "length", "truncated", "crc", "version", "sequence", "misplaced", "tenant", "panic", "closed", "judged"];
/// The bounds of a driver.
const BOUNDS: [&str; 7] = ["sessions", "runs", "laps", "rows", "meta", "kept", "work"];

boxbox_schemas::metrics! {
    /// The metrics of a processor, over all partitions.
    pub struct ProcessorMetrics("boxbox_processor") {
        /// Log records processed.
        records: counter,
        /// Sequence numbers of the records processed, as far as these could be read.
        numbers: counter,
        /// Frames admitted: of clients' own cars, slow data of those cars, of cars that clients see.
        frames: counter by "of" of OF,
        /// Descriptions of sessions, events and ends of streams admitted.
        descriptions: counter,
        /// Sequence numbers that had come before and were dropped.
        duplicates: counter,
        /// Sequence numbers dropped because earlier ones had not come yet; they come again.
        early: counter,
        /// Sequence numbers acked by an edge and never seen in the log. It must stay 0.
        holes: counter,
        /// Sequence numbers refused by edges, by reason.
        voids: counter by "reason" of Reject::NAMES,
        /// Sequence numbers dropped by clients whose spools were full.
        gaps: counter,
        /// Records that could not be processed and were kept for a person, by reason.
        quarantined: counter by "reason" of QUARANTINED,
        /// Sequence numbers of streams whose race logic had panicked: they are counted and archived, but make no laps.
        halted: counter,
        /// Times that a part of the race logic was switched off until the next lap because it panicked or its state grew too long, by part;
        /// laps continue. It must stay 0.
        parts_off: counter by "part" of PARTS,
        /// Sequence numbers that came after their session was closed on purpose: admitted, but without effect on results.
        late: counter,
        /// Sequence numbers dropped because their session was retired.
        retired: counter,
        /// Sequence numbers dropped because their driver may open no more sessions or runs.
        unopened: counter,
        /// Sequence numbers skipped because their session is parked: it would take more memory than all sessions may.
        parked: counter,
        /// Claims to a car that another driver's stream claims too.
        disputed: counter,
        /// Sessions closed, opened again or retired, by how.
        closings: counter by "how" of Closing::NAMES,
        /// Drivers or runs that a person excluded from sessions, or reinstated.
        judged: counter by "what" of Judging::NAMES,
        /// Sessions that are open.
        open_sessions: gauge,
        /// Sessions in memory, open or closed a short while ago.
        sessions_in_memory: gauge,
        /// Bytes that the sessions in memory take, about.
        session_bytes: gauge,
        /// Most bytes that the sessions in memory may take, about.
        session_bytes_limit: gauge,
        /// Sessions that came back from the results store, because a record or a closing needed them.
        sessions_loaded: counter,
        /// Sessions that left memory; they are in the results store.
        sessions_left: counter,
        /// Sessions that are parked. It must stay 0.
        parked_sessions: gauge,
        /// Closings that could not be written to the log yet; they are tried again.
        closing_retries: counter,
        /// Records that the log had removed before they were processed, of results and of archive. It must stay 0.
        removed_unprocessed: counter,
        /// What was refused because a driver exceeded a bound, by bound; `work`: streams that make no more laps because they caused too much work.
        refused: counter by "bound" of BOUNDS,
        /// Work of the race logic beyond that of the frames: facts and rows looked at or changed.
        work: counter,
        /// Laps chosen, including revised ones.
        laps: counter,
        /// Laps withdrawn by a rewind.
        withdrawn: counter,
        /// Rows of other kinds (incident steps, pit visits, flags) added, changed or superseded.
        rows: counter,
        /// Steps committed to the results store.
        commits: counter,
        /// Seconds to commit a step, retries included.
        commit_seconds: histogram,
        /// Seconds from the receipt at the edge of the record that completes or changes a lap until the lap can be read in the API, by the clocks
        /// of the edge and of this machine. What is older than an hour (a log that is processed again) is left out.
        freshness_seconds: histogram,
        /// Attempts that the log or the results store did not answer.
        retries: counter,
        /// Durable records whose results are not committed yet.
        lag_records: gauge,
        /// Age of the oldest record whose results are not committed yet, by the clocks of its edge and this machine: the highest of all
        /// partitions, s.
        lag_seconds: gauge,
        /// Partitions that have stopped for good and wait for a person.
        stopped_partitions: gauge,
        /// Partitions that this process works on.
        partitions: gauge,
        /// Live processors that share the store, including this one; 0 if the store serves one processor only.
        members: gauge,
        /// Writes refused because another processor had taken the partition over.
        fenced: counter,
        /// Frames archived.
        archive_frames: counter,
        /// Blocks archived.
        archive_blocks: counter,
        /// Seconds to archive a block, retries included.
        archive_seconds: histogram,
        /// Attempts of the archive pump that the log or the archive did not answer.
        archive_retries: counter,
        /// Times that the archive pump opened a reader of its own, because it did not keep up with the laps.
        archive_readers: counter,
        /// Frames that the archive removed because they were too old or too many.
        archive_removed: counter,
        /// Laps copied to the table for analyses over seasons, including revised ones.
        exported_laps: counter,
        /// Durable records whose frames are not archived yet.
        archive_lag_records: gauge,
        /// Age of the oldest record whose frames are not archived yet, as far as records are read: the highest of all partitions, s.
        archive_lag_seconds: gauge,
    }
}

impl ProcessorMetrics {
    pub(crate) fn count(&self, counts: Counts) {
        self.records.increment(counts.records);
        self.numbers.increment(counts.numbers);
        for (of, n) in OF.into_iter().zip([counts.car_frames, counts.slow_frames, counts.other_frames]) {
            self.frames.with(of).increment(n);
        }
        self.descriptions.increment(counts.descriptions);
        self.retired.increment(counts.retired);
        self.unopened.increment(counts.unopened);
        self.duplicates.increment(counts.duplicates);
        self.early.increment(counts.early);
        self.holes.increment(counts.holes);
        self.gaps.increment(counts.gaps);
        self.halted.increment(counts.halted);
        self.late.increment(counts.late);
        self.parked.increment(counts.parked);
        self.disputed.increment(counts.disputed);
        for (what, n) in counts.judged {
            self.judged.with(what).increment(n);
        }
        for (how, n) in counts.closings {
            self.closings.with(how).increment(n);
        }
        self.laps.increment(counts.laps);
        self.withdrawn.increment(counts.withdrawn);
        self.rows.increment(counts.rows);
        for (part, n) in counts.parts {
            self.parts_off.with(part).increment(n);
        }
        self.work.increment(counts.work);
        for (bound, n) in counts.refused {
            self.refused.with(bound).increment(n);
        }
        for (reason, n) in counts.voids {
            self.voids.with(reason).increment(n);
        }
        for (reason, n) in counts.quarantined {
            self.quarantined.with(reason).increment(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::record::RecordError;

    use super::*;

    #[test]
    fn every_value_of_a_label_is_declared() {
        assert!(RecordError::NAMES.iter().all(|name| QUARANTINED.contains(name)));
        assert!((0..100).all(|code| Closing::NAMES.contains(&Closing(code).name()) && Judging::NAMES.contains(&Judging(code).name())));
    }

    /// Every count ends in its own metric, with its own value.
    #[test]
    fn counts_become_metrics() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let text = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            ProcessorMetrics::new().count(Counts {
                records: 1,
                numbers: 100,
                car_frames: 2,
                slow_frames: 22,
                other_frames: 23,
                descriptions: 24,
                retired: 25,
                unopened: 26,
                crossings: vec![],
                traced: vec![],
                duplicates: 3,
                early: 4,
                holes: 5,
                voids: vec![("range", 6), ("not_finite", 7)],
                gaps: 8,
                halted: 9,
                late: 15,
                parked: 19,
                disputed: 17,
                closings: vec![("silence", 16)],
                judged: vec![("excluded", 21)],
                parts: vec![("pits", 18)],
                quarantined: vec![("crc", 10), ("panic", 11)],
                work: 21,
                refused: vec![("laps", 19), ("runs", 20)],
                laps: 12,
                withdrawn: 13,
                rows: 14,
            });
        });
        let text = text.render();
        for line in [
            "records_total 1",
            "numbers_total 100",
            "frames_total{of=\"own\"} 2",
            "frames_total{of=\"slow\"} 22",
            "frames_total{of=\"others\"} 23",
            "descriptions_total 24",
            "retired_total 25",
            "unopened_total 26",
            "duplicates_total 3",
            "early_total 4",
            "holes_total 5",
            "voids_total{reason=\"range\"} 6",
            "voids_total{reason=\"not_finite\"} 7",
            "gaps_total 8",
            "halted_total 9",
            "late_total 15",
            "parked_total 19",
            "parts_off_total{part=\"pits\"} 18",
            "disputed_total 17",
            "closings_total{how=\"silence\"} 16",
            "judged_total{what=\"excluded\"} 21",
            "quarantined_total{reason=\"crc\"} 10",
            "quarantined_total{reason=\"panic\"} 11",
            "refused_total{bound=\"laps\"} 19",
            "refused_total{bound=\"runs\"} 20",
            "work_total 21",
            "laps_total 12",
            "withdrawn_total 13",
            "rows_total 14",
        ] {
            assert!(text.contains(&format!("boxbox_processor_{line}\n")), "no {line:?} in\n{text}");
        }
    }
}
