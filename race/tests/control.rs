//! Cautions, red flags, formation and penalties (`control.caution`, `control.red`, `control.formation`, `penalty.served`,
//! `flag.one-to-green`), from races and flags whose times are known.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

use boxbox_race::timing::{self, FlagSpan, Formation, Outcome, RaceControl, Ranking, Seen};
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{CarNow, Lap, PitKind, PitVisit, SessionStateChange};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId};
use boxbox_testkit::{laps, rows};
use proptest::prelude::*;

const S: i64 = 1_000_000;

fn id(n: usize) -> ShortId {
    ShortId::new(&format!("car-{n:02}")).unwrap()
}

fn span(flag: Flags, from_us: i64, until_us: Option<i64>) -> FlagSpan {
    FlagSpan { flag, entry: None, from_us, until_us }
}

fn own(n: usize, flag: Flags, from_us: i64, until_us: Option<i64>) -> FlagSpan {
    FlagSpan { entry: Some(EntryId(id(n))), ..span(flag, from_us, until_us) }
}

fn seen<'a>(spans: &'a [FlagSpan], laps: &'a [Lap], visits: &'a [PitVisit]) -> Seen<'a> {
    Seen { ranking: Ranking::Distance, spans, laps, visits, states: &[], cars: &[] }
}

/// Cars that cross the line at these times, µs, from lap 1 on.
fn race(ends: &[Vec<i64>]) -> Vec<Lap> {
    let of = |(n, ends): (usize, &Vec<i64>)| {
        let starts = std::iter::once(10 * S).chain(ends.clone());
        let of: Vec<Lap> = starts
            .zip(ends)
            .zip(1..)
            .map(|((start, end), number)| laps::lap(SessionId::default(), DriverId(id(n)), RunId([1; 16]), number, start, *end))
            .collect();
        of
    };
    ends.iter().enumerate().flat_map(of).collect()
}

fn visit(n: usize, kind: PitKind, enter_us: i64, exit_us: Option<i64>) -> PitVisit {
    PitVisit { tick: (enter_us / 1_000) as u32, exit_us, ..rows::visit(DriverId(id(n)), n as u16, kind, enter_us) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// `control.caution`: cautions that were thrown come back, each once, with the laps that the leader was in, also if the lead changes and where
    /// the flag drops out for a moment and where green comes a little after the line.
    #[test]
    fn cautions_are_those_that_were_thrown(
        times in prop::collection::vec(prop::collection::vec(50 * S..80 * S, 20), 1..6),
        thrown in prop::collection::vec((20 * S..150 * S, 30 * S..200 * S), 0..4),
        drops_out in any::<bool>(), at_the_line in any::<bool>(), still_out in any::<bool>(),
    ) {
        let ends: Vec<Vec<i64>> = times.iter().map(|t| t.iter().scan(10 * S, |at, us| { *at += us; Some(*at) }).collect()).collect();
        let first_over = |lap: usize| ends.iter().map(|e| e[lap - 1]).min().unwrap();
        let lap_at = |us: i64| (1..=20).take_while(|lap| first_over(*lap) <= us).count() as u32 + 1;
        let (mut spans, mut truth, mut at) = (vec![], vec![], 10 * S);
        for (n, (after, lasts)) in thrown.iter().enumerate() {
            let (from, mut until) = (at + after, at + after + lasts);
            let mut last_lap = lap_at(until);
            if at_the_line && lap_at(until) <= 20 {
                // Green comes up to 3 s after the leader's line: the lap that ended there is the last one.
                last_lap = lap_at(until);
                until = first_over(last_lap as usize) + 2 * S;
            } else if lap_at(until - 3 * S) != last_lap {
                last_lap = lap_at(until - 3 * S);
            }
            let open = still_out && n + 1 == thrown.len();
            if drops_out {
                spans.extend([span(Flags::CAUTION, from, Some(from + 10 * S)), span(Flags::CAUTION, from + 12 * S, (!open).then_some(until))]);
            } else {
                spans.push(span(Flags::CAUTION, from, (!open).then_some(until)));
            }
            truth.push((n as u32 + 1, from, (!open).then_some(until), lap_at(from), if open { 21 } else { last_lap }));
            at = until + 5 * S;
        }
        spans.push(span(Flags::YELLOW, 30 * S, Some(40 * S)));
        let laps = race(&ends);
        let control = timing::race_control(&seen(&spans, &laps, &[]));
        let table: Vec<_> = control.cautions.iter().map(|c| (c.number, c.from_us, c.until_us, c.first_lap, c.last_lap)).collect();
        prop_assert_eq!(&table, &truth);
        // Each lap under any caution once.
        let under: std::collections::BTreeSet<u32> = truth.iter().flat_map(|(.., first, last)| *first..=*last).collect();
        prop_assert_eq!(control.caution_laps() as usize, under.len());
        // Practice has no cautions to count.
        let practice = timing::race_control(&Seen { ranking: Ranking::BestLap, ..seen(&spans, &laps, &[]) });
        prop_assert_eq!(practice.cautions, vec![]);
    }

    /// `penalty.served`: flags of several cars, served, withdrawn, open or followed by a disqualification, come out as they were, whatever
    /// other visits there are.
    #[test]
    fn penalties_are_served_as_they_were(
        cases in prop::collection::vec((0u8..6, 20 * S..40 * S, 20 * S..60 * S, 0..3 * S, any::<bool>(), any::<bool>()), 1..12)
    ) {
        let (mut spans, mut visits, mut truth) = (vec![], vec![], vec![]);
        for (n, (what, from, after, lag, stop_before, stop_after)) in cases.into_iter().enumerate() {
            let (enter, exit) = (from + after, from + after + 25 * S);
            let kind = if what == 0 { PitKind::DRIVE_THROUGH } else { PitKind::STOP };
            let (outcome, cleared, served) = match what {
                // Cleared at the exit or a little later; or in the stall.
                0 => (Outcome::DriveThrough, Some(exit + lag), Some(enter)),
                1 => (Outcome::StopAndGo, Some(enter + 10 * S), Some(enter)),
                2 => (Outcome::Withdrawn, Some(enter - S), None),
                // A tow serves nothing, and nor does a visit that ended long before.
                3 => (Outcome::Withdrawn, Some(exit + 30 * S), None),
                4 => (Outcome::Open, None, None),
                _ => (Outcome::Disqualified, Some(exit + 40 * S), None),
            };
            spans.push(own(n, Flags::BLACK, from, cleared));
            if what == 5 {
                spans.push(own(n, Flags::DISQUALIFIED, exit + 40 * S, None));
            }
            visits.push(visit(n, if what == 3 { PitKind::TOW } else { kind }, enter, Some(exit)));
            if stop_before {
                // In the pits when the flag was shown, and out before it was cleared.
                visits.push(visit(n, PitKind::STOP, from - 10 * S, Some(from + 5 * S)));
            }
            if stop_after {
                visits.push(visit(n, PitKind::STOP, exit + 100 * S, Some(exit + 130 * S)));
            }
            truth.push((EntryId(id(n)), from, cleared, outcome, served));
        }
        truth.sort_by_key(|t| (t.1, t.0));
        let control = timing::race_control(&seen(&spans, &[], &visits));
        let table: Vec<_> = control.penalties.iter().map(|p| (p.entry, p.from_us, p.until_us, p.outcome, p.served_us)).collect();
        prop_assert_eq!(table, truth);
    }

    /// `flag.one-to-green`: the bit as iRacing sets it (before the green, all through a practice, after the finish) is told where it means
    /// something, and no other flag is touched.
    #[test]
    fn one_to_green_is_told_before_green_and_under_caution_only(
        green in 50 * S..90 * S, out in prop::collection::vec((0..1_000 * S, 1..400 * S), 0..6), cautions in prop::collection::vec((100 * S..900 * S, S..100 * S), 0..3)
    ) {
        let mut spans: Vec<FlagSpan> = out.iter().map(|(from, us)| span(Flags::ONE_TO_GREEN, *from, Some(from + us))).collect();
        spans.extend(cautions.iter().map(|(from, us)| span(Flags::CAUTION, *from, Some(from + us))));
        spans.extend([span(Flags::GREEN, green, Some(green + 30 * S)), own(1, Flags::BLUE, 70 * S, None)]);
        let told = timing::flags_out(spans.clone(), Ranking::Distance);
        let has = |spans: &[FlagSpan], us: i64| spans.iter().any(|s| s.flag == Flags::ONE_TO_GREEN && s.from_us <= us && s.until_us.is_none_or(|until| us < until));
        for us in (0..1_500 * S).step_by(7_900_000) {
            // Cautions less than 3 s apart are one.
            let caution = cautions.iter().any(|(from, lasts)| (*from..from + lasts).contains(&us));
            let near = cautions.iter().any(|(from, lasts)| (from - 3 * S..from + lasts + 3 * S).contains(&us));
            prop_assert!(has(&told, us) == (has(&spans, us) && (us < green || caution)) || near, "at {}", us);
        }
        let others = |spans: Vec<FlagSpan>| { let mut o: Vec<_> = spans.into_iter().filter(|s| s.flag != Flags::ONE_TO_GREEN).collect(); o.sort_by_key(|s| (s.from_us, s.flag.0)); o };
        prop_assert_eq!(others(told), others(spans.clone()));
        prop_assert!(timing::flags_out(spans, Ranking::BestLap).iter().all(|s| s.flag != Flags::ONE_TO_GREEN));
    }
}

/// `control.formation`: it ends with the first green.
#[test]
fn the_formation_ends_at_green() {
    let formation = |spans: &[FlagSpan]| timing::race_control(&seen(spans, &[], &[])).formation;
    let rolling = [span(Flags::START_READY, 0, Some(80 * S)), span(Flags::ONE_TO_GREEN, 0, Some(81 * S)), span(Flags::GREEN, 80 * S, None)];
    assert_eq!(formation(&rolling), Some(Formation { from_us: None, until_us: Some(80 * S) }));
    assert_eq!(formation(&rolling[..1]), Some(Formation { from_us: None, until_us: None }));
    // A client that came later saw none of it.
    assert_eq!(formation(&rolling[2..]), None);
    assert_eq!(timing::race_control(&seen(&[], &[], &[])), RaceControl::default());
}

/// The states that a client is shown from `from_us` on, and its car until `until_us`: the last state of `all` that began by then, and each
/// change after it, up to `lag_us` late.
fn client(n: usize, all: &[(i64, SessionState)], from_us: i64, lag_us: i64, until_us: i64) -> (Vec<SessionStateChange>, CarNow) {
    let joined = all.iter().rfind(|(us, _)| us + lag_us <= from_us).map(|(_, state)| (from_us, *state));
    let later = all.iter().map(|(us, state)| (us + lag_us, *state)).filter(|(us, _)| *us > from_us && *us <= until_us);
    let driver = DriverId(id(n));
    let mut before = SessionState::INVALID;
    let change = |(us, to): (i64, SessionState)| SessionStateChange {
        session: SessionId::default(),
        entry: EntryId(driver.0),
        driver,
        run: rows::car_now(driver, 0, 0).run,
        timeline: 0,
        tick: (us / 1_000) as u32,
        sim_time_us: us,
        from: std::mem::replace(&mut before, to),
        to,
        superseded: false,
        late: false,
    };
    (joined.into_iter().chain(later).map(change).collect(), rows::car_now(driver, n as u16, until_us))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// `control.formation`: it begins with the parade laps, in a start without them with the warm-up, as more than half of the clients are
    /// shown it, whoever joins when; and where no client was shown how that began, nothing is said of it.
    #[test]
    fn the_formation_begins_as_the_state_says(
        warmup in 10 * S..30 * S, parade in prop::option::of(40 * S..60 * S), clients in prop::collection::vec((0..75 * S, 0..S / 2), 1..5), is_green in any::<bool>()
    ) {
        let green = 80 * S;
        let mut all = vec![(0, SessionState::GET_IN_CAR), (warmup, SessionState::WARMUP)];
        all.extend(parade.map(|us| (us, SessionState::PARADE)));
        // The state follows the light by as much as in a real recording.
        all.push((green + 11 * S / 10, SessionState::RACING));
        let until = if is_green { green + 20 * S } else { green - S };
        let (states, cars): (Vec<_>, Vec<_>) = (0..).zip(&clients).map(|(n, (from, lag))| client(n, &all, *from, *lag, until)).unzip();
        let states = states.concat();
        let mut spans = vec![span(Flags::START_READY, 0, Some(green))];
        spans.extend(is_green.then(|| span(Flags::GREEN, green, None)));
        let formation = timing::race_control(&Seen { states: &states, cars: &cars, ..seen(&spans, &[], &[]) }).formation.unwrap();
        prop_assert_eq!(formation.until_us, is_green.then_some(green));
        // The first moment at which more than half of those that stream then are shown the state.
        let begins = parade.or(is_green.then_some(warmup));
        let shown = |us: i64| clients.iter().filter(|(from, _)| *from <= us).count();
        let told = |us: i64, of: i64| clients.iter().filter(|(from, lag)| *from <= us && of + lag <= us).count();
        let moments = |of: i64| clients.iter().map(move |(from, lag)| (*from).max(of + lag));
        let majority = begins.and_then(|of| moments(of).filter(|us| 2 * told(*us, of) > shown(*us)).min().filter(|us| *us < green));
        let changes = |of: i64| clients.iter().filter(move |(from, lag)| *from < of + lag).map(move |(_, lag)| of + lag);
        let known = begins.zip(majority).is_some_and(|(of, us)| changes(of).any(|change| change <= us));
        prop_assert_eq!(formation.from_us, majority.filter(|_| known));
    }
}

/// `control.red`: red flags are counted, in practice too.
#[test]
fn red_flags_are_counted() {
    let spans = [span(Flags::RED, 100 * S, Some(400 * S)), span(Flags::RED, 401 * S, Some(500 * S)), span(Flags::RED, 900 * S, None)];
    for ranking in [Ranking::Distance, Ranking::BestLap] {
        let control = timing::race_control(&Seen { ranking, ..seen(&spans, &[], &[]) });
        let table: Vec<_> = control.red_flags.iter().map(|r| (r.number, r.from_us / S, r.until_us.map(|us| us / S))).collect();
        assert_eq!(table, [(1, 100, Some(500)), (2, 900, None)]);
    }
}
