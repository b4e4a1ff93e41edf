//! What tests of the reader share: items, each checked as an edge would, and stories of them in a few words.

use boxbox_schemas::RunId;
use boxbox_schemas::check;
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::record::{Kind, Record, archive, seal};
use boxbox_schemas::slow::SlowFrame;
use boxbox_sources::iracing::{IbtFile, Item, ReadStats, ReplayOptions, Warning};
use boxbox_testkit::frames::{prelude, source};

use crate::writer::{Ibt, TEXT, V};

/// All items and the counts, each frame checked as an edge would.
pub(crate) fn replay(bytes: Vec<u8>, options: ReplayOptions) -> (Vec<Item>, ReadStats) {
    let file = IbtFile::from_bytes(bytes).unwrap();
    replay_file(&file, options)
}

pub(crate) fn replay_file(file: &IbtFile, options: ReplayOptions) -> (Vec<Item>, ReadStats) {
    let mut replay = file.replay(options).unwrap();
    let items: Vec<Item> = replay.by_ref().map(Result::unwrap).collect();
    items.iter().for_each(acceptable);
    let s = replay.stats().clone();
    assert_eq!(s.records, s.frames + s.decimated + s.duplicates + s.bad_clock + s.out_of_line + s.zeroed, "{s:?}");
    assert_eq!(s.frames, cars(&items).len() as u64);
    (items, s)
}

/// W7: nothing that the reader gives out is refused by an edge, and it fits into a record.
pub(crate) fn acceptable(item: &Item) {
    let (kind, payload) = match item {
        Item::Car(frame) => (Kind::CAR, archive(frame)),
        Item::Slow(frame) => (Kind::SLOW, archive(frame)),
        Item::Session { meta, .. } => (Kind::META, archive(&**meta)),
        Item::Rewind { .. } => return,
    };
    let record = Record::parse(seal(&prelude(kind, RunId([1; 16]), source(1), 0), &payload).unwrap()).unwrap();
    assert_eq!(check::record(&record), Ok(()), "{item:?}");
}

pub(crate) fn cars(items: &[Item]) -> Vec<CarFrame> {
    items.iter().filter_map(|i| if let Item::Car(f) = i { Some(*f) } else { None }).collect()
}

pub(crate) fn slows(items: &[Item]) -> Vec<SlowFrame> {
    items.iter().filter_map(|i| if let Item::Slow(f) = i { Some(*f) } else { None }).collect()
}

pub(crate) fn one(columns: &[(&str, &str, V)]) -> (CarFrame, SlowFrame, ReadStats, Vec<Warning>) {
    let names: Vec<_> = [("SessionTime", "s"), ("SessionTick", "")].into_iter().chain(columns.iter().map(|(n, u, _)| (*n, *u))).collect();
    let row = [V::F64(100.5), V::Int(6_030)].into_iter().chain(columns.iter().map(|(_, _, v)| *v)).collect();
    let file = IbtFile::from_bytes(Ibt::table(&names, &[row]).bytes()).unwrap();
    let (items, stats) = replay_file(&file, ReplayOptions::default());
    let slow = slows(&items).first().copied().unwrap_or_default();
    (cars(&items)[0], slow, stats, file.warnings().to_vec())
}

/// A clock: rows of (session, tick), time following the tick.
pub(crate) fn clocked(rows: &[(i32, i32)]) -> Vec<u8> {
    let rows: Vec<_> = rows.iter().map(|(num, tick)| vec![V::F64(f64::from(*tick) / 60.0), V::Int(*tick), V::Int(*num), V::Bits(4)]).collect();
    Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", ""), ("SessionFlags", "irsdk_Flags")], &rows).with_text(TEXT).bytes()
}

/// Items in short: session number, tick, or tick returned to.
pub(crate) fn story(items: &[Item]) -> Vec<String> {
    let describe = |item: &Item| match item {
        Item::Session { source, .. } => format!("session {}", source.session_num),
        Item::Car(f) => f.tick.to_string(),
        Item::Rewind { tick, .. } => format!("back to {tick}"),
        Item::Slow(_) => "slow".into(),
    };
    items.iter().map(describe).collect()
}

/// A replay can be moved to the thread that may wait for the disk.
const _: fn(IbtFile, boxbox_sources::iracing::Replay) = |file, replay| {
    fn sendable(_: impl Send) {}
    sendable(file);
    sendable(replay);
};
