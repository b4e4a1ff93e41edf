//! Computing a session again, from its archive alone: its log is not needed, nor what is stored of it.
//!
//! The archive has the frames of each stream, its records of other kinds, and what the server did to the session. From these
//! [`SessionLog`] makes log records again: of each stream the same frames and records in the same order, with the same numbers, but in
//! other batches. Within a session the result does not depend on the order between drivers (E3a); streams of one driver, where it does
//! (E2), come in the order in which they began. [`recompute`] gives these records to a new [`Partition`] with the present rules.
//!
//! Whether the archive is whole shows in the ledgers: they must be those that are stored ([`Recomputed::complete`]).

pub(crate) mod closing;
mod error;
mod session_log;
mod stream;

use std::collections::BTreeMap;

use boxbox_schemas::results::{Ledger, SessionInfo, Step};
use boxbox_schemas::{LogId, SessionId, TenantId};
use boxbox_store::Archive;

pub use self::error::{Reached, RecomputeError};
pub use self::session_log::SessionLog;
use crate::partition::Partition;

/// A session as the present rules compute it.
#[derive(Debug)]
pub struct Recomputed {
    /// Everything of the session, as one step. Its checkpoint means nothing.
    pub step: Step,
}

/// Compute `session` again with the present rules, from its archive. `reached` says how far each stream is to be read, so that records
/// which the stored results do not have yet are left out; a stream that it does not name is not read.
pub async fn recompute(archive: &dyn Archive, tenant: TenantId, session: SessionId, reached: &Reached) -> Result<Recomputed, RecomputeError> {
    let mut log = SessionLog::open(archive, tenant, session, reached).await?;
    // Every session is of partition 0 of 1.
    let mut partition = Partition::restore(LogId(String::new()), 0, 1, Default::default())?;
    let mut offset = 0;
    while let Some(record) = log.next().await? {
        partition.process(offset, &record);
        offset += 1;
    }
    let step = partition.step().ok_or(RecomputeError::Nothing)?;
    Ok(Recomputed { step })
}

impl Recomputed {
    /// Check that nothing was missing: the session is open or closed as it is `stored`, and each of its streams has the stored account.
    /// The error says what is not.
    pub fn complete(&self, info: &SessionInfo, stored: &[Ledger]) -> Result<(), String> {
        let life = |info: &SessionInfo| (info.closed, info.retired);
        if self.step.sessions.first().map(life) != Some(life(info)) {
            return Err("the archive does not have all that was done to the session: that it was closed, opened again or retired".to_owned());
        }
        let ours: BTreeMap<_, _> = self.step.streams.iter().map(|s| (s.ledger.stream, &s.ledger)).collect();
        for theirs in stored {
            let (driver, run) = (theirs.stream.driver, theirs.stream.run);
            let nothing = Ledger::new(theirs.stream);
            let ours = ours.get(&theirs.stream).copied().unwrap_or(&nothing);
            if account(ours) != account(theirs) {
                return Err(format!(
                    "driver {driver} run {run}: {} of {} sequence numbers and {} of {} frames are in the archive",
                    ours.admitted + ours.gap + ours.voided(),
                    theirs.admitted + theirs.gap + theirs.voided(),
                    ours.car_frames,
                    theirs.car_frames
                ));
            }
        }
        let known = |stream| stored.iter().any(|ledger| ledger.stream == stream);
        match self.step.streams.iter().find(|s| !known(s.ledger.stream)) {
            Some(other) => Err(format!("driver {} has a stream that the results do not have", other.ledger.stream.driver)),
            None => Ok(()),
        }
    }
}

/// What a ledger says of the sequence numbers below its end. How often some came again, or too early, is not in the archive.
fn account(ledger: &Ledger) -> Ledger {
    let mut account = Ledger { duplicate: 0, early: 0, ..ledger.clone() };
    account.void.sort();
    account
}
