//! As much of PromQL as the checks need: the names of metrics in an expression, its variables and its windows.

use std::collections::BTreeSet;

/// Words of the language that look like names of metrics.
const WORDS: &[&str] = &["and", "or", "unless", "offset", "bool", "inf", "nan", "start", "end"];

/// Words that are followed by labels in parentheses.
const BEFORE_LABELS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A piece of an expression.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Word(&'a str),
    /// What stands in brackets: a window.
    Window(&'a str),
    Sign(char),
}

/// The names of metrics that an expression asks for.
pub(super) fn metrics(expr: &str) -> BTreeSet<&str> {
    let pieces = pieces(expr);
    let (mut names, mut at) = (BTreeSet::new(), 0);
    while at < pieces.len() {
        let Piece::Word(word) = pieces[at] else {
            at += 1;
            continue;
        };
        at += 1;
        if BEFORE_LABELS.contains(&word) {
            if pieces.get(at) == Some(&Piece::Sign('(')) {
                at += pieces[at..].iter().position(|piece| *piece == Piece::Sign(')')).unwrap_or(0);
            }
            continue;
        }
        let called = pieces.get(at) == Some(&Piece::Sign('('));
        // An aggregation may have its labels first: `sum by (le) (…)`.
        let aggregates = matches!(pieces.get(at), Some(Piece::Word("by" | "without")));
        if !called && !aggregates && !WORDS.contains(&word.to_ascii_lowercase().as_str()) && !word.starts_with('$') {
            names.insert(word);
        }
    }
    names
}

/// The windows of an expression, as they stand in brackets.
pub(super) fn windows(expr: &str) -> Vec<&str> {
    let window = |piece| if let Piece::Window(window) = piece { Some(window) } else { None };
    pieces(expr).into_iter().filter_map(window).collect()
}

/// The variables of Grafana in an expression, in strings too: `$name` and `${name}`.
pub(super) fn variables(expr: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, _) in expr.match_indices('$') {
        let rest = expr[at + 1..].trim_start_matches('{');
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        found.insert(&rest[..end]);
    }
    found
}

/// Seconds of a duration such as `90s`, `5m`, `1h` or `3d`.
pub(super) fn seconds(duration: &str) -> Option<u64> {
    let number: u64 = duration.get(..duration.len().checked_sub(1)?)?.parse().ok()?;
    let unit = match duration.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    Some(number * unit)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

fn pieces(expr: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), expr);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            // Matchers hold labels and strings, which are no metrics.
            '{' => closing(rest, '}'),
            '[' => closing(rest, ']'),
            '"' => closing(&rest[1..], '"') + 1,
            c if c.is_ascii_alphabetic() || matches!(c, '_' | ':' | '$') => rest[1..].find(|c: char| !is_name(c)).map_or(rest.len(), |end| end + 1),
            // A number, with an exponent.
            c if c.is_ascii_digit() => rest.find(|c: char| !is_name(c) && c != '.').unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        match first {
            '[' => pieces.push(Piece::Window(&rest[1..end - 1])),
            '{' | '"' => {}
            c if c.is_ascii_alphabetic() || matches!(c, '_' | ':' | '$') => pieces.push(Piece::Word(&rest[..end])),
            c if c.is_ascii_digit() || c.is_whitespace() => {}
            c => pieces.push(Piece::Sign(c)),
        }
        rest = &rest[end..];
    }
    pieces
}

/// Where a text goes on after the first `close` that is in no string.
fn closing(text: &str, close: char) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if c == close && !escaped && (!quoted || close == '"') {
            return at + c.len_utf8();
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_metrics_only() {
        let expr = r#"histogram_quantile(0.99, sum by (le, job) (rate(a_bucket{le=~"1|1.0",x="}b"}[5m]))) > 14.4e1
            and on (instance) count(b_total offset 5m) without (c) or sum without (d) (e{f="g"}) unless $h == bool inf"#;
        assert_eq!(metrics(expr), ["a_bucket", "b_total", "e"].into());
        assert_eq!(metrics("slo:ack:bad_ratio5m > 1 and vector(1)"), ["slo:ack:bad_ratio5m"].into());
        assert_eq!(metrics("a * on (job, instance) group_left (version) b"), ["a", "b"].into());
    }

    #[test]
    fn windows_and_variables_are_found() {
        let expr = r#"rate(a{instance=~"$instance",job="${job}"}[$__rate_interval]) + max_over_time(b[5m:1m])"#;
        assert_eq!(windows(expr), ["$__rate_interval", "5m:1m"]);
        assert_eq!(variables(expr), ["instance", "job", "__rate_interval"].into());
        assert_eq!(["90s", "5m", "1h", "3d", "5", ""].map(seconds), [Some(90), Some(300), Some(3_600), Some(259_200), None, None]);
    }
}
