//! The session's text as simulators write it: newlines in values, cut letters, odd names.

use crate::asked::{case, same_laps};

fn names(session: &serde_json::Value) -> Vec<String> {
    session["entries"].as_array().unwrap().iter().map(|e| e["driver_name"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn a_newline_in_a_setups_name_loses_no_entries() {
    for file in ["s3_setup_newline_team", "s3_setup_newline", "s3_setup_newline_indented", "s3_setup_plain"] {
        let Some(asked) = case("newline_in_setup_name", &[(file, "alpha")]) else { return };
        let session = asked.of_session("");
        assert_eq!(names(&session), ["Driver Alpha", "Driver Beta"], "{file}");
        let entry = asked.results()[0]["entry"].as_str().unwrap().to_owned();
        assert_eq!(entry, if file.ends_with("team") { "t:900" } else { "alpha" }, "{file}");
    }
}

#[test]
fn a_letter_that_is_cut_garbles_no_other_name() {
    for file in ["s2_utf8_cut_initials", "s2_utf8_whole"] {
        let Some(asked) = case("cut_utf8", &[(file, "alpha")]) else { return };
        let names = names(&asked.of_session(""));
        for name in ["Łucja Testowańska", "Žofie Příkladová", "Jürgen Beispiel"] {
            assert!(names.iter().any(|n| n == name), "{file}: {name} is not in {names:?}");
        }
    }
}

#[test]
fn odd_names_are_kept_and_cost_no_lap() {
    let Some(asked) = case("odd_names", &[("s2_quotes_indicators", "alpha")]) else { return };
    let session = asked.of_session("");
    let text = session.to_string();
    for name in ["Łucja Testowańska", "- BLACKCAR - Team Test", "? ?"] {
        assert!(text.contains(name), "{name} is not in {session:#}");
    }
    let Some(plain) = case("odd_names", &[("s3_setup_plain", "alpha")]) else { return };
    assert!(!plain.laps().is_empty());
    let files = ["camera_colons", "crlf", "emoji", "imperial_no_lapdist", "no_weekendinfo", "odd_chars", "setup_tree", "tabs", "twice_weekendinfo"];
    let laps: Vec<Vec<(u64, f64)>> = files.iter().filter_map(|file| Some(case("odd_names", &[(&format!("s53_{file}"), "alpha")])?.laps())).collect();
    for (file, of) in files.iter().zip(&laps) {
        assert!(!of.is_empty(), "{file} has laps");
        same_laps(of, &laps[0]);
    }
}
