//! Rulesets of real championships, by name (`score.presets`): documents as a league writes its own, in the folder `presets`. Each says where it comes from,
//! and whether a published season was computed again with it.

use super::ruleset::{Ruleset, Years};

macro_rules! presets {
    ($count:literal: $($name:literal),* $(,)?) => {
        /// The names of all presets.
        pub const PRESETS: [&str; $count] = [$($name),*];

        /// Their documents.
        const DOCUMENTS: [&str; $count] = [$(include_str!(concat!("presets/", $name, ".json"))),*];
    };
}

presets! {
    40:
    "arl_endurance", "arl_mx5", "dtm_2012", "dtm_2023", "f1_1950", "f1_1954", "f1_1958", "f1_1959", "f1_1960", "f1_1961", "f1_1962",
    "f1_1963", "f1_1966", "f1_1967", "f1_1975", "f1_1979", "f1_1980", "f1_1981", "f1_1991", "f1_2003", "f1_2010", "f1_2014",
    "f1_2015", "f1_2019", "f1_2021", "f1_2022", "f1_2023", "f1_2025", "f1_sprint_2021", "f1_sprint_2022", "imsa", "indycar", "motogp",
    "nascar_cup_2017", "nascar_cup_2026", "nxt", "scca", "supercars", "wec_2012", "wec_2024",
}

/// Other names, for what an older version called otherwise.
const OTHER_NAMES: [(&str, &str); 1] = [("wec_6h", "wec_2024")];

/// The newest season whose rules are known: rules without an end are those up to it.
const LAST_SEASON: u32 = 2026;

/// There is no ruleset of this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnknownPreset {
    /// Nor of the championship.
    #[error("there is no ruleset called {0:?}")]
    Name(String),
    /// There is none for this season.
    #[error("there is no ruleset for {family} in {year}: those that are known are of {first} to {last}; {family} is the newest")]
    Season {
        /// The championship.
        family: String,
        /// The season that was asked for.
        year: u32,
        /// The first season.
        first: u32,
        /// The last season.
        last: u32,
    },
}

/// The ruleset called `name`. `_` and `-` are equal, and so are large and small letters. Where there is one for each of several seasons, any
/// season names its rules (`f1-1988`: those of 1981 to 1990), and no season names the newest (`f1`).
pub fn preset(name: &str) -> Option<Ruleset> {
    // Every preset can be read, which a test sees to.
    preset_document(name).and_then(|document| Ruleset::parse(document).ok())
}

/// The document of the ruleset called `name`, as in [`preset`].
pub fn preset_document(name: &str) -> Option<&'static str> {
    find_preset(name).ok()
}

/// As [`preset_document`]; the error says what there is instead.
pub fn find_preset(name: &str) -> Result<&'static str, UnknownPreset> {
    let asked = name;
    let name = name.to_ascii_lowercase().replace('-', "_");
    let name = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name.as_str(), |(_, name)| name);
    let of = |name: &str| PRESETS.iter().position(|preset| *preset == name).map(|at| DOCUMENTS[at]);
    if let Some(document) = of(name) {
        return Ok(document);
    }
    let unknown = || UnknownPreset::Name(asked.chars().take(60).collect());
    let (family, year) = family(name);
    let years = |document: &str| Ruleset::parse(document).ok().and_then(|ruleset| ruleset.years);
    let of_family: Vec<_> =
        PRESETS.iter().zip(DOCUMENTS).filter(|(preset, _)| self::family(preset).0 == family).map(|(_, of)| (of, years(of))).collect();
    let Some(year) = year else {
        return of_family.into_iter().max_by_key(|(_, years)| years.map(|years| years.first)).map(|(document, _)| document).ok_or_else(unknown);
    };
    let end = |years: Years| if years.last == 0 { LAST_SEASON } else { years.last };
    let found = of_family.iter().find(|(_, years)| years.is_none_or(|years| years.contain(year)) && year <= LAST_SEASON);
    let all = of_family.iter().filter_map(|(_, years)| *years);
    let span = all.clone().map(|years| years.first).min().zip(all.map(end).max());
    match (found, span) {
        (Some((document, _)), _) => Ok(document),
        (None, Some((first, last))) => Err(UnknownPreset::Season { family: family.to_owned(), year, first, last }),
        (None, None) => Err(unknown()),
    }
}

/// A name without its season, and the season: `f1` and 1988.
fn family(name: &str) -> (&str, Option<u32>) {
    let season = name.rsplit_once('_').filter(|(_, year)| year.len() == 4).and_then(|(family, year)| Some((family, year.parse().ok()?)));
    season.map_or((name, None), |(family, year)| (family, Some(year)))
}
