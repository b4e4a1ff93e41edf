//! Who won: the end of a race and of a qualifying, and who has no lap.

use crate::asked::{case, seconds};

fn places(of: &[(&str, u64, bool)]) -> Vec<(String, u64, bool)> {
    of.iter().map(|(entry, laps, finished)| ((*entry).to_owned(), *laps, *finished)).collect()
}

#[test]
fn with_two_limits_the_one_that_is_reached_first_ends_the_race() {
    for name in ["s1_dual_limit", "s1_time_limit_only"] {
        let (alpha, beta) = (format!("{name}_alpha"), format!("{name}_beta"));
        let Some(asked) = case("dual_limit", &[(&alpha, "alpha"), (&beta, "beta")]) else { return };
        let of: Vec<(u64, bool)> = asked.places().iter().map(|p| (p.1, p.2)).collect();
        assert_eq!(of, [(5, true), (5, true)], "{name}");
    }
}

#[test]
fn a_flag_that_is_seen_before_the_winners_line_waits_for_the_winner() {
    let files = [("s50_flag_before_winner_alpha", "alpha"), ("s50_flag_before_winner_beta", "beta")];
    let Some(asked) = case("flag_before_winner", &files) else { return };
    assert_eq!(asked.places(), places(&[("alpha", 5, true), ("beta", 5, true)]));
    let beta = asked.result("beta");
    assert_eq!(beta["laps_down"], 0);
    seconds(&beta["finish_us"], 424.661);
}

#[test]
fn a_flag_that_is_seen_long_after_the_state_gives_no_cool_down_lap() {
    let files = [("s50b_flag_after_winner_alpha", "alpha"), ("s50b_flag_after_winner_beta", "beta")];
    let Some(asked) = case("flag_after_winner", &files) else { return };
    assert_eq!(asked.places(), places(&[("alpha", 5, true), ("beta", 5, true)]));
    assert_eq!(asked.result("beta")["laps_down"], 0);
}

#[test]
fn a_lap_behind_the_counted_laps_of_a_qualifying_wins_no_pole() {
    let files = [("s51b_qualify_extra_lap_alpha", "alpha"), ("s51b_qualify_extra_lap_beta", "beta")];
    let Some(asked) = case("qualify_extra_lap", &files) else { return };
    let results = asked.results();
    assert_eq!((&results[0]["entry"], &results[1]["entry"]), (&"beta".into(), &"alpha".into()));
    for (row, best) in results.iter().zip([64.517, 65.567]) {
        seconds(&row["best_lap_us"], best);
        assert_eq!(row["best_lap"], 3);
    }
}

#[test]
fn who_has_no_lap_is_in_the_results_of_a_race() {
    let files = [("s6_race_alpha", "alpha"), ("s6_race_beta", "beta"), ("s6_race_gamma", "gamma")];
    let Some(asked) = case("no_lap_race", &files) else { return };
    assert_eq!(asked.places(), places(&[("alpha", 3, true), ("gamma", 2, false), ("beta", 0, false)]));
}

#[test]
fn who_has_no_time_is_in_the_results_of_a_qualifying() {
    let Some(asked) = case("no_time_qualify", &[("s6_qualify_alpha", "alpha"), ("s6_qualify_beta", "beta")]) else { return };
    let results = asked.results();
    assert_eq!(results.iter().map(|r| r["entry"].as_str().unwrap()).collect::<Vec<_>>(), ["alpha", "beta"]);
    assert!(results[0]["best_lap_us"].is_i64() && results[1]["best_lap_us"].is_null());
}

#[test]
fn a_towed_car_keeps_its_place_until_it_is_passed() {
    let files = [("s8_tow_alpha", "alpha"), ("s8_tow_beta", "beta"), ("s8_tow_gamma", "gamma")];
    let Some(asked) = case("tow_order", &files) else { return };
    let order = asked.of_session("/order?at_us=173000000");
    let entries: Vec<&str> = order["order"].as_array().unwrap().iter().map(|s| s["entry"].as_str().unwrap()).collect();
    assert_eq!(entries, ["alpha", "beta", "gamma"]);
}
