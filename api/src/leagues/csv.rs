//! CSV as spreadsheets write it: named columns, in any order. Every fault is told with its line.

use std::collections::BTreeMap;

use boxbox_schemas::text::plain;

use crate::problem::Problem;

/// Most faults that are told.
const FAULTS_MAX: usize = 20;
/// Longest cell, characters.
const CELL_MAX: usize = 200;

/// A line, cell by column.
pub(super) struct Line {
    pub(super) number: u64,
    cells: BTreeMap<String, String>,
}

impl Line {
    /// What is in a column; empty if there is no such column.
    pub(super) fn get(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    /// The first of these columns that says something.
    pub(super) fn first(&self, columns: &[&str]) -> &str {
        columns.iter().map(|column| self.get(column)).find(|cell| !cell.is_empty()).unwrap_or_default()
    }
}

/// The lines of a file, `most` at most. Unknown columns are a fault: most of them are misspelt.
pub(super) fn lines(bytes: &[u8], columns: &[&str], most: usize) -> Result<Vec<Line>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::unprocessable("bad_csv", "The file is no text in UTF-8: save it as CSV in UTF-8."))?;
    let text = text.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or_default();
    // Spreadsheets of many languages write semicolons.
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|c| (header.bytes().filter(|b| b == c).count(), *c == b',')).unwrap_or(b',');
    let known = || columns.join(", ");
    // Each column is there once at most, so that a line of very many cells is no header.
    if header.bytes().filter(|b| *b == delimiter).count() >= 2 * columns.len() {
        return Err(Problem::unprocessable("bad_csv", format!("line 1: too many columns: the columns are {}", known())));
    }
    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(::csv::Trim::All).from_reader(text.as_bytes());
    let unreadable = |error: ::csv::Error| Problem::unprocessable("bad_csv", format!("The file cannot be read: {error}"));
    let named: Vec<String> = reader.headers().map_err(unreadable)?.iter().map(|name| name.to_lowercase().replace([' ', '-'], "_")).collect();
    let mut faults: Vec<String> =
        named.iter().filter(|name| !columns.contains(&name.as_str())).map(|name| format!("line 1: unknown column {name:?}")).collect();
    if !faults.is_empty() {
        faults.push(format!("the columns are {}", known()));
    }
    if let Some(line) = open_quote(text, delimiter) {
        return Err(Problem::unprocessable(
            "bad_csv",
            format!("line {line}: a quote is opened and not closed: write one at the end of the cell too"),
        ));
    }
    faults.extend((1..named.len()).filter(|at| named[..*at].contains(&named[*at])).map(|at| format!("line 1: {} is there twice", named[at])));
    let mut out = vec![];
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let number = record.position().map_or(0, ::csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() > named.len() || record.iter().any(|cell| cell.chars().count() > CELL_MAX || cell.contains('\0')) {
            faults.push(format!("line {number}: more cells than columns, or a cell of more than {CELL_MAX} characters"));
        }
        if record.iter().any(|cell| *plain(cell) != *cell) {
            faults
                .push(format!("line {number}: a cell with a control character, an end of line or a mark that is not shown: is a quote not closed?"));
        }
        if out.len() == most {
            return Err(Problem::unprocessable("bad_csv", format!("The file has more than {most} lines: send it in parts.")));
        }
        out.push(Line { number, cells: named.iter().cloned().zip(record.iter().map(str::to_owned)).collect() });
    }
    if out.is_empty() {
        faults.push(format!("there is no line under the first one, which names the columns: {}", known()));
    }
    told(faults)?;
    Ok(out)
}

/// The line in which a cell begins with a quote that nothing closes. A reader would take all that follows as one cell.
fn open_quote(text: &str, delimiter: u8) -> Option<usize> {
    let (mut line, mut opened, mut begins) = (1, None, true);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        line += usize::from(c == '\n');
        match (opened, c) {
            // A quote within a quoted cell is written twice.
            (Some(_), '"') if chars.peek() == Some(&'"') => drop(chars.next()),
            (Some(_), '"') => (opened, begins) = (None, false),
            (Some(_), _) => {}
            (None, '"') if begins => opened = Some(line),
            (None, c) => begins = c == '\n' || c == '\r' || c == char::from(delimiter),
        }
    }
    opened
}

/// Refuses if there are faults.
pub(super) fn told(mut faults: Vec<String>) -> Result<(), Problem> {
    if faults.is_empty() {
        return Ok(());
    }
    let more = faults.len().saturating_sub(FAULTS_MAX);
    faults.truncate(FAULTS_MAX);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Err(Problem::unprocessable("bad_csv", faults.join("; ")))
}

/// `1:32:14.123`, `32:14.123` or `92.5` as µs.
pub(super) fn time_us(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = whole.split(':').collect();
    if parts.len() > 3 || decimals.len() > 6 || !digits(decimals) || parts.iter().any(|part| part.is_empty() || part.len() > 6 || !digits(part)) {
        return None;
    }
    let seconds = parts.iter().try_fold(0i64, |sum, part| Some(sum * 60 + part.parse::<i64>().ok()?))?;
    Some(seconds * 1_000_000 + format!("{decimals:0<6}").parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, us) in [("92.5", 92_500_000), ("1:32.000001", 92_000_001), ("1:32:14.123", 5_534_123_000), ("5,5", 5_500_000)] {
            assert_eq!(time_us(text), Some(us), "{text}");
        }
        for text in ["", ":", "1:", "1:2:3:4", "-5", "1.2.3", "a", "1.1234567", "9999999:1"] {
            assert_eq!(time_us(text), None, "{text}");
        }
    }

    #[test]
    fn faults_are_told_with_their_line() {
        let of = |text: &str| lines(text.as_bytes(), &["entry", "class"], 2);
        assert_eq!(of("\u{feff}entry;class\na;b\n\n").unwrap()[0].get("class"), "b");
        for (text, line) in [("entry\n\"a\n", 2), ("entry\na\n\"b", 3), ("entry\n\"a\nb\"\n\"c\n", 4), ("entry,class\na,\"b\nc,d\n", 2)] {
            let told = of(text).err().unwrap();
            assert!(format!("{told:?}").contains(&format!("line {line}:")), "{text:?}: {told:?}");
        }
        assert_eq!(of("entry\n\"a\"\"b\"\n").unwrap()[0].get("entry"), "a\"b");
        assert_eq!(of("entry\n\"a\"\n").unwrap()[0].get("entry"), "a");
        for text in ["entry\n\"a\nb\"\n", "entry\na\u{1b}[31m\n", "entry\na\u{202e}b\n", "entry\na\u{200b}b\n"] {
            assert!(of(text).is_err(), "{text:?}");
        }
        assert!(format!("{:?}", of("entry,colour\na,b\n").err().unwrap()).contains("the columns are entry, class"));
        for text in ["", "entry\n", "entry,colour\na,b\n", "entry,entry\na,b\n", "entry\na,b\n", "entry\na\nb\nc\n", "entry\n\u{0}\n"] {
            assert!(of(text).is_err(), "{text:?}");
        }
    }
}
