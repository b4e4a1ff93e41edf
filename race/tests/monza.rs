//! A race of 28 cars driven by iRacing's own lap chart: every timed lap within 1 ms, and the charted order from lap 1 on.
//!
//! The chart gives the start of lap 1 as the car's row of lap 0: the light for the first car, and one millisecond more for
//! each place after it, which is an artefact. Our lap 1 begins at the light (`start.green`), so its end is compared, and its time
//! without that offset.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::collections::BTreeMap;

use boxbox_race::timing::{Moment, order};
use boxbox_schemas::DriverId;
use boxbox_schemas::TenantId;
use boxbox_schemas::results::Lap;
use boxbox_sources::synth::{Action, ChartCar, Circuit, Race};
use boxbox_testkit::frames::source;
use common::Rig;

const CHART: &str = "monza_f3_race_lapchart_28cars.csv";
const LENGTH_M: f64 = 5_793.0;
/// The light: the chart's first row.
const GREEN_US: i64 = 129_650_000;

/// A row of the chart.
#[derive(Clone, Copy, Debug)]
struct Row {
    at_us: i64,
    /// -1: no time.
    time_us: i64,
    position: usize,
    pitted: bool,
}

/// Rows by car, in order of laps from 0; `None` without the folder of recordings.
fn chart() -> Option<BTreeMap<u32, Vec<Row>>> {
    let text = std::fs::read_to_string(boxbox_testkit::recording("monza", CHART)?).unwrap();
    let mut cars: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
    for row in ::csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap) {
        let number = |column: usize| row[column].parse::<i64>().unwrap();
        let of = cars.entry(number(0) as u32).or_default();
        assert_eq!(of.len() as i64, number(2), "laps of a car are rows in order");
        let time_us = if number(4) < 0 { -1 } else { number(4) * 100 };
        of.push(Row { at_us: number(3) * 100, time_us, position: number(5) as usize, pitted: row[9].contains("pitted") });
    }
    Some(cars)
}

fn driver(car: u32) -> DriverId {
    DriverId::new(&format!("car-{car:02}")).unwrap()
}

#[test]
fn monza_laps_and_order_are_those_of_the_chart() {
    let Some(chart) = chart() else { return };
    assert_eq!((chart.len(), chart.values().map(Vec::len).sum::<usize>()), (28, 417));
    let cars = chart.iter().map(|(car, rows)| ChartCar {
        number: car.to_string(),
        driver: driver(*car),
        crossings_us: rows.iter().map(|r| r.at_us).collect(),
        first_lap: 1,
        // Lap 0 is not a lap; its pit columns are from before the race.
        pitted: rows.iter().enumerate().map(|(lap, row)| lap > 0 && row.pitted).collect(),
    });
    let race = Race::from_chart(Circuit::new("Monza", LENGTH_M, 1), Some(GREEN_US), cars.collect());
    let mut laps: Vec<Lap> = vec![];
    for (index, car) in chart.keys().enumerate() {
        let mut rig = Rig::new(&race.meta(index));
        (rig.ctx.driver, rig.ctx.slot) = (driver(*car), index as u16);
        race.script(index, 20).for_each(|action| {
            if let Action::Frame(frame) = action {
                rig.frame(&frame)
            }
        });
        rig.end();
        laps.extend(rig.laps());
    }

    let (mut timed, mut worst_us) = (0, 0);
    for (car, rows) in &chart {
        for (number, row) in rows.iter().enumerate().skip(1) {
            let lap = laps.iter().find(|l| l.driver == driver(*car) && l.number as usize == number);
            let Some(lap) = lap.filter(|l| l.timed_us().is_some()) else {
                // It joins after the light, and a race's first lap is timed from the light only.
                assert!(number == 1 && rows[0].at_us > GREEN_US + 1_000_000, "car {car} has no lap {number}");
                continue;
            };
            worst_us = worst_us.max((lap.end_us - row.at_us).abs());
            if row.time_us >= 0 {
                let late_us = if number == 1 { rows[0].at_us - GREEN_US } else { 0 };
                let off_us = (lap.time_us - late_us - row.time_us).abs();
                assert!(off_us <= 1_000, "car {car}, lap {number}: {} µs, not {}", lap.time_us - late_us, row.time_us);
                timed += 1;
            }
        }
    }
    println!("{timed} timed laps, every line within {worst_us} µs of the chart");
    assert!(worst_us <= 1_000 && timed >= 378, "{timed} laps, {worst_us} µs");

    let tenant = TenantId::new("t").unwrap();
    let session =
        boxbox_schemas::results::SessionInfo { meta: Some(race.meta(0)), ..boxbox_schemas::results::SessionInfo::opened(tenant, source(1), 0) };
    let last = chart.values().map(Vec::len).max().unwrap();
    for number in 1..last {
        // Only laps up to this one: the order contains the cars that have completed it.
        let recent: Vec<Lap> = laps.iter().filter(|l| l.number as usize <= number).cloned().collect();
        let standings =
            order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &recent, bests: &recent, cars: &[], pit_visits: &[] });
        let ours: Vec<DriverId> = standings.iter().filter(|s| s.laps as usize == number).map(|s| s.driver).collect();
        let mut theirs: Vec<(usize, u32)> = chart.iter().filter_map(|(car, rows)| Some((rows.get(number)?.position, *car))).collect();
        theirs.sort_unstable();
        theirs.retain(|(_, car)| laps.iter().any(|l| l.driver == driver(*car) && l.number as usize == number));
        assert_eq!(ours, theirs.iter().map(|(_, car)| driver(*car)).collect::<Vec<_>>(), "lap {number}");
    }
}
