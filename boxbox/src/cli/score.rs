//! The options of `score`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use boxbox_race::scoring::Distance;
use clap::Args;

use crate::score::{Output, ScoreOptions, distance};

/// What is in the files, at the end of `--help`.
const FILES: &str = "\
A file of results is CSV in UTF-8, a line for each car of each session, separated by commas, semicolons or tabs. Its first line names columns:
  entry         who competes (also: driver, name, car). The only column that must be there
  event         the event (also: round); events count in the order of the files. Without it the name of the file is the event
  session       race (as if empty), qualifying, sprint, practice (worth nothing), or a table of the rules such as le_mans; race 2 is a race
  class, team, manufacturer
  position      1, 2, … (also: pos, place), or dnf, dns, dsq, nc. It orders cars of equal laps whose times are not known
  laps          laps completed
  time          of the whole race, 1:32:14.123, or behind the winner, +5.2
  status        finished (as if empty), dnf, dns, dsq, nc
  best_lap      1:32.123; it orders qualifying
  grid          place on the grid; without the column, the place in qualifying
  laps_led, incidents, stage1, stage2, …
  guest         yes: takes part outside the championship
  drivers       of a shared car, with the laps of each: Anna:30; Bo:12
  penalty       5s, dsq, drive-through, stop-go 10, 3 places, -1 lap, -2 points, no bonus, best lap deleted; several with ; between

Result files of simulators are read as they are: iRacing's JSON of a subsession, what a server of Assetto Corsa Competizione dumps, the result of
a server of Assetto Corsa, and its race_out.json. A file is an event; give qualifying and race of one event as monza=Q.json monza=R.json.

A file of --penalties has the columns event, session, entry, penalty and reason. Without an event a line is for the season:
-5 points, +5 points, excluded (loses its rank), excluded points (loses both).";

/// Options of `score`.
#[derive(Args)]
#[command(after_long_help = FILES)]
pub struct ScoreArgs {
    /// Files of results, CSV or as simulators write them; with EVENT= all of the file is that event
    #[arg(value_name = "[EVENT=]FILE", required_unless_present_any = ["list_rules", "show_rules"])]
    results: Vec<String>,
    /// The rules: a name from --list-rules (f1-1988 is those that were in force then), or a JSON file of your own
    #[arg(long, env = "BOXBOX_RULES", value_name = "NAME|FILE", required_unless_present_any = ["list_rules", "show_rules"])]
    rules: Option<String>,
    /// Penalties, as CSV, beside those in the column penalty
    #[arg(long, env = "BOXBOX_SCORE_PENALTIES", value_name = "FILE")]
    penalties: Option<PathBuf>,
    /// The part of its distance that a race was long, such as Spa=1/44; with the laps under green, Spa=1/44,1
    #[arg(long, env = "BOXBOX_SCORE_DISTANCE", value_name = "EVENT=PART[,LAPS]", value_parser = distance)]
    distance: Vec<(String, Distance)>,
    /// Events of the whole season, where the files have fewer and the rules depend on it
    #[arg(long, env = "BOXBOX_SCORE_EVENTS", value_parser = clap::value_parser!(u32).range(1..=500))]
    events: Option<u32>,
    /// Print each session's order and points before the tables
    #[arg(long, env = "BOXBOX_SCORE_SESSIONS")]
    sessions: bool,
    /// Explain each point of this competitor; a part of the name is enough
    #[arg(long, env = "BOXBOX_SCORE_WHY", value_name = "NAME")]
    why: Option<String>,
    /// Print one JSON object, with sessions, reasons, and points as exact fractions
    #[arg(long, env = "BOXBOX_SCORE_JSON")]
    json: bool,
    /// Print the tables as CSV, points as exact fractions
    #[arg(long, env = "BOXBOX_SCORE_CSV", conflicts_with_all = ["json", "why", "sessions"])]
    csv: bool,
    /// Print the names of all rules that are built in
    #[arg(long)]
    list_rules: bool,
    /// Print the document of these rules, to start your own from
    #[arg(long, value_name = "NAME")]
    show_rules: Option<String>,
}

impl ScoreArgs {
    /// The options that the command takes.
    pub fn options(self) -> ScoreOptions {
        ScoreOptions {
            rules: self.rules,
            results: self.results,
            penalties: self.penalties,
            distances: self.distance.into_iter().collect::<BTreeMap<_, _>>(),
            events: self.events,
            sessions: self.sessions,
            why: self.why,
            output: match (self.json, self.csv) {
                (true, _) => Output::Json,
                (_, true) => Output::Csv,
                _ => Output::Text,
            },
            list_rules: self.list_rules,
            show_rules: self.show_rules,
        }
    }
}
