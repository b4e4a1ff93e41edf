//! What makes no sense in a ruleset although each field alone can be read: every such fault is found, not only the first.

use std::collections::BTreeSet;

use super::fields::Reader;
use crate::scoring::points::Points;
use crate::scoring::rules::{BonusKind, BonusTie, Counted, Halves, PointsRules, SeasonRules, TeamRules};
use crate::scoring::ruleset::Ruleset;

/// Longest name.
const NAME_MAX: usize = 40;
/// Most places in a table, bonuses of a session, remarks.
const LIST_MAX: usize = 200;
/// Most events of a season.
const EVENTS_MAX: u32 = 500;
/// Longest text.
const TEXT_MAX: usize = 1_000;

/// Notes every fault of `rules`.
pub(super) fn check(rules: &Ruleset, r: &mut Reader) {
    if !is_name(&rules.name) {
        r.wrong_field("name", format!("needs a name of at most {NAME_MAX} letters a to z, digits, _ and -, that begins with a letter or digit"));
    }
    let texts = [("title", &rules.title), ("source", &rules.source)];
    let notes = rules.notes.iter().enumerate().map(|(at, note)| (format!("notes[{at}]"), note));
    for (field, text) in texts.into_iter().map(|(field, text)| (field.to_owned(), text)).chain(notes) {
        if text.chars().count() > TEXT_MAX {
            r.wrong_field(&field, format!("has more than {TEXT_MAX} characters; shorten it"));
        }
    }
    few(rules.notes.len(), "notes", r);
    if let Some(years) = rules.years.filter(|years| years.last != 0 && years.last < years.first) {
        r.wrong_field("years", format!("ends in {} before it begins in {}; swap them", years.last, years.first));
    }
    classification(rules, r);
    points(&rules.race, "race", r);
    let others = [("sprint", &rules.sprint), ("qualifying", &rules.qualifying)];
    others.into_iter().filter_map(|(name, rules)| Some((name, rules.as_ref()?))).for_each(|(name, rules)| points(rules, name, r));
    few(rules.tables.len(), "tables", r);
    for (name, table) in &rules.tables {
        let field = format!("tables.{name}");
        if !is_name(name) {
            r.wrong_field(&field, "is no name for a table; use letters a to z, digits, _ and -");
        }
        if ["race", "feature", "sprint", "qualifying"].contains(&name.as_str()) {
            r.wrong_field(&field, format!("{name} has a field of its own beside \"tables\"; use another name"));
        }
        points(table, &field, r);
    }
    fraction(&rules.drivers.min_share, "drivers.min_share", r);
    if let Some(most) = &rules.drivers.max_class_share {
        fraction(most, "drivers.max_class_share", r);
    }
    season(&rules.season, "season", r);
    let teams = [("teams", &rules.teams), ("manufacturers", &rules.manufacturers)];
    teams.into_iter().filter_map(|(name, rules)| Some((name, rules.as_ref()?))).for_each(|(name, rules)| team(rules, name, r));
}

fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= NAME_MAX && text.bytes().next().is_some_and(letter) && text.bytes().all(|b| letter(b) || matches!(b, b'_' | b'-'))
}

fn few(len: usize, field: &str, r: &mut Reader) {
    if len > LIST_MAX {
        r.wrong_field(field, format!("has {len} items; at most {LIST_MAX} are read"));
    }
}

/// From 0 to 1.
fn fraction(part: &Points, field: &str, r: &mut Reader) {
    if part.is_negative() || *part > Points::from(1) {
        r.wrong_field(field, format!("is a part of a whole, from 0 to 1, not {part}; write 90 % as 0.9"));
    }
}

fn not_negative(points: &Points, field: &str, r: &mut Reader) {
    if points.is_negative() {
        r.wrong_field(field, format!("{points} is below 0; points are taken off by a penalty, not by a rule"));
    }
}

/// Where 0 would stand for 1.
fn factor(factor: &Points, field: &str, r: &mut Reader) {
    not_negative(factor, field, r);
    if factor.is_zero() && r.has(field) {
        r.wrong_field(field, "a factor of 0 makes no sense; leave the field out for the usual points");
    }
}

fn classification(rules: &Ruleset, r: &mut Reader) {
    let rules = &rules.classification;
    fraction(&rules.min_fraction, "classification.min_fraction", r);
    for (us, field) in [(rules.drive_through_us, "drive_through_us"), (rules.stop_and_go_us, "stop_and_go_us")] {
        if !(0..=3_600_000_000).contains(&us) {
            r.wrong_field(&format!("classification.{field}"), "is a time in microseconds, from 0 to an hour; 20 s are 20000000");
        }
    }
}

/// A table of places: the better place never has less.
fn falling(table: &[Points], field: &str, r: &mut Reader) {
    few(table.len(), field, r);
    for (at, points) in table.iter().enumerate() {
        not_negative(points, &format!("{field}[{at}]"), r);
        if let Some(better) = at.checked_sub(1).map(|before| &table[before]).filter(|better| points > better) {
            if r.is_wrong(&format!("{field}[{}]", at - 1)) {
                continue;
            }
            r.wrong_field(&format!("{field}[{at}]"), format!("place {} has {points} points, more than the {better} of place {at}", at + 1));
        }
    }
}

fn points(rules: &PointsRules, name: &str, r: &mut Reader) {
    let of = |field: &str| format!("{name}.{field}");
    falling(&rules.table, &of("table"), r);
    if rules.table.is_empty() && rules.bonuses.is_empty() && rules.beyond.is_zero() && rules.participation.is_zero() {
        r.wrong_field(&of("table"), "gives no points for anything; write the points of the places, \"table\": [25, 18, …]");
    }
    not_negative(&rules.beyond, &of("beyond"), r);
    if let Some(last) = rules.table.last().filter(|last| !last.is_negative() && rules.beyond > **last) {
        r.wrong_field(&of("beyond"), format!("places beyond the table have {} points, more than its last place, {last}", rules.beyond));
    }
    not_negative(&rules.participation, &of("participation"), r);
    factor(&rules.multiplier, &of("multiplier"), r);
    few(rules.partial.len(), &of("partial"), r);
    let mut seen = BTreeSet::new();
    for (at, partial) in rules.partial.iter().enumerate() {
        let of = |field: &str| format!("{name}.partial[{at}].{field}");
        fraction(&partial.below, &of("below"), r);
        if partial.below.is_zero() && r.has(&of("below")) {
            r.wrong_field(&of("below"), "no race is shorter than 0; write the part of the distance under which it applies");
        }
        if !seen.insert(partial.below.clone()) {
            r.wrong_field(&of("below"), format!("is there twice: which table is for races below {}? remove one", partial.below));
        }
        fraction(&partial.factor, &of("factor"), r);
        falling(&partial.table, &of("table"), r);
    }
    few(rules.bonuses.len(), &of("bonuses"), r);
    for (at, bonus) in rules.bonuses.iter().enumerate() {
        let of = |field: &str| format!("{name}.bonuses[{at}].{field}");
        if let BonusKind::Stage(_, table) = &bonus.kind {
            falling(table, &of("table"), r);
        } else if bonus.points.is_zero() {
            r.wrong_field(&of("points"), "a bonus of no points; write how many");
        }
        not_negative(&bonus.points, &of("points"), r);
        if bonus.top == Some(0) {
            r.wrong_field(&of("top"), "no car is in the first 0 places; leave the field out for all places");
        }
        if let Some(least) = &bonus.min_distance {
            fraction(least, &of("min_distance"), r);
        }
        let each = matches!(bonus.kind, BonusKind::LedALap | BonusKind::Clean(_) | BonusKind::Stage(..));
        if each && bonus.tie != BonusTie::All {
            r.wrong_field(&of("tie"), "everyone who meets this bonus has it, so there is no tie; remove the field");
        }
        let same = |other: &BonusKind| match (other, &bonus.kind) {
            (BonusKind::Stage(a, _), BonusKind::Stage(b, _)) => a == b,
            (a, b) => a == b,
        };
        if let Some(before) = rules.bonuses[..at].iter().position(|other| same(&other.kind)) {
            r.wrong_field(&of("kind"), format!("duplicate: {name}.bonuses[{before}] is for the same; remove one"));
        }
    }
}

fn season(rules: &SeasonRules, name: &str, r: &mut Reader) {
    let of = |field: &str| format!("{name}.{field}");
    let planned = rules.events;
    if let Some(events) = planned.filter(|events| !(1..=EVENTS_MAX).contains(events)) {
        r.wrong_field(&of("events"), format!("a season has 1 to {EVENTS_MAX} events, not {events}"));
    }
    few(rules.parts.len(), &of("parts"), r);
    if rules.halves != Halves::No && !rules.parts.is_empty() {
        r.wrong_field(&of("halves"), "contradicts \"parts\": the season is divided in two ways; keep one of them");
    }
    for (at, part) in rules.parts.iter().enumerate() {
        if !(1..=EVENTS_MAX as usize).contains(part) {
            r.wrong_field(&format!("{name}.parts[{at}]"), format!("a part of a season has 1 to {EVENTS_MAX} events, not {part}"));
        }
    }
    let sum = rules.parts.iter().fold(0usize, |sum, part| sum.saturating_add(*part));
    if let Some(events) = planned.filter(|events| !rules.parts.is_empty() && sum != *events as usize) {
        r.wrong_field(&of("parts"), format!("the parts have {sum} events together, the season {events}; make them equal"));
    }
    factor(&rules.last_event, &of("last_event"), r);
    counted(rules, name, r);
    // How many events there are, where the document says it.
    let events = planned.or(u32::try_from(sum).ok().filter(|sum| *sum > 0));
    let mut seen = BTreeSet::new();
    few(rules.not_droppable.len(), &of("not_droppable"), r);
    for (at, event) in rules.not_droppable.iter().enumerate() {
        let field = format!("{name}.not_droppable[{at}]");
        if *event == 0 || events.is_some_and(|events| *event > events) {
            r.wrong_field(
                &field,
                format!("event {event} is not in the season; the first is 1{}", events.map_or(String::new(), |n| format!(", the last {n}"))),
            );
        }
        if !seen.insert(event) {
            r.wrong_field(&field, format!("event {event} is there twice; remove one"));
        }
    }
    for (count, field) in [(rules.min_events, "min_events"), (rules.min_starts, "min_starts")] {
        if let Some(events) = events.filter(|events| count > *events) {
            r.wrong_field(&of(field), format!("{count} is more than the {events} events of the season"));
        }
    }
    for (at, tie) in rules.ties.iter().enumerate() {
        if rules.ties[..at].contains(tie) {
            r.wrong_field(&format!("{name}.ties[{at}]"), "duplicate: what did not decide before cannot decide here; remove it");
        }
    }
}

/// Drops against the number of events.
fn counted(rules: &SeasonRules, name: &str, r: &mut Reader) {
    let (numbers, field, best) = match &rules.counted {
        Counted::All => return,
        Counted::Drop(numbers) => (numbers, format!("{name}.drop"), false),
        Counted::Best(numbers) => (numbers, format!("{name}.best"), true),
    };
    let events = rules.events.unwrap_or(EVENTS_MAX).min(EVENTS_MAX) as usize;
    let parts = if rules.halves != Halves::No && rules.events.is_none() { vec![EVENTS_MAX as usize; 2] } else { rules.parts_of(events) };
    if numbers.is_empty() || (numbers.len() > 1 && numbers.len() != parts.len()) {
        let wanted = if parts.len() == 1 { "one number".into() } else { format!("one number, or {} (one for each part)", parts.len()) };
        return r.wrong_field(&field, format!("has {} numbers, but the season has {} part(s); write {wanted}", numbers.len(), parts.len()));
    }
    for (at, events) in parts.iter().enumerate() {
        let Some(number) = numbers.get(at).or(numbers.last()) else { continue };
        let field = if r.has(&format!("{field}[{at}]")) { format!("{field}[{at}]") } else { field.clone() };
        match best {
            true if *number == 0 => r.wrong_field(&field, "the best 0 events would leave no points; write at least 1"),
            true if number > events => r.wrong_field(&field, format!("the best {number} of {events} events; there are not so many")),
            false if number >= events => r.wrong_field(&field, format!("drops {number} of {events} events, so nothing would count; drop fewer")),
            _ => {}
        }
    }
    let droppable = rules.events.map(|events| (1..=events).filter(|event| !rules.not_droppable.contains(event)).count());
    let most = numbers.iter().fold(0usize, |sum, number| sum.saturating_add(*number));
    if let Some(droppable) = droppable.filter(|droppable| !best && most > *droppable) {
        r.wrong_field(&field, format!("drops {most} events, but only {droppable} may be dropped; see \"not_droppable\""));
    }
}

fn team(rules: &TeamRules, name: &str, r: &mut Reader) {
    if rules.best == Some(0) {
        r.wrong_field(&format!("{name}.best"), "the best 0 cars score nothing; leave the field out for all cars");
    }
    falling(&rules.table, &format!("{name}.table"), r);
    season(&rules.season, &format!("{name}.season"), r);
}
