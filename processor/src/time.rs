//! [`Time`]: the time of day, as far as it can be believed. Nothing else decides what is deleted or retired by its age.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boxbox_store::Daily;

/// What age may remove of an archive within a day at least, millionths.
const SHARE_LEAST_PPM: u32 = 50_000;
/// What it may remove of an archive that is filled evenly, in parts of what becomes too old in a day.
const SHARE_OF_A_DAY: f64 = 1.5;

/// The time of day, and whether a clock has jumped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Believed {
    /// The time now, Unix µs. After a jump it goes on as if the clock had not been set.
    pub now_us: i64,
    /// The clock has jumped, and no person has said yet that it is right now: nothing may be deleted or retired by its age.
    pub jumped: bool,
}

/// Tells the time.
pub type Time = Arc<dyn Fn() -> Believed + Send + Sync>;

/// The clock of this machine, believed always.
pub fn of_this_machine() -> Time {
    Arc::new(|| Believed { now_us: now_us(), jumped: false })
}

/// Unix µs. Used for the status; no result depends on it.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}

/// How much of an archive may go in a day at `now_us` because it is older than `max_age`: a few percent, or somewhat more than becomes
/// too old in a day if it is filled evenly.
pub(crate) fn daily(max_age: Duration, now_us: i64) -> Daily {
    let evenly = SHARE_OF_A_DAY * 86_400.0 / max_age.as_secs_f64();
    // A float is converted to the nearest value that there is.
    Daily { share_ppm: ((evenly * 1e6) as u32).clamp(SHARE_LEAST_PPM, 1_000_000), now_us }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_percent_go_in_a_day_and_always_more_than_becomes_too_old() {
        let share = |days: u64| daily(Duration::from_secs(days * 86_400), 0).share_ppm;
        assert_eq!(share(30), 50_000);
        assert_eq!(share(365), 50_000);
        assert_eq!((share(1), share(0)), (1_000_000, 1_000_000));
        for days in 1..400 {
            assert!(u64::from(share(days)) * days >= 1_000_000, "{days} days: the archive would grow for ever");
        }
    }
}
