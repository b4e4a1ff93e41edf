//! The recordings of BOXBOX_TESTDATA as logs: .ibt files as `replay` sends them, CSV files frame by frame, and the race of 28
//! cars that drive a lap chart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use boxbox_schemas::event::{Closing, EndReason, EventCode};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::stamp::{LogRecord, closed};
use boxbox_schemas::{DriverId, RunId, Sim, Source};
use boxbox_sources::iracing::{IbtFile, Item, ReplayOptions};
use boxbox_sources::synth::{Action, ChartCar, Circuit, Race};
use boxbox_testkit::recording;
use boxbox_testkit::recordings::PHILLIP_ISLAND;

use crate::csv;
use crate::records::{Input, Sender, Timed, by_time, received_us, tenant};

/// Frames of a record: half a second.
const FRAMES_A_RECORD: u16 = 30;
/// Records of a step: some seconds.
const RECORDS_A_STEP: usize = 20;
/// The folder of recordings that were made after public reports of faults.
const CASES: &str = "cases";
/// How files of one case end that belong to different drivers of one session, or follow each other.
const PARTS: [&str; 5] = ["_alpha", "_beta", "_gamma", "_part1", "_part2"];

/// A recording, or several of one session.
pub struct Recorded {
    pub name: String,
    what: What,
}

enum What {
    /// Files with their drivers.
    Ibt(Vec<(PathBuf, &'static str)>),
    Csv(&'static str, SessionMeta),
    Chart(PathBuf),
}

/// The recordings that are here; of those that are not it is said as NOT RUN. The second list: one line of results is enough.
pub fn found(test: &'static str) -> (Vec<Recorded>, Vec<Recorded>) {
    let mut found = vec![];
    let mut add = |name: &str, file: &'static str, what: &dyn Fn(PathBuf) -> What| {
        let path = recording(test, file);
        found.extend(path.map(|path| Recorded { name: name.into(), what: what(path) }));
    };
    let ibt = |path| What::Ibt(vec![(path, "driver-1")]);
    add("phillip-island-ibt", PHILLIP_ISLAND, &ibt);
    let (phillip, sebring, ring) =
        ("phillipisland_f4_race_60hz_DEV_laps0-5.csv.gz", "sebring_gt4_practice_reset_60hz.csv.gz", "redbullring_gt4_offtrack_60hz.csv.gz");
    add("phillip-island-csv", phillip, &|_| What::Csv(phillip, csv::phillip_island()));
    add("sebring", sebring, &|_| What::Csv(sebring, csv::meta(5_793.0, &[0.0, 0.3, 0.6], "Practice")));
    add("red-bull-ring", ring, &|_| What::Csv(ring, csv::meta(4_280.0, &[0.0, 0.3, 0.6], "Practice")));
    add("monza", "monza_f3_race_lapchart_28cars.csv", &What::Chart);
    let cases = recording(test, CASES).map(|folder| cases(&folder)).unwrap_or_default();
    (found, cases)
}

fn cases(folder: &Path) -> Vec<Recorded> {
    let mut files: BTreeMap<String, Vec<(PathBuf, &'static str)>> = BTreeMap::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(name) = name.strip_suffix(".ibt.gz") else { continue };
        let part = PARTS.into_iter().find(|part| name.ends_with(part));
        let driver = part.filter(|part| !part.starts_with("_part")).map_or("alpha", |part| &part[1..]);
        files.entry(name.strip_suffix(part.unwrap_or("")).unwrap_or(name).into()).or_default().push((path, driver));
    }
    files.into_iter().map(|(name, files)| Recorded::of_files(&name, files)).collect()
}

impl Recorded {
    /// These .ibt files, each of the driver beside it, sent one after the other.
    pub fn of_files(name: &str, files: Vec<(PathBuf, &'static str)>) -> Self {
        Self { name: name.into(), what: What::Ibt(files) }
    }

    /// Its log.
    pub fn input(&self) -> Input {
        self.input_closed(false)
    }

    /// Its log; with `close_between`, the session is closed by silence before each file but the first.
    pub fn input_closed(&self, close_between: bool) -> Input {
        let clients = match &self.what {
            What::Ibt(files) => files.iter().enumerate().flat_map(|(n, (path, driver))| self.ibt(n, path, driver)).collect(),
            What::Csv(file, meta) => vec![self.csv(&csv::recording("frozen", file).unwrap(), meta)],
            What::Chart(path) => self.chart(path),
        };
        let records = match self.what {
            // One file after the other, as people send them.
            What::Ibt(_) => self.one_by_one(clients, close_between),
            _ => by_time(&clients),
        };
        Input { name: self.name.clone(), records: records.into_iter().map(|(_, record)| record).collect(), every: RECORDS_A_STEP, cuts: vec![] }
    }

    fn one_by_one(&self, clients: Vec<Vec<Timed>>, close_between: bool) -> Vec<Timed> {
        let mut all: Vec<Timed> = vec![];
        for client in clients {
            if let (true, Some((us, last))) = (close_between, all.last()) {
                let source = LogRecord::parse(last.clone()).unwrap().record.prelude().source;
                all.push((*us, closed(tenant(&self.name), source, Closing::SILENCE, received_us(*us))));
            }
            all.extend(client);
        }
        all
    }

    fn sender(&self, driver: &str, source: Source, slot: u16) -> Sender {
        Sender::new(tenant(&self.name), DriverId::new(driver).unwrap(), source, slot, FRAMES_A_RECORD)
    }

    /// File `n` of the recording; each stretch of a session is another run.
    fn ibt(&self, n: usize, path: &Path, driver: &str) -> Vec<Vec<Timed>> {
        let file = IbtFile::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (mut done, mut open) = (vec![], None::<Sender>);
        for item in file.replay(ReplayOptions::default()).unwrap() {
            match (item.unwrap_or_else(|e| panic!("{}: {e}", path.display())), &mut open) {
                (Item::Session { source, slot, meta }, before) => {
                    if let Some(mut before) = before.take() {
                        before.end(EndReason::SESSION_CHANGED);
                        done.push(before.sent());
                    }
                    let sender = before.insert(self.sender(driver, source, slot));
                    sender.begin(RunId([16 * n as u8 + done.len() as u8 + 1; 16]), 0);
                    sender.meta(&meta);
                }
                (Item::Car(frame), Some(sender)) => sender.frame(Kind::CAR, Some(frame.tick), frame.sim_time_us, &archive(&frame)),
                (Item::Slow(frame), Some(sender)) => sender.frame(Kind::SLOW, None, frame.sim_time_us, &archive(&frame)),
                (Item::Rewind { tick, sim_time_us }, Some(sender)) => sender.event(EventCode::REWIND, tick, sim_time_us),
                (item, None) => panic!("{}: {item:?} before any session", path.display()),
            }
        }
        if let Some(mut last) = open {
            last.end(EndReason::FINISHED);
            done.push(last.sent());
        }
        done
    }

    fn csv(&self, frames: &[CarFrame], meta: &SessionMeta) -> Vec<Timed> {
        let mut sender = self.sender("driver-1", Source { sim: Sim::IRACING, id: 4_711, session_num: 0 }, 0);
        sender.begin(RunId([1; 16]), 0);
        sender.meta(meta);
        frames.iter().for_each(|frame| sender.frame(Kind::CAR, Some(frame.tick), frame.sim_time_us, &archive(frame)));
        sender.end(EndReason::FINISHED);
        sender.sent()
    }

    /// Each car crosses the line when the chart says.
    fn chart(&self, path: &Path) -> Vec<Vec<Timed>> {
        const GREEN_US: i64 = 129_650_000;
        const LENGTH_M: f64 = 5_793.0;
        const HZ: u32 = 20;
        let mut rows: BTreeMap<u32, Vec<(i64, bool)>> = BTreeMap::new();
        for row in ::csv::Reader::from_path(path).unwrap().records().map(Result::unwrap) {
            rows.entry(row[0].parse().unwrap()).or_default().push((row[3].parse::<i64>().unwrap() * 100, row[9].contains("pitted")));
        }
        let driver = |car: u32| DriverId::new(&format!("car-{car:02}")).unwrap();
        let cars = rows.iter().map(|(car, rows)| ChartCar {
            number: car.to_string(),
            driver: driver(*car),
            crossings_us: rows.iter().map(|(us, _)| *us).collect(),
            first_lap: 1,
            pitted: rows.iter().enumerate().map(|(lap, (_, pitted))| lap > 0 && *pitted).collect(),
        });
        let race = Race::from_chart(Circuit::new("Monza", LENGTH_M, 1), Some(GREEN_US), cars.collect());
        let source = Source { sim: Sim::SYNTHETIC, id: 4_712, session_num: 0 };
        let of_car = |(index, car): (usize, &u32)| {
            let mut sender = self.sender(driver(*car).as_str(), source, index as u16);
            sender.begin(RunId([1; 16]), 0);
            for action in race.script(index, HZ) {
                match action {
                    Action::Meta(meta) => sender.meta(&meta),
                    Action::Frame(frame) => sender.frame(Kind::CAR, Some(frame.tick), frame.sim_time_us, &archive(&frame)),
                    Action::Slow(frame) => sender.frame(Kind::SLOW, None, frame.sim_time_us, &archive(&frame)),
                    Action::End(_, _, reason) => sender.end(reason),
                    other => panic!("a charted car does not {other:?}"),
                }
            }
            sender.sent()
        };
        rows.keys().enumerate().map(of_car).collect()
    }
}
