//! How a race ends beyond its limits, and when each client is told of it.

/// What happens beyond the limits of a race, and after its flag.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Ending {
    /// The winner drives this many laps more than the limit says: a green-white-chequered finish, overtime.
    pub extra_laps: u32,
    /// The race is stopped at this session time, µs, before a limit is reached; no car crosses the line after it.
    pub stopped_us: Option<i64>,
    /// After the flag each car drives on for this part of a lap; 0: three seconds.
    pub cool_down_laps: f64,
}

/// How the clients of one car are told that the race has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The session state follows the winner's crossing (or the stop) by this, µs; negative: it is early. `None`: the simulator tells
    /// no state at all.
    pub state_lag_us: Option<i64>,
    /// The same of the chequered flag; `None`: it is never shown.
    pub flag_lag_us: Option<i64>,
}

impl Default for Told {
    fn default() -> Self {
        Self { state_lag_us: Some(0), flag_lag_us: Some(0) }
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};

    use super::super::{Action, Distance, Race, Spec, Stay, TICK_HZ, What, tick_us};
    use super::*;

    fn spec() -> Spec {
        Spec { cars: 4, distance: Distance::Laps(3), ..Spec::calm(5) }
    }

    fn frames(race: &Race, car: usize) -> Vec<CarFrame> {
        race.script(car, TICK_HZ).filter_map(|a| if let Action::Frame(f) = a { Some(f) } else { None }).collect()
    }

    fn first(frames: &[CarFrame], holds: impl Fn(&CarFrame) -> bool) -> Option<i64> {
        frames.iter().find(|f| holds(f)).map(|f| f.sim_time_us)
    }

    #[test]
    fn each_client_is_told_of_the_end_after_its_own_delay() {
        let told = |state_lag_us, flag_lag_us| Told { state_lag_us, flag_lag_us };
        let told = vec![told(Some(900_000), Some(-5_000_000)), told(Some(-400_000), None), told(None, Some(2_000_000))];
        let race = Race::new(&Spec { ending: Ending { cool_down_laps: 1.0, ..Ending::default() }, told: told.clone(), ..spec() });
        let end_us = race.truth().chequered_us.unwrap();
        for (car, told) in told.iter().enumerate() {
            let shown = frames(&race, car);
            let tick = i64::from(1_000_000 / TICK_HZ) + 1;
            let state = first(&shown, |f| f.session_state >= SessionState::CHECKERED);
            let flag = first(&shown, |f| f.flags.has(Flags::CHECKERED));
            for (seen, lag) in [(state, told.state_lag_us), (flag, told.flag_lag_us)] {
                assert_eq!(seen.is_some(), lag.is_some(), "car {car}");
                assert!(seen.zip(lag).is_none_or(|(seen, lag)| (0..=tick).contains(&(seen - end_us - lag))), "car {car}: {seen:?} {lag:?}");
            }
            assert_eq!(shown[0].has(Presence::SESSION_STATE), told.state_lag_us.is_some());
        }
    }

    #[test]
    fn of_two_limits_the_earlier_one_ends_the_race_and_overtime_is_later_than_the_limit() {
        let end_us =
            |distance, extra_laps| Race::new(&Spec { distance, ending: Ending { extra_laps, ..Ending::default() }, ..spec() }).truth().chequered_us;
        let (laps, time_us) = (3, 50_000_000);
        let by_laps = end_us(Distance::Laps(laps), 0);
        assert_eq!(end_us(Distance::Both { laps, time_us: 900_000_000 }, 0), by_laps);
        assert_eq!(end_us(Distance::Both { laps: 9, time_us }, 0), end_us(Distance::Time(time_us), 0));
        assert_eq!(end_us(Distance::Laps(2), 1), by_laps);
    }

    #[test]
    fn no_car_passes_the_line_after_the_race_is_stopped() {
        let stopped_us = 60_000_000;
        let race = Race::new(&Spec { ending: Ending { stopped_us: Some(stopped_us), ..Ending::default() }, distance: Distance::Laps(30), ..spec() });
        let truth = race.truth();
        assert!(truth.cars.iter().all(|c| c.passed.iter().all(|p| p.at_us < stopped_us)) && truth.classification.iter().all(|c| !c.finished));
        assert!(frames(&race, 0).iter().any(|f| f.flags.has(Flags::RED)));
    }

    #[test]
    fn a_lost_tick_moves_session_time_and_nothing_else() {
        let slips = (2..=3).fold(spec(), |spec, lap| spec.with(1, lap, 0.5, What::LostTick));
        let (calm, slipped) = (Race::new(&spec()), Race::new(&slips));
        let (calm, slipped) = (frames(&calm, 1), frames(&slipped, 1));
        let shown = |f: &CarFrame, us: i64| CarFrame { sim_time_us: us, ..*f };
        for (a, b) in calm.iter().zip(&slipped) {
            assert_eq!(shown(a, 0), shown(b, 0));
        }
        let skips = slipped.windows(2).filter(|w| w[1].sim_time_us - w[0].sim_time_us > tick_us(2) - 2).count();
        assert_eq!((skips, calm.last().map(|f| f.sim_time_us + tick_us(2))), (2, slipped.last().map(|f| f.sim_time_us)));
    }

    #[test]
    fn drivers_take_turns_and_who_stays_beside_the_car_shows_no_car() {
        let race = Race::new(&spec().with(0, 1, 0.0, What::Swap).with(0, 2, 0.0, What::Swap));
        let drivers: Vec<usize> = race.script(0, TICK_HZ).filter_map(|a| if let Action::Driver(n) = a { Some(n) } else { None }).collect();
        assert_eq!(drivers, [1, 0]);
        let (all, of_second): (Vec<_>, Vec<_>) = (frames(&race, 0), race.beside(0, 1, TICK_HZ).collect());
        assert!(of_second.iter().all(|f| f.track_loc == TrackLoc::NOT_IN_WORLD && !f.bits.has(CarBits::ON_TRACK) && !f.has(Presence::LAP_PCT)));
        let both: usize = of_second.len() + race.beside(0, 0, TICK_HZ).count();
        assert!(both.abs_diff(all.len()) <= 1, "{both} {}", all.len());
    }

    #[test]
    fn a_car_is_where_its_reset_or_its_cut_puts_it_and_the_line_counts_once() {
        let race = Race::new(&spec().with(0, 2, 0.6, What::ActiveReset { back_m: 300.0 }).with(1, 2, 0.6, What::Cut { by_m: 50.0 }));
        let truth = race.truth();
        for (car, moved_m) in [(0, -300.0), (1, 50.0)] {
            let jump = truth.cars[car].jumps_us[0];
            let at = |us: i64| race.cars()[car].progress_m(us);
            assert!((at(jump + 1) - at(jump - 1) - moved_m).abs() < 0.1, "{} {}", at(jump + 1), at(jump - 1));
            assert!(truth.cars[car].passed.windows(2).all(|w| w[0].at_us < w[1].at_us && w[0].driven));
        }
    }

    #[test]
    fn how_long_each_car_was_there_is_in_the_truth() {
        let race = Race::new(
            &Spec { cars: 6, ..spec() }
                .with(0, 2, 0.5, What::Retire)
                .with(1, 1, 0.5, What::Park)
                .with(2, 2, 0.5, What::Vanish)
                .with(3, 1, 0.0, What::NeverStarts)
                .with(4, 1, 0.0, What::PitStart { from_us: 10_000_000, leaves_us: 14_000_000 })
                .with(5, 2, 0.5, What::ClientLost),
        );
        let truth = race.truth();
        let stays: Vec<Stay> = truth.cars.iter().map(|c| c.stay).collect();
        assert!(matches!(stays[0], Stay::Stopped { .. }) && matches!(stays[1], Stay::Parked { .. }) && matches!(stays[2], Stay::Vanished { .. }));
        assert!(stays[3] == Stay::Never && truth.cars[3].passed.is_empty());
        assert!(matches!(stays[4], Stay::ToTheEnd { from_us: 10_000_000, .. }));
        assert!(matches!(stays[5], Stay::ToTheEnd { until_us, .. } if truth.cars[5].client_us.is_some_and(|(_, until)| until < until_us)));
        assert!(frames(&race, 3).iter().all(|f| f.track_loc == TrackLoc::NOT_IN_WORLD));
        assert!(race.field(0, 4).all(|f| f.slot != 3));
    }
}
