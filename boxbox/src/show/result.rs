//! A race as text: each lap next to its true time, the result, and whether the computed laps and places are those that were driven.

use std::collections::BTreeMap;
use std::fmt;

use boxbox_race::timing::{Classified, competitor};
use boxbox_schemas::EntryId;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::Lap;
use boxbox_sources::synth::{Race, Truth};

use crate::show::columns;
use crate::show::report::lap_time;
use crate::show::tower::behind;

/// Most difference of a computed lap time from the truth, µs. Interpolation at 60 Hz is within 14 µs on a straight (`lap.crossing`);
/// here laps also end in the pit lane and just after a car has stood.
const BOUND_US: i64 = 500;

/// The line of a lap: car, lap, time, truth, difference, sectors, notes.
pub fn lap(lap: &Lap, truth: &Truth, race: &Race) -> String {
    let car = race.cars().iter().find(|c| c.entry() == lap.entry);
    let exact = true_lap(truth, lap);
    let number = car.map_or("?", |c| c.number.as_str());
    let class = car.map_or("", |c| c.class.name.as_str());
    let sectors = lap.sectors_us.iter().map(|us| crate::show::report::seconds(*us)).collect::<Vec<_>>().join("  ");
    let exact = exact.map_or_else(|| ("-".into(), "-".into()), |us| (lap_time(us), format!("{:+.3}", (lap.time_us - us) as f64 / 1e3)));
    let notes = lap.reasons.names().into_iter().chain(lap.tags.names());
    let mut notes: Vec<String> = notes.map(|n| n.replace('_', " ")).collect();
    notes.dedup();
    let row = format!(
        "{number:>4} {:>4}  {:>9}  {:>9}  {:>7} ms  {class:<5} {sectors:<24} {}",
        lap.number,
        lap.timed_us().map_or_else(|| "-".into(), lap_time),
        exact.0,
        exact.1,
        notes.join(", ")
    );
    row.trim_end().to_owned()
}

fn true_lap(truth: &Truth, lap: &Lap) -> Option<i64> {
    let car = truth.cars.iter().find(|c| c.entry == lap.entry)?;
    car.laps.iter().find(|l| l.number == lap.number && l.timed).map(|l| l.time_us())
}

/// The columns of the result: how soon each is left out in a narrow terminal (highest first), its least width, and whether it is aligned
/// to the right.
const COLUMNS: [(u8, usize, bool); 8] =
    [(0, 5, true), (6, 5, false), (7, 5, true), (1, 4, true), (2, 20, false), (5, 4, true), (3, 9, true), (4, 9, true)];

/// The result as a table, in a terminal of `width` columns; `None`: as wide as it is.
pub fn table(classified: &[Classified], meta: Option<&SessionMeta>, width: Option<usize>) -> Vec<String> {
    let mut rows = vec![["place", "class", "place", "car", "driver", "laps", "gap", "best"].map(str::to_owned)];
    for c in classified {
        let entry = competitor(meta, c.slot);
        let gap = match (c.position, c.finished) {
            (1, _) => c.total_us.map(lap_time).unwrap_or_default(),
            (_, false) => c.status.name().replace('_', " "),
            _ => behind(c.laps_down, c.gap_us),
        };
        let class = entry.map_or("", |e| e.class_name.as_str());
        let (number, driver) = entry.map_or(("", ""), |e| (e.number.as_str(), e.driver_name.as_str()));
        let best = c.best_lap_us.map(lap_time).unwrap_or_default();
        let (class, number, driver) = (class.to_owned(), number.to_owned(), driver.to_owned());
        rows.push([c.position.to_string(), class, c.class_position.to_string(), number, driver, c.laps.to_string(), gap, best]);
    }
    columns::table(&rows, &COLUMNS, 2, width)
}

/// The computed laps and places compared with those that were driven.
pub struct Verdict {
    laps: usize,
    right: usize,
    invented: usize,
    worst_us: i64,
    places: usize,
    places_right: usize,
}

impl Verdict {
    /// Compare `laps` and `classified` with the truth.
    pub fn of(truth: &Truth, laps: &[Lap], classified: &[Classified]) -> Self {
        let computed: BTreeMap<(EntryId, u32), &Lap> = laps.iter().filter(|l| l.timed_us().is_some()).map(|l| ((l.entry, l.number), l)).collect();
        let driven: Vec<((EntryId, u32), i64)> =
            truth.cars.iter().flat_map(|car| car.laps.iter().filter(|l| l.timed).map(|l| ((car.entry, l.number), l.time_us()))).collect();
        let off: Vec<i64> = driven.iter().filter_map(|(key, us)| computed.get(key).map(|lap| (lap.time_us - us).abs())).collect();
        let places_right = truth.classification.iter().zip(classified).filter(|(a, b)| (a.entry, a.laps) == (b.entry, b.laps)).count();
        Self {
            laps: driven.len(),
            right: off.iter().filter(|us| **us <= BOUND_US).count(),
            invented: computed.len().saturating_sub(off.len()),
            worst_us: off.iter().copied().max().unwrap_or(0),
            places: truth.classification.len(),
            places_right,
        }
    }

    /// An error if a lap or a place is not as it was driven.
    pub fn check(&self) -> anyhow::Result<()> {
        let right = self.right == self.laps && self.invented == 0 && self.places_right == self.places;
        anyhow::ensure!(right, "the computed result is not what was driven: {self}");
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { laps, right, invented, worst_us, places, places_right } = self;
        write!(f, "{right} of {laps} laps as driven, the worst {:.3} ms off; {places_right} of {places} places as driven", *worst_us as f64 / 1e3)?;
        if *invented > 0 {
            write!(f, "; {invented} laps that no car drove")?;
        }
        Ok(())
    }
}
