//! Which fields each part of a ruleset has in a document.

use super::canonical::Written;
use super::fields::{Field, Reader, read_word, write_word};
use super::json::{Node, Value};
use crate::scoring::points::Points;
use crate::scoring::rules::{
    Bonus, BonusKind, BonusTie, ClassificationRules, Counted, DriverRules, DropCounts, Guests, Halves, Ineligible, Leader, Partial, Per, PointsRules,
    RetiredOrder, Rounding, ScoredBy, SeasonRules, Share, TeamRules, TieBreak, Ties, TimePenalty, Unclassified,
};
use crate::scoring::ruleset::{Ruleset, Years};

macro_rules! words {
    ($($word:ty),* $(,)?) => {$(
        impl Field for $word {
            fn read(node: &Node, reader: &mut Reader) -> Self {
                read_word(node, reader).unwrap_or_default()
            }

            fn write(&self) -> Written {
                write_word(self)
            }
        }
    )*};
}

words!(Rounding, Leader, RetiredOrder, TimePenalty, DropCounts, Ties, ScoredBy, Guests, Ineligible, BonusTie, Unclassified, Halves, Share, Per);

impl Field for TieBreak {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        read_word(node, reader).unwrap_or(TieBreak::Countback)
    }

    fn write(&self) -> Written {
        write_word(self)
    }
}

/// The members that differ from the default.
fn differing<const N: usize>(members: [(&str, Option<Written>); N]) -> Written {
    Written::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

macro_rules! shapes {
    ($($shape:ty { $($field:ident),* $(,)? })*) => {$(
        impl Field for $shape {
            fn read(node: &Node, reader: &mut Reader) -> Self {
                let mut read = Self::default();
                reader.object(node, &[$(stringify!($field)),*], |name, value, reader| match name {
                    $(stringify!($field) => read.$field = Field::read(value, reader),)*
                    _ => {}
                });
                read
            }

            fn write(&self) -> Written {
                let default = Self::default();
                differing([$((stringify!($field), (self.$field != default.$field).then(|| self.$field.write()))),*])
            }
        }
    )*};
}

shapes! {
    Years { first, last }
    ClassificationRules {
        min_fraction, rounding, of, must_be_running, max_laps_down, retired, time_penalty, drop_counts, drive_through_us, stop_and_go_us,
    }
    PointsRules { table, beyond, multiplier, partial, ties, by, guests, unclassified, participation, min_green_laps, bonuses }
    DriverRules { min_share, max_class_share, share }
    TeamRules { best, per, bonuses, table, season }
}

/// `format` is the version of the form of the document, not of the rules in it.
pub const FORMAT: u32 = 1;

impl Field for Ruleset {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let (mut read, mut format) = (Self::default(), None);
        let known = [
            "format",
            "name",
            "title",
            "source",
            "verified",
            "notes",
            "years",
            "classification",
            "race",
            "sprint",
            "qualifying",
            "tables",
            "drivers",
            "season",
            "teams",
            "manufacturers",
        ];
        reader.object(node, &known, |name, value, reader| match name {
            "format" => format = Some(u32::read(value, reader)),
            "name" => read.name = Field::read(value, reader),
            "title" => read.title = Field::read(value, reader),
            "source" => read.source = Field::read(value, reader),
            "verified" => read.verified = Field::read(value, reader),
            "notes" => read.notes = Field::read(value, reader),
            "years" => read.years = Field::read(value, reader),
            "classification" => read.classification = Field::read(value, reader),
            "race" => read.race = Field::read(value, reader),
            "sprint" => read.sprint = Field::read(value, reader),
            "qualifying" => read.qualifying = Field::read(value, reader),
            "tables" => read.tables = Field::read(value, reader),
            "drivers" => read.drivers = Field::read(value, reader),
            "season" => read.season = Field::read(value, reader),
            "teams" => read.teams = Field::read(value, reader),
            "manufacturers" => read.manufacturers = Field::read(value, reader),
            _ => {}
        });
        match format {
            _ if !matches!(node.value, Value::Object(_)) => {}
            None => reader.wrong_field("format", format!("is missing; write \"format\": {FORMAT}")),
            Some(FORMAT) => {}
            Some(_) => reader.wrong_field("format", format!("this version reads format {FORMAT} only")),
        }
        read
    }

    fn write(&self) -> Written {
        let default = Self::default();
        macro_rules! fields {
            ($($field:ident),*) => { [$((stringify!($field), (self.$field != default.$field).then(|| self.$field.write()))),*] };
        }
        let Written::Object(mut members) = differing(fields!(
            name,
            title,
            source,
            verified,
            notes,
            years,
            classification,
            race,
            sprint,
            qualifying,
            tables,
            drivers,
            season,
            teams,
            manufacturers
        )) else {
            return Written::Plain("null".into());
        };
        members.insert("format".into(), FORMAT.write());
        Written::Object(members)
    }
}

impl Field for Partial {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let mut read = Self::default();
        let (mut table, mut factor, mut below) = (false, false, false);
        reader.object(node, &["below", "table", "factor"], |name, value, reader| match name {
            "below" => (read.below, below) = (Field::read(value, reader), true),
            "table" => (read.table, table) = (Field::read(value, reader), true),
            _ => (read.factor, factor) = (Field::read(value, reader), true),
        });
        if matches!(node.value, Value::Object(_)) {
            match (table, factor) {
                (true, true) => reader.wrong(node.at, "has both a table and a factor; keep one of them"),
                (false, false) => reader.wrong(node.at, "needs a table, or a factor of the usual table (0 for no points)"),
                _ if !below => reader.wrong(node.at, "needs \"below\", the part of the distance under which it applies"),
                _ => {}
            }
        }
        read
    }

    fn write(&self) -> Written {
        let table = (!self.table.is_empty()).then(|| self.table.write());
        let factor = self.table.is_empty().then(|| self.factor.write());
        differing([("below", Some(self.below.write())), ("table", table), ("factor", factor)])
    }
}

impl Field for Bonus {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let mut read = Self {
            kind: BonusKind::Pole,
            points: Points::default(),
            top: None,
            classified: false,
            min_distance: None,
            ineligible: Ineligible::Nobody,
            tie: BonusTie::All,
        };
        let (mut kind, mut kind_at) = (None, node.at);
        let (mut stage, mut table, mut most): (Option<u32>, Option<Vec<Points>>, Option<u32>) = (None, None, None);
        let known = ["kind", "points", "top", "classified", "min_distance", "ineligible", "tie", "stage", "table", "most"];
        reader.object(node, &known, |name, value, reader| match name {
            "kind" => (kind, kind_at) = (Some(String::read(value, reader)), value.at),
            "points" => read.points = Field::read(value, reader),
            "top" => read.top = Field::read(value, reader),
            "classified" => read.classified = Field::read(value, reader),
            "min_distance" => read.min_distance = Field::read(value, reader),
            "ineligible" => read.ineligible = Field::read(value, reader),
            "tie" => read.tie = Field::read(value, reader),
            "stage" => stage = Some(Field::read(value, reader)),
            "table" => table = Some(Field::read(value, reader)),
            _ => most = Some(Field::read(value, reader)),
        });
        if !matches!(node.value, Value::Object(_)) {
            return read;
        }
        let kind = kind.unwrap_or_default();
        let plain = PLAIN_BONUSES.iter().find(|(name, _)| *name == kind);
        match kind.as_str() {
            "stage" => {
                if stage.is_none_or(|stage| stage == 0) {
                    reader.wrong(node.at, "a bonus for a stage needs \"stage\", its number; 1 is the first");
                }
                if table.as_ref().is_none_or(Vec::is_empty) {
                    reader.wrong(node.at, "the stage has no table; write the points of its places, \"table\": [10, 9, …]");
                }
                if !read.points.is_zero() {
                    reader.wrong(node.at, "a stage has a table, not \"points\"; remove one");
                }
                read.kind = BonusKind::Stage(stage.unwrap_or(1).max(1) as usize - 1, table.clone().unwrap_or_default());
            }
            "clean" => {
                if most.is_none() {
                    reader.wrong(node.at, "a bonus for a clean race needs \"most\", the incident points that are still clean");
                }
                read.kind = BonusKind::Clean(most.unwrap_or_default());
            }
            _ => match plain {
                Some((_, plain)) => read.kind = plain.clone(),
                None => {
                    let names: Vec<&str> = PLAIN_BONUSES.iter().map(|(name, _)| *name).chain(["clean", "stage"]).collect();
                    let message = format!("says what the bonus is for: one of {}", names.join(", "));
                    reader.within(".kind".into(), kind_at, |r| r.wrong(kind_at, message));
                }
            },
        }
        for (name, given, of) in [("stage", stage.is_some(), "stage"), ("table", table.is_some(), "stage"), ("most", most.is_some(), "clean")] {
            if given && kind != of {
                reader.wrong(node.at, format!("\"{name}\" belongs to a bonus of kind {of}; remove it"));
            }
        }
        read
    }

    fn write(&self) -> Written {
        let mut members = [("kind", None), ("stage", None), ("table", None), ("most", None)];
        match &self.kind {
            BonusKind::Stage(stage, table) => {
                members[0].1 = Some(Written::Text("stage".into()));
                members[1].1 = Some(stage.saturating_add(1).write());
                members[2].1 = Some(table.write());
            }
            BonusKind::Clean(most) => {
                members[0].1 = Some(Written::Text("clean".into()));
                members[3].1 = Some(most.write());
            }
            plain => {
                let name = PLAIN_BONUSES.iter().find(|(_, kind)| kind == plain).map_or("", |(name, _)| name);
                members[0].1 = Some(Written::Text(name.into()));
            }
        }
        let [a, b, c, d] = members;
        differing([
            a,
            b,
            c,
            d,
            ("points", (!self.points.is_zero()).then(|| self.points.write())),
            ("top", self.top.map(|top| top.write())),
            ("classified", self.classified.then(|| true.write())),
            ("min_distance", self.min_distance.as_ref().map(Field::write)),
            ("ineligible", (self.ineligible != Ineligible::Nobody).then(|| self.ineligible.write())),
            ("tie", (self.tie != BonusTie::All).then(|| self.tie.write())),
        ])
    }
}

const PLAIN_BONUSES: [(&str, BonusKind); 5] = [
    ("pole", BonusKind::Pole),
    ("fastest_lap", BonusKind::FastestLap),
    ("led_a_lap", BonusKind::LedALap),
    ("most_laps_led", BonusKind::MostLapsLed),
    ("most_places_gained", BonusKind::MostPlacesGained),
];

/// One number for all parts, or a list with one for each.
fn numbers(node: &Node, reader: &mut Reader) -> Vec<usize> {
    if matches!(node.value, Value::List(_)) { Field::read(node, reader) } else { vec![Field::read(node, reader)] }
}

impl Field for SeasonRules {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let mut read = Self::default();
        let (mut drop, mut best) = (None, None);
        let known = [
            "events",
            "parts",
            "halves",
            "last_event",
            "drop",
            "best",
            "drop_for_each",
            "not_droppable",
            "absence_not_droppable",
            "disqualification_droppable",
            "min_events",
            "floor_zero",
            "min_starts",
            "ties",
        ];
        reader.object(node, &known, |name, value, reader| match name {
            "events" => read.events = Field::read(value, reader),
            "parts" => read.parts = Field::read(value, reader),
            "halves" => read.halves = Field::read(value, reader),
            "last_event" => read.last_event = Field::read(value, reader),
            "drop" => drop = Some(numbers(value, reader)),
            "best" => best = Some(numbers(value, reader)),
            "drop_for_each" => read.drop_for_each = Field::read(value, reader),
            "not_droppable" => read.not_droppable = Field::read(value, reader),
            "absence_not_droppable" => read.absence_not_droppable = Field::read(value, reader),
            "disqualification_droppable" => read.disqualification_droppable = Field::read(value, reader),
            "min_events" => read.min_events = Field::read(value, reader),
            "floor_zero" => read.floor_zero = Field::read(value, reader),
            "min_starts" => read.min_starts = Field::read(value, reader),
            "ties" => read.ties = Field::read(value, reader),
            _ => {}
        });
        if read.drop_for_each > 0 && (drop.is_some() || best.is_some()) {
            reader.wrong(node.at, "has \"drop_for_each\" beside \"drop\" or \"best\"; keep one of them");
        }
        read.counted = match (drop, best) {
            (Some(_), Some(_)) => {
                reader.wrong(node.at, "has both \"drop\" (all but the n lowest count) and \"best\" (the n best count); keep one of them");
                Counted::All
            }
            // No drop in any part is no drop.
            (Some(drop), None) if drop.iter().all(|n| *n == 0) => Counted::All,
            (Some(drop), None) => Counted::Drop(drop),
            (None, Some(best)) => Counted::Best(best),
            (None, None) => Counted::All,
        };
        read
    }

    fn write(&self) -> Written {
        let default = Self::default();
        let (drop, best) = match &self.counted {
            Counted::All => (None, None),
            Counted::Drop(drop) => (Some(drop.write()), None),
            Counted::Best(best) => (None, Some(best.write())),
        };
        macro_rules! other {
            ($field:ident) => {
                (stringify!($field), (self.$field != default.$field).then(|| self.$field.write()))
            };
        }
        differing([
            ("drop", drop),
            ("best", best),
            other!(events),
            other!(parts),
            other!(halves),
            other!(last_event),
            other!(drop_for_each),
            other!(not_droppable),
            other!(absence_not_droppable),
            other!(disqualification_droppable),
            other!(min_events),
            other!(floor_zero),
            other!(min_starts),
            other!(ties),
        ])
    }
}
