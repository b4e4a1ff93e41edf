//! Visits to the pits and stints.

use crate::asked::case;

#[test]
fn a_stop_over_a_driver_swap_is_one_visit() {
    for name in ["s5_swap_before_line", "s5_swap_after_line"] {
        let (alpha, beta) = (format!("{name}_alpha"), format!("{name}_beta"));
        let Some(asked) = case("swap_stop", &[(&alpha, "alpha"), (&beta, "beta")]) else { return };
        let visits = asked.visits();
        assert_eq!(visits.len(), 1, "{name}: {visits:#?}");
        let near = |what: &str, s: f64| {
            let us = visits[0][what].as_i64().unwrap_or_else(|| panic!("{name}: no {what}: {visits:#?}"));
            assert!((us as f64 / 1e6 - s).abs() <= 0.05, "{name}: {what} is {us} us, not {s} s");
        };
        near("lane_us", 77.78);
        near("stationary_us", 60.0);
        assert_eq!(asked.stints().len(), 2, "{name}: {:#?}", asked.stints());
        let fuel = &visits[0]["fuel_added_l"];
        assert!(fuel.is_null() || (fuel.as_f64().unwrap() - 45.5).abs() <= 1.5, "{name}: fuel added: {fuel}");
    }
}

#[test]
fn a_stop_behind_the_flag_is_no_stop_of_the_race() {
    for file in ["s7_stop_after_flag", "s7_stop_after_flag_timed"] {
        let Some(asked) = case("stop_after_flag", &[(file, "alpha")]) else { return };
        assert_eq!(asked.stops().len(), 0, "{file}: {:#?}", asked.visits());
    }
}

#[test]
fn a_pit_road_that_flickers_is_one_stop() {
    let Some(asked) = case("pit_road_flicker", &[("s52_pit_road_flicker", "alpha")]) else { return };
    let kinds: Vec<String> = asked.visits().iter().map(|v| v["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["stop"]);
}

#[test]
fn a_safety_car_through_the_pits_is_three_drive_throughs_and_one_stint() {
    let Some(asked) = case("safety_car_through_pits", &[("s11_sc_through_pits", "alpha")]) else { return };
    let kinds: Vec<String> = asked.visits().iter().map(|v| v["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["drive_through"; 3]);
    assert_eq!(asked.stints().len(), 1);
}
