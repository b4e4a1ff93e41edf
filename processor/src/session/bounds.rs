//! What a driver may make a session keep and work (`limit.runs`, `limit.meta`, `limit.kept`, `limit.work`), and how people are told: what is
//! refused is counted by bound, in the metrics and in the session ([`Limited`]); everything else goes on.

use boxbox_schemas::limits::{DRIVER_META_MAX_BYTES, DRIVER_RUNS_PER_SESSION, RUN_BYTES};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::Limited;
use boxbox_schemas::{DriverId, RunId};

use super::Session;
use super::stream::{Stream, StreamId, described_bytes};
use crate::account::Charged;
use crate::counts::Counts;

impl Session {
    /// The driver begins one more run; the error names the bound that does not allow it.
    pub(super) fn may_begin(&self, driver: DriverId, account: &mut Charged<'_>) -> Result<(), &'static str> {
        if self.of_driver(driver).count() >= DRIVER_RUNS_PER_SESSION {
            return Err("runs");
        }
        if account.room() < RUN_BYTES {
            return Err("kept");
        }
        account.keep(RUN_BYTES);
        Ok(())
    }

    /// The stream describes the session; the error names the bound that does not allow it.
    pub(super) fn may_describe(&self, id: StreamId, meta: &SessionMeta, account: &mut Charged<'_>) -> Result<(), &'static str> {
        // A stream that was halted because of its work may not go on to cause some.
        if self.streams.get(&id).is_some_and(Stream::halted) && !account.may_work() {
            return Err("work");
        }
        let bytes = described_bytes(meta);
        let before = self.streams.get(&id).map_or(0, Stream::described_bytes);
        let all: usize = self.of_driver(id.0).map(|(_, stream)| stream.described_bytes()).sum();
        if all - before + bytes > DRIVER_META_MAX_BYTES {
            return Err("meta");
        }
        let more = bytes.saturating_sub(before) as u64;
        if account.room() < more {
            return Err("kept");
        }
        account.keep(more);
        Ok(())
    }

    /// The streams of a driver, at most [`DRIVER_RUNS_PER_SESSION`].
    pub(super) fn of_driver(&self, driver: DriverId) -> impl Iterator<Item = (&StreamId, &Stream)> {
        self.streams.range((driver, RunId([0; 16]))..=(driver, RunId([0xff; 16])))
    }

    /// Count what `bound` refused of a driver, and tell it in the session.
    pub(crate) fn refuse(&mut self, driver: DriverId, bound: &'static str, refused: u64, counts: &mut Counts) {
        counts.refused(bound, refused);
        let limited = &mut self.info.limited;
        match limited.binary_search_by_key(&(driver, bound), |known| (known.driver, known.bound.as_str())) {
            Ok(place) => limited[place].refused = limited[place].refused.saturating_add(refused),
            Err(place) => {
                tracing::warn!(session = %self.info.id, %driver, bound, "a driver exceeds a bound: what is beyond it is refused and counted");
                limited.insert(place, Limited { driver, bound: bound.to_owned(), refused });
                self.description_changed = true;
            }
        }
    }

    /// The stream's driver has caused more work than any race does: the stream makes no more laps (`limit.work`).
    pub(super) fn halt_overworked(&mut self, id: StreamId, counts: &mut Counts) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.halt();
        }
        self.refuse(id.0, "work", 1, counts);
    }
}
