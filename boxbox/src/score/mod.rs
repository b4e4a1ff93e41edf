//! `boxbox score`: the tables of a season from files of results, for those who have no telemetry of it.
//!
//! ```text
//! CSV, result files of simulators ──input──▶ Input ──tables──▶ Report ──print──▶ text, JSON, CSV, why
//! ```

mod entered;
mod input;
mod penalty;
mod print;
mod rows;
mod tables;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use boxbox_race::scoring::{Distance, PRESETS, Ruleset, preset, preset_document};
use boxbox_schemas::text::plain;

use crate::show::report::line;
use crate::show::stderr::note;

pub use print::Output;
pub use values::{distance, seconds_us};

/// The options of `score`.
pub struct ScoreOptions {
    /// A preset's name, or a file.
    pub rules: Option<String>,
    /// `[EVENT=]FILE`.
    pub results: Vec<String>,
    /// A file of penalties.
    pub penalties: Option<PathBuf>,
    /// How long events were that were too short.
    pub distances: BTreeMap<String, Distance>,
    /// Events of the whole season.
    pub events: Option<u32>,
    /// Print the sessions too.
    pub sessions: bool,
    /// Explain this competitor's points.
    pub why: Option<String>,
    /// How.
    pub output: Output,
    /// Print the names of all presets.
    pub list_rules: bool,
    /// Print this ruleset's document.
    pub show_rules: Option<String>,
}

/// Run the command.
pub fn run(options: &ScoreOptions) -> anyhow::Result<()> {
    if options.list_rules {
        print::presets(options.output);
        return Ok(());
    }
    if let Some(name) = &options.show_rules {
        line(rules_document(name)?.trim_end());
        return Ok(());
    }
    let rules = ruleset(options.rules.as_deref().unwrap_or_default())?;
    let mut input = input::read(&options.results, options.penalties.as_deref(), &rules)?;
    if let Some(event) = options.distances.keys().find(|event| !input.events.iter().any(|known| known.name == **event)) {
        bail!("--distance names the event {event:?}, which is in no file; the events are {}", names(&input));
    }
    let planned = options.events.or(rules.season.events);
    if let Some(planned) = planned.filter(|planned| input.events.len() > *planned as usize) {
        bail!("the files have {} events, more than the {planned} of the season (--events, or season.events of the rules)", input.events.len());
    }
    input.notes.extend((!rules.verified).then(|| format!("rules {} are unverified: no published results were computed again with them", rules.name)));
    input.notes.iter().for_each(|text| note(&plain(&format!("note: {text}"))));
    let report = tables::report(&input, &rules, planned, &options.distances);
    match (&options.why, options.output) {
        (Some(who), output) => print::why(&report, who, output),
        (None, Output::Json) => {
            line(&serde_json::to_string_pretty(&report)?);
            Ok(())
        }
        (None, Output::Csv) => print::csv(&report),
        (None, Output::Text) => {
            print::text(&report, options.sessions);
            Ok(())
        }
    }
}

fn names(input: &entered::Input) -> String {
    input.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn unknown(name: &str) -> anyhow::Error {
    let family = name.to_ascii_lowercase().replace('-', "_");
    let family = family.split('_').next().unwrap_or_default();
    let near: Vec<&str> = PRESETS.into_iter().filter(|preset| !family.is_empty() && preset.starts_with(family)).collect();
    let near = if near.is_empty() { String::new() } else { format!(" ({})", near.join(", ")) };
    anyhow::anyhow!("there are no rules {name:?}{near}; `boxbox score --list-rules` names all, and a file of rules ends in .json")
}

/// The document of built-in rules.
///
/// # Errors
/// If there are none of this name.
pub fn rules_document(name: &str) -> anyhow::Result<&'static str> {
    preset_document(name).ok_or_else(|| unknown(name))
}

/// The ruleset of a name or a file.
fn ruleset(name: &str) -> anyhow::Result<Ruleset> {
    let path = std::path::Path::new(name);
    if !name.ends_with(".json") && !path.is_file() {
        return preset(name).ok_or_else(|| unknown(name));
    }
    let bytes = input::file(path)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{name} is no text in UTF-8; save it as UTF-8"))?;
    Ruleset::parse(&text).map_err(|errors| {
        let list: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
        anyhow::anyhow!("{name} has {} fault(s):\n{}", errors.len(), list.join("\n"))
    })
}
