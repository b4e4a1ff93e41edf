//! What is known of a car at a past moment beside its place (`order.past`): whether it was in the pits, and who drove.

use super::pit_visits;
use boxbox_schemas::ids::DriverId;
use boxbox_schemas::results::{CarNow, Lap, PitKind, PitVisit, Tags};

/// Whether the car was in the pits at `at_us`; `None` if that is not known. `visits`: those of its entry, as each stream reports them;
/// `laps`: its laps that began by then; `car`: where it is now.
pub(super) fn in_pits(visits: &[PitVisit], laps: &[&Lap], car: Option<&CarNow>, at_us: i64) -> Option<bool> {
    let visits = pit_visits(visits);
    let Some(visit) = visits.iter().rfind(|v| v.enter_us <= at_us) else {
        // The simulator says when cars are in the pits, and this car was not.
        return (!visits.is_empty() || car.is_some_and(|c| c.in_pits.is_some())).then_some(false);
    };
    match visit.exit_us {
        Some(exit_us) => Some(at_us < exit_us),
        // The exit was not seen. A car that has begun another lap since may have left.
        None => laps.iter().all(|l| l.start_us <= visit.enter_us).then_some(true),
    }
}

/// Who drove the car at `at_us`. `laps`: the entry's laps that began by then, in order of time; `open`: driver and start of the lap that
/// the car is in now. A lap belongs to the driver who crosses the line at its end: before that driver's own client was in the stall, the
/// driver of the lap before drove (`swap.lap`).
pub(super) fn driver(visits: &[PitVisit], laps: &[&Lap], open: Option<(DriverId, i64)>, at_us: i64) -> Option<DriverId> {
    let open = open.filter(|(_, start_us)| *start_us <= at_us && laps.last().is_none_or(|l| l.end_us <= *start_us));
    let last = laps.last();
    let (driver, start_us, swapped) = match (open, last) {
        (Some((driver, start_us)), last) => (driver, start_us, last.is_some_and(|l| l.driver != driver)),
        (None, Some(lap)) => (lap.driver, lap.start_us, lap.tags.has(Tags::DRIVER_SWAP) || before(laps).is_some_and(|b| b.driver != lap.driver)),
        (None, None) => return None,
    };
    let before = if open.is_some() { last.copied() } else { before(laps) };
    let took_over = || visits.iter().filter(|v| v.kind == PitKind::START && !v.field && v.driver == driver && v.enter_us >= start_us);
    let not_yet = swapped && took_over().map(|v| v.enter_us).min().is_some_and(|us| at_us < us);
    Some(before.filter(|_| not_yet).map_or(driver, |lap| lap.driver))
}

/// The lap before the last one.
fn before<'a>(laps: &[&'a Lap]) -> Option<&'a Lap> {
    laps.len().checked_sub(2).map(|i| laps[i])
}
