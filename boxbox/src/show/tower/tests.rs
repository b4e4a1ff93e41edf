//! What the tower shows in terminals of every width: a number whole, or not at all.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

use std::collections::BTreeSet;

use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{Lap, Reasons, SessionInfo, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, ShortId, Sim, Source, TenantId};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

/// A session of cars, with the times of their laps, µs.
fn view(cars: &[(String, String, Vec<i64>)]) -> SessionView {
    let source = Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 };
    let name = |text: &str| ShortId::new(text).unwrap();
    let entries = cars.iter().enumerate().map(|(slot, (number, driver, _))| MetaEntry {
        slot: slot as u16,
        number: number.clone(),
        driver_name: driver.clone(),
        class_name: "GT3 Pro-Am".into(),
        ..Default::default()
    });
    let meta = SessionMeta {
        session_type: "Race".into(),
        track_name: "Ring".into(),
        track_length_m: 5_148.0,
        entries: entries.collect(),
        ..Default::default()
    };
    let info = SessionInfo { meta: Some(meta), ..SessionInfo::opened(TenantId(name("league")), source, 0) };
    let laps = cars.iter().enumerate().flat_map(|(slot, (_, _, times))| {
        let (session, mut start_us) = (info.id, 0);
        times.iter().enumerate().map(move |(at, time_us)| {
            let lap = Lap {
                session,
                entry: EntryId(name(&format!("car{slot}"))),
                number: at as u32 + 1,
                driver: DriverId(name(&format!("car{slot}"))),
                run: RunId([1; 16]),
                slot: slot as u16,
                timeline: 0,
                revision: 1,
                start_us,
                end_us: start_us + time_us,
                time_us: *time_us,
                sim_time_us: None,
                sectors_us: vec![time_us / 3; 3],
                loops_us: vec![],
                fuel_l: None,
                fuel_used_l: None,
                reasons: Reasons(0),
                tags: Tags(0),
                frames: 100,
                start_tick: 0,
                end_tick: 1,
                settled: true,
                superseded: false,
                spans: vec![],
            };
            start_us += time_us;
            lap
        })
    });
    let laps = laps.collect();
    let mut view = SessionView::new(info.id);
    view.replace(Some(info), Rows { laps, flags: vec![], states: vec![], pit_visits: vec![], incidents: vec![], cars: vec![] });
    view
}

/// The lines on a screen of this size.
fn screen(view: &SessionView, progress: &Progress, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let rows = view.order(None);
    terminal.draw(|frame| draw(frame, view, &rows, 0, progress, "http://127.0.0.1:7480/")).unwrap();
    let buffer = terminal.backend().buffer();
    (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>()).collect()
}

/// The words with a digit in them. Names of drivers have none here.
fn numbers(lines: &[String]) -> BTreeSet<String> {
    // The bar is no part of its label.
    let words = lines.iter().flat_map(|line| line.split(|c: char| c.is_whitespace() || ('\u{2580}'..='\u{259f}').contains(&c)));
    words.filter(|word| word.contains(|c: char| c.is_ascii_digit())).map(str::to_owned).collect()
}

fn car() -> impl Strategy<Value = (String, String, Vec<i64>)> {
    let lap = prop_oneof![20_000_000i64..150_000_000, 3_500_000_000i64..80_000_000_000];
    ("[0-9]{1,4}", "[A-Za-zäß]{1,30}", proptest::collection::vec(lap, 0..6))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_terminal_is_so_narrow_that_a_number_is_cut(
        cars in proptest::collection::vec(car(), 1..6),
        sent in 0u64..3_000_000_000,
        now_us in 0i64..200_000_000_000,
        width in 1u16..240,
    ) {
        let view = view(&cars);
        let progress = Progress { laps: 1_000, done: 0.5, now_us, frames_per_s: sent as f64 / 60.0, sent, acked: sent / 2 };
        let wide = numbers(&screen(&view, &progress, 400, 20));
        let shown = numbers(&screen(&view, &progress, width, 20));
        prop_assert!(shown.is_subset(&wide), "{:?}\n{}", shown.difference(&wide), screen(&view, &progress, width, 20).join("\n"));
    }
}

#[test]
fn what_matters_most_is_shown_longest() {
    let cars = [("7", "Anna Schmidt", vec![92_556_000, 91_001_000]), ("12", "Bob", vec![93_000_000, 92_000_000])];
    let view = view(&cars.map(|(number, name, laps)| (number.to_owned(), name.to_owned(), laps)));
    let progress = Progress { laps: 6, done: 0.4, now_us: 183_000_000, frames_per_s: 1_440.0, sent: 100_000, acked: 99_000 };
    let shows = |width, text: &str| screen(&view, &progress, width, 12).iter().any(|line| line.contains(text));
    for (text, from) in
        [("#12", 10), ("Anna Schmidt", 30), ("+1.443", 45), ("1:31.001", 60), ("gap", 60), ("sector 1", 130), ("lap 3/6", 10), ("q leaves", 10)]
    {
        assert!(shows(from, text), "{text} in {from} columns:\n{}", screen(&view, &progress, from, 12).join("\n"));
    }
    assert!(screen(&view, &progress, 2, 12).iter().any(|line| line.contains("ma")), "says what to do");
}
