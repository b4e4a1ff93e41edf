//! Sessions of a lobby, and what comes after a session was closed.

use crate::asked::{case, case_with};

#[test]
fn each_heat_is_a_session() {
    let Some(asked) = case("heats", &[("s12_heats", "alpha")]) else { return };
    let mut heats: Vec<(i64, i64)> = vec![];
    for id in asked.sessions() {
        let number = asked.get(&format!("/sessions/{id}"))["session_num"].as_i64().unwrap();
        heats.push((number, asked.get(&format!("/sessions/{id}/results"))["results"][0]["laps"].as_i64().unwrap()));
    }
    heats.sort_unstable();
    let laps: Vec<i64> = heats.iter().map(|(_, laps)| *laps).collect();
    assert_eq!(laps, [3, 3, 3, 2, 4], "practice, qualifying, three races");
}

#[test]
fn frames_that_come_after_silence_closed_a_session_open_it_again() {
    let files = [("s5_swap_before_line_alpha", "alpha"), ("s5_swap_before_line_beta", "beta")];
    let Some(asked) = case_with("upload_after_close", &files, true) else { return };
    let numbers: Vec<u64> = asked.laps().iter().map(|lap| lap.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}
