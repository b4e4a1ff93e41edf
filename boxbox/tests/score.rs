//! `boxbox score`: tables from files of results, as a person gets them.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use boxbox_testkit::recording;
use common::boxbox;
use serde_json::{Value, json};

/// Runs `score` in a folder with files; what it printed, or its error.
fn score(folder: &Path, args: &[&str]) -> Result<String, String> {
    let out = boxbox(&[&["score"], args].concat()).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if out.status.success() { Ok(text(out.stdout)) } else { Err(text(out.stderr)) }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    folder
}

fn json_of(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&score(folder, &[args, &["--json"]].concat()).unwrap()).unwrap()
}

/// Rank and points of everybody in a championship.
fn table(report: &Value, subject: &str, class: &str) -> Vec<(String, Option<u64>, String)> {
    let championships = report["championships"].as_array().unwrap();
    let one =
        championships.iter().find(|one| one["subject"] == subject && one["class"] == class).unwrap_or_else(|| panic!("{subject} {class}: {report}"));
    let line = |line: &Value| (line["competitor"].as_str().unwrap().to_owned(), line["rank"].as_u64(), line["points"].as_str().unwrap().to_owned());
    one["lines"].as_array().unwrap().iter().map(line).collect()
}

fn of(list: &[(&str, u64, &str)]) -> Vec<(String, Option<u64>, String)> {
    list.iter().map(|(name, rank, points)| ((*name).to_owned(), Some(*rank), (*points).to_owned())).collect()
}

#[test]
fn the_season_of_1988_from_its_results() {
    let test = "the_season_of_1988_from_its_results";
    let read = |name: &str| -> Option<Vec<BTreeMap<String, String>>> {
        let path = recording(test, name)?;
        Some(csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect())
    };
    let (Some(races), Some(results), Some(standings)) = (read("f1_cc0/races.csv"), read("f1_cc0/results.csv"), read("f1_cc0/driver_standings.csv"))
    else {
        return;
    };
    let mut rounds: Vec<(u32, &str)> =
        races.iter().filter(|race| race["year"] == "1988").map(|race| (race["round"].parse().unwrap(), race["raceId"].as_str())).collect();
    rounds.sort_unstable();
    let mut text = String::from("round;driver;pos;laps;status\n");
    for (round, race) in &rounds {
        for row in results.iter().filter(|row| row["raceId"] == *race) {
            let status = match row["positionText"].as_str() {
                "W" | "F" => "dns",
                "R" | "N" => "dnf",
                "D" | "E" => "dsq",
                _ => "",
            };
            text += &format!("{round};{};{};{};{status}\n", row["driverId"], row["positionOrder"], row["laps"]);
        }
    }
    let backwards: String =
        text.lines().take(1).chain(text.lines().skip(1).collect::<Vec<_>>().into_iter().rev()).flat_map(|line| [line, "\n"]).collect();
    let folder = folder(&[("1988.csv", &text), ("backwards.csv", &backwards)]);
    let report = json_of(folder.path(), &["--rules", "f1-1988", "backwards.csv"]);
    assert_eq!(
        report["championships"],
        json_of(folder.path(), &["--rules", "f1-1988", "1988.csv"])["championships"],
        "the order of lines is nothing"
    );
    let report = json_of(folder.path(), &["--rules", "f1-1988", "1988.csv"]);
    assert_eq!((report["rules"]["name"].as_str(), report["rules"]["verified"].as_bool()), (Some("f1_1981"), Some(true)));
    let last = rounds.last().unwrap().1;
    let lines = table(&report, "drivers", "");
    let scored: Vec<_> = standings.iter().filter(|row| row["raceId"] == last && row["points"].parse::<f64>().unwrap() > 0.0).collect();
    assert!(scored.len() > 10);
    for row in scored {
        let (_, rank, points) = lines.iter().find(|(name, ..)| *name == row["driverId"]).unwrap();
        assert_eq!((points, rank.unwrap().to_string()), (&row["points"], row["position"].clone()), "driver {}", row["driverId"]);
    }
    // Prost: 105 points in all, of which 87 count.
    let prost = score(folder.path(), &["--rules", "F1_1988", "1988.csv", "--why", "117"]).unwrap();
    assert!(prost.contains("117, 87 points, rank 2") && prost.contains("total: 87 of 105 points in all events"), "{prost}");
    assert_eq!(prost.matches(", dropped").count(), 5, "{prost}");
    let csv = score(folder.path(), &["--rules", "f1-1988", "1988.csv", "--csv"]).unwrap();
    assert!(csv.lines().nth(1).unwrap().starts_with("drivers,,1,102,90,94,0,16,"), "{csv}");
}

const SEASON: &str = "\
event,session,entry,class,team,position,laps,time,status,best_lap,grid,guest,penalty
Monza,qualifying,Ann,GT,Red,,,,,1:40.0,,,
Monza,qualifying,Bo,GT,Red,,,,,1:39.5,,,
Monza,,Ann,GT,Red,,20,33:20.0,,1:39.0,,,5s
Monza,,Bo,GT,Red,,20,33:23.2,,1:39.2,,,
Monza,,Cy,GT,Blue,,20,33:26.9,,1:39.9,,,+5s
Monza,,Di,GT,Blue,,20,33:32.0,,1:38.0,,yes,
Monza,,Ed,Cup,,,19,33:25.0,,1:45.0,,,
Spa,,Ann,GT,Red,,10,20:00,,2:00,,,
Spa,,Bo,GT,Red,,10,+0,dsq,2:00,,,
Spa,,Cy,GT,Blue,,4,DNF,,2:01,,,
Spa,,Ed,Cup,,,9,+10,,2:10,,,
";

#[test]
fn penalties_guests_classes_and_teams() {
    let folder =
        folder(&[("season.csv", SEASON), ("decisions.csv", "event;session;entry;penalty;reason\n;;Ann;-3 points;late\nSpa;race;Ed;2 points;\n")]);
    let rules = ["--rules", "f1_2019", "season.csv"];
    let report = json_of(folder.path(), &rules);
    // Monza: Bo, Ann (+5 s), Cy (+5 s); the guest keeps his place, and his fastest lap earns no point. Spa: Cy has 4 of 10 laps.
    assert_eq!(table(&report, "drivers", "GT"), of(&[("Ann", 1, "44"), ("Bo", 2, "25"), ("Cy", 3, "15")]));
    assert_eq!(table(&report, "drivers", "Cup"), of(&[("Ed", 1, "52")]));
    assert_eq!(table(&report, "teams", "GT"), of(&[("Red", 1, "69"), ("Blue", 2, "15")]));
    let report = json_of(folder.path(), &[&rules[..], &["--penalties", "decisions.csv"]].concat());
    assert_eq!(table(&report, "drivers", "GT")[0], ("Ann".into(), Some(1), "41".into()));
    assert_eq!(table(&report, "drivers", "Cup"), of(&[("Ed", 1, "50")]));
    // A short race, and one that was too short for any points.
    let short = |distance: &str| table(&json_of(folder.path(), &[&rules[..], &["--distance", distance]].concat()), "drivers", "GT")[0].2.clone();
    assert_eq!((short("Spa=1/2").as_str(), short("Spa=1/2,1").as_str()), ("63/2", "25"));
    let text = score(folder.path(), &[&rules[..], &["--sessions"]].concat()).unwrap();
    for expected in ["Monza race", "33:25.000", "dsq", "Drivers, GT (f1_2019, unverified)", "Teams, GT"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours where there is no terminal");
    let why = score(folder.path(), &[&rules[..], &["--why", "ann"]].concat()).unwrap();
    assert!(why.contains("race, place 2 (5 s added): place 2 +18") && why.contains("fastest lap +1"), "{why}");
}

#[test]
fn drivers_of_shared_cars_have_a_table() {
    let text = "entry,team,laps,time,drivers\nCar 1,One,100,3:00:00,Ann:60; Bo:35; Cy:5\nCar 2,Two,99,3:00:10,Di:99\n";
    let own = r#"{"format": 1, "name": "ours", "race": {"table": [40, 30]}, "drivers": {"min_share": 0.1}, "teams": {}}"#;
    let folder = folder(&[("race.csv", text), ("ours.json", own)]);
    let report = json_of(folder.path(), &["--rules", "ours.json", "race.csv"]);
    assert_eq!(table(&report, "drivers", ""), of(&[("Ann", 1, "40"), ("Bo", 1, "40"), ("Di", 3, "30"), ("Cy", 4, "0")]));
    assert_eq!(table(&report, "cars", ""), of(&[("Car 1", 1, "40"), ("Car 2", 2, "30")]));
    assert_eq!(table(&report, "teams", ""), of(&[("One", 1, "40"), ("Two", 2, "30")]));
}

#[test]
fn result_files_of_simulators_are_scored_as_they_are() {
    let row = |name: &str, place: i64, grid: i64, best: i64| {
        json!({"cust_id": place, "display_name": name, "finish_position": place, "starting_position": grid, "laps_complete": 20, "laps_lead": 0,
            "interval": place * 10_000, "best_lap_time": best, "incidents": 0, "reason_out": "Running"})
    };
    let race = json!({"session_results": [
        {"simsession_type_name": "Race", "simsession_name": "RACE", "results": [row("Ann", 0, 1, 900_000), row("Bo", 1, 0, 890_000)]},
        {"simsession_type_name": "Lone Qualifying", "simsession_name": "QUALIFY", "results": [row("Bo", 0, -1, 880_000), row("Ann", 1, -1, 890_000)]},
        {"simsession_type_name": "Open Practice", "simsession_name": "PRACTICE", "results": []},
    ]});
    let line = |name: &str, laps: i64, total: i64| {
        json!({"car": {"carId": laps, "raceNumber": laps, "drivers": [{"firstName": name, "lastName": "", "playerId": "S"}]},
            "timing": {"bestLap": 90_000, "totalTime": total, "lapCount": laps}})
    };
    let acc = json!({"sessionType": "R", "trackName": "spa", "sessionResult": {"leaderBoardLines": [line("Bo", 21, 1_900_000), line("Ann", 20, 1_890_000)]}});
    let folder = folder(&[("round1.json", &race.to_string())]);
    let utf16: Vec<u8> = acc.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(folder.path().join("240102_R.json"), utf16).unwrap();
    let report = json_of(folder.path(), &["--rules", "f1_2025", "round1.json", "Spa=240102_R.json"]);
    assert_eq!(report["events"], json!(["round1", "Spa"]));
    assert_eq!(table(&report, "drivers", ""), of(&[("Ann", 1, "43"), ("Bo", 1, "43")]));
}

/// Names in a file come from any player of a lobby.
#[test]
fn names_do_nothing_to_a_terminal() {
    let csv =
        "event,entry,team,position,laps,time\nMon\u{1b}[2Jza,\u{1b}]0;x\u{7}Eve\u{202e},R\u{200b}ed,1,20,33:20\nMon\u{1b}[2Jza,Al,Blue,2,20,33:25\n";
    let row = json!({"cust_id": 1, "display_name": "\u{1b}[31mEve\u{202e}", "finish_position": 0, "starting_position": 0, "laps_complete": 20,
        "laps_lead": 0, "interval": 0, "best_lap_time": 900_000, "incidents": 0, "reason_out": "Running"});
    let race = json!({"session_results": [{"simsession_type_name": "Race", "simsession_name": "RACE", "results": [row]}]});
    let folder = folder(&[("season.csv", csv), ("race.json", &race.to_string())]);
    for file in ["season.csv", "race.json"] {
        for how in [&[][..], &["--sessions"], &["--csv"], &["--json"], &["--why", "eve"]] {
            let text = score(folder.path(), &[&["--rules", "f1_2019", file], how].concat()).unwrap();
            let does = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{202e}');
            assert!(text.contains("Eve") && !text.contains(does), "{file} {how:?}: {text:?}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let files = [
        ("rules.json", "{\"format\": 1, \"name\": \"ours\",\n\"race\": {\"table\": [1, 2]},\n\"seasons\": {}}"),
        ("good.csv", "entry,position\nAnn,1\n"),
        ("bad.csv", "entry,position,laps,time,penalty\nAnn,first,ten,1:2:3:4,5 bananas\n,1,1,,\nBo,2,1,,\nBo,3,1,,\n"),
        ("columns.csv", "driver,entry,pos\nAnn,Ann,1\n"),
        ("who.csv", "pos,laps\n1,2\n"),
        ("nothing.csv", "entry,team\nAnn,Red\n"),
        ("empty.csv", ""),
        ("session.csv", "entry,position,session\nAnn,1,pace car\n"),
        ("faster.csv", "entry,position,laps,time,penalty\nAnn,1,10,10:00,-5s\n"),
        ("twice.csv", "entry,position\nAnn,1\nAnn,2\n"),
        ("other.json", "{\"results\": []}"),
        ("penalties.csv", "event,entry,penalty\ngood,Zoe,5s\nbad,Ann,5s\n,Ann,5s\n"),
    ];
    let folder = folder(&files);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--rules", "rules.json", "good.csv"], &["line 2, column 23: race.table[1]", "line 3, column 1: seasons"]),
        (&["--rules", "f1_1900", "good.csv"], &["f1_1900", "--list-rules", "f1_1950"]),
        (&["--rules", "nowhere.json", "good.csv"], &["nowhere.json"]),
        (&["--rules", "f1-3000", "good.csv"], &["f1_2025"]),
        (&["--rules", "f1", "faster.csv"], &["line 2: penalty", "write +5s"]),
        (&["--rules", "f1", "bad.csv"], &["line 2: position", "line 2: laps", "line 2: time", "line 2: penalty", "line 3: entry"]),
        (&["--rules", "f1", "columns.csv"], &["line 1: two columns mean entry"]),
        (&["--rules", "f1", "who.csv"], &["line 1: no column entry", "best_lap"]),
        (&["--rules", "f1", "nothing.csv"], &["line 1", "position, or laps and time"]),
        (&["--rules", "f1", "empty.csv"], &["empty.csv"]),
        (&["--rules", "f1", "session.csv"], &["line 2: session", "pace_car", "sprint"]),
        (&["--rules", "f1", "twice.csv"], &["line 3: Ann", "line 2"]),
        (&["--rules", "f1", "other.json"], &["other.json", "session_results", "leaderBoardLines"]),
        (&["--rules", "f1", "missing.csv"], &["missing.csv"]),
        (
            &["--rules", "f1", "good.csv", "--penalties", "penalties.csv"],
            &["line 2: \"Zoe\"", "line 3: there is no event \"bad\"", "line 4: penalty"],
        ),
        (&["--rules", "f1", "good.csv", "--distance", "Spa=1/2"], &["Spa", "good"]),
        (&["--rules", "f1", "good.csv", "--distance", "good=3"], &["0 to 1"]),
        (&["--rules", "f1", "good.csv", "--why", "Zoe"], &["Zoe", "Ann"]),
        (&["--rules", "f1"], &["FILE"]),
        (&["good.csv"], &["--rules"]),
        (&["--show-rules", "nothing"], &["nothing", "--list-rules"]),
    ];
    for (args, expected) in cases {
        let error = score(folder.path(), args).expect_err(&format!("{args:?}"));
        expected.iter().for_each(|text| assert!(error.contains(text), "{args:?}: no {text:?} in {error}"));
        assert!(!error.contains("panicked"), "{error}");
    }
}

#[test]
fn rules_are_listed_and_shown_as_a_document_that_can_be_used() {
    let folder = folder(&[("race.csv", "\u{feff}Entry\tPos\tLaps\nAnn\t1.\t10\nBo\tDNF\t3\n")]);
    let list = score(folder.path(), &["--list-rules"]).unwrap();
    for name in ["f1_1950", "motogp", "nascar_cup_2026", "imsa", "supercars", "scca"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{name}: {list}");
    }
    std::fs::write(folder.path().join("mine.json"), score(folder.path(), &["--show-rules", "f1-1988"]).unwrap()).unwrap();
    let mine = json_of(folder.path(), &["--rules", "mine.json", "race.csv"]);
    assert_eq!(mine, json_of(folder.path(), &["--rules", "f1_1988", "race.csv"]));
    assert_eq!(table(&mine, "drivers", ""), of(&[("Ann", 1, "9"), ("Bo", 2, "0")]));
}
