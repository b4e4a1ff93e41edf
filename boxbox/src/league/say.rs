//! What the commands of leagues print. Names and reasons come from people, so whatever does something to a terminal is left out.

use boxbox_schemas::text::plain;
use serde_json::Value;

use crate::show::columns::{fitting, of_terminal};
use crate::show::report::line;

/// Print a line.
pub fn say(text: &str) {
    line(&plain(text));
}

/// A text of a document; empty if it has none.
pub fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().unwrap_or_default()
}

/// The items of a list; none if it is none.
pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// What a person or team is called in a document; else its id.
pub fn name<'a>(document: &'a Value, id: &'a str) -> &'a str {
    let names = &document["names"];
    names["persons"][id].as_str().or_else(|| names["teams"][id].as_str()).unwrap_or(id)
}

/// A column: what stands above it, its rank (those with the highest are left out where the terminal is too narrow), and whether it is text.
pub struct Column {
    pub head: String,
    pub rank: u8,
    pub is_text: bool,
}

impl Column {
    /// A column of numbers.
    pub fn number(head: &str, rank: u8) -> Self {
        Self { head: head.to_owned(), rank, is_text: false }
    }

    /// A column of text.
    pub fn text(head: &str, rank: u8) -> Self {
        Self { is_text: true, ..Self::number(head, rank) }
    }
}

/// Print rows under the heads of their columns.
pub fn table(columns: &[Column], rows: &[Vec<String>]) {
    lines(columns, rows, of_terminal()).iter().for_each(|text| line(text));
}

fn lines(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let head: Vec<String> = columns.iter().map(|column| column.head.clone()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&head).chain(rows).map(|row| row.iter().map(|cell| plain(cell).into_owned()).collect()).collect();
    let longest = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let sizes: Vec<(u8, usize)> = columns.iter().enumerate().map(|(at, column)| (column.rank, longest(at))).collect();
    let shown = fitting(&sizes, 2, width.unwrap_or(usize::MAX));
    let cell = |(at, cell): (usize, &String)| {
        let size = sizes[at].1;
        if columns[at].is_text { format!("{cell:<size$}") } else { format!("{cell:>size$}") }
    };
    let one = |row: &Vec<String>| row.iter().enumerate().filter(|(at, _)| shown[*at]).map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned();
    rows.iter().map(one).collect()
}

/// Print why something is what it is: rule, points, words, and the act and the penalty that decided it.
pub fn reasons(why: &Value, indent: usize) {
    for of in items(why) {
        let points = of["points"].as_str().map_or_else(String::new, |points| format!(" {points}"));
        let act = of["act"].as_u64().map_or_else(String::new, |act| format!(", act {act}"));
        let penalty = of["penalty"].as_str().map_or_else(String::new, |penalty| format!(", penalty {penalty}"));
        say(&format!("{:indent$}{}{points}: {}{act}{penalty}", "", text(of, "rule"), text(of, "text")));
    }
}

/// Print what was done.
pub fn told(answer: &Value) {
    told_lines(answer).iter().for_each(|text| say(text));
}

fn told_lines(answer: &Value) -> Vec<String> {
    let (first, head) = (answer["first"].as_u64().unwrap_or(0), answer["head"].as_u64().unwrap_or(0));
    let mut out = vec![match head.checked_sub(first) {
        None => "nothing to change".to_owned(),
        Some(0) => format!("act {head} is written"),
        Some(_) => format!("acts {first} to {head} are written"),
    }];
    out.extend(items(&answer["penalties"]).filter_map(Value::as_str).map(|id| format!("penalty {id}")));
    for of in items(&answer["published"]) {
        let difference: Vec<String> = items(&of["difference"]).filter_map(Value::as_str).map(|change| named(answer, change)).collect();
        let difference = if difference.is_empty() { String::new() } else { format!(": {}", difference.join(", ")) };
        out.push(format!("{} {}: {} revision {}{difference}", text(of, "of"), text(of, "id"), text(of, "state"), of["revision"]));
    }
    out.extend(unclaimed(answer));
    out
}

/// A change such as `p-… -25` with the name of whom it is about.
fn named(answer: &Value, change: &str) -> String {
    match change.split_once(' ') {
        Some((who, what)) => format!("{} {what}", name(answer, who)),
        None => change.to_owned(),
    }
}

/// The cars of a session that no entry was found for.
fn unclaimed(answer: &Value) -> Option<String> {
    let cars: Vec<String> = items(&answer["unclaimed"])
        .map(|of| {
            let car = of["number"].as_str().map_or_else(|| text(of, "entry").to_owned(), |number| format!("number {number}"));
            let more: Vec<String> = [text(of, "class").to_owned(), text(of, "car").to_owned()]
                .into_iter()
                .filter(|text| !text.is_empty())
                .chain(of["laps"].as_u64().map(|laps| format!("{laps} laps")))
                .collect();
            if more.is_empty() { car } else { format!("{car} ({})", more.join(", ")) }
        })
        .collect();
    let count = answer["unclaimed_count"].as_u64().unwrap_or(cars.len() as u64);
    let rest = count.saturating_sub(cars.len() as u64);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    (count > 0).then(|| {
        format!(
            "cars without an entry: {}{rest}. They score nothing until `boxbox league entries import` or a rebound (`boxbox league acts`) says whose they are, and the result is published again",
            cars.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_wrote_does_nothing_to_a_terminal() {
        let columns = [Column::number("rank", 0), Column::text("driver", 1)];
        let rows = [vec!["1".to_owned(), "\u{1b}[2JEve\u{202e}".to_owned()], vec!["10".to_owned(), "Al".to_owned()]];
        assert_eq!(lines(&columns, &rows, None), ["rank  driver", "   1  [2JEve", "  10  Al"]);
        assert_eq!(lines(&columns, &rows, Some(5)), ["rank", "   1", "  10"]);
    }

    #[test]
    fn what_was_done_is_told_with_names() {
        let answer = json!({ "first": 4, "head": 6, "penalties": ["pen-4"], "names": { "persons": { "p-1": "Ann" }, "teams": {} },
            "published": [{ "of": "championship", "id": "drivers", "state": "amended", "revision": 2, "difference": ["p-1 -7", "p-2 1 to 2"] }],
            "unclaimed": [{ "entry": "u-0", "number": "7", "class": "GT3", "car": null, "laps": 12 }, { "entry": "u-1", "number": null, "laps": 1 }],
            "unclaimed_count": 5 });
        let lines = told_lines(&answer);
        assert_eq!(lines[..3], ["acts 4 to 6 are written", "penalty pen-4", "championship drivers: amended revision 2: Ann -7, p-2 1 to 2"]);
        assert!(lines[3].starts_with("cars without an entry: number 7 (GT3, 12 laps), u-1 (1 laps) and 3 more."), "{lines:?}");
        assert_eq!(told_lines(&json!({ "first": 5, "head": 4, "published": [], "unclaimed": [], "unclaimed_count": 0 })), ["nothing to change"]);
    }
}
