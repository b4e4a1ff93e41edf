//! Tests of the alerts for `promtool test rules`: each alert is silent one step below its threshold, fires beyond it, and resolves.
//!
//! A test has three phases of the series that its table names: well, ill, well again. Each phase is as long as the alert's longest
//! window and its `for` together, and the alert is looked at where a phase ends.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use super::promql::{seconds, windows};
use super::rules::{Entry, RuleBook, WINDOWS, condition};
use super::source::{Alert, Severity};
use super::yaml::text;

/// Steps of a test, in seconds and as written, and the longest phase that a test with this step has: long tests have wide steps.
/// A series is stale after 5 minutes, so that no step is longer than 4.
const STEPS: [(u64, &str, u64); 3] = [(15, "15s", 7_200), (60, "1m", 43_200), (240, "4m", u64::MAX)];

/// Steps of a phase beyond its windows.
const SPARE_STEPS: u64 = 8;

/// A file of tests.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) name: String,
    pub(super) text: String,
}

/// One series of a test: what it is in the phases well and ill.
#[derive(Debug)]
struct Series<'a> {
    name: &'a str,
    well: Course,
    ill: Course,
}

/// What a series does in a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Course {
    /// It is this.
    Is(f64),
    /// It rises by this at each step.
    Rises(f64),
    Absent,
}

/// The files of tests: one for each file of rules and step, because a file has one step.
pub(super) fn files(book: &RuleBook) -> Result<Vec<TestFile>> {
    let mut files: Vec<TestFile> = Vec::new();
    for Entry { file, alert, .. } in book.all() {
        let (step, step_text, _) = step_of(alert)?;
        let name = format!("{file}-{step_text}.yml");
        let at = files.iter().position(|file| file.name == name).unwrap_or_else(|| {
            let head = format!("rule_files: [../{file}.yml]\nevaluation_interval: {step_text}\ntests:\n");
            files.push(TestFile { name, text: head });
            files.len() - 1
        });
        files[at].text += &test(alert, book, step).with_context(|| format!("the test of {}", alert.name))?;
    }
    Ok(files)
}

/// Seconds of the longest window of an alert, and of its `for`.
fn windows_of(alert: &Alert) -> Result<(u64, u64)> {
    let expr = condition(alert)?;
    let mut longest = 0;
    for window in windows(&expr) {
        let window = window.split(':').next().unwrap_or_default();
        longest = longest.max(seconds(window).with_context(|| format!("{}: {window} is no window", alert.name))?);
    }
    for (window, length) in WINDOWS {
        if expr.contains(&format!(":bad_ratio{window} ")) {
            longest = longest.max(length);
        }
    }
    let holds = alert.holds.as_deref().map_or(Some(0), seconds).with_context(|| format!("{}: its `for` is no duration", alert.name))?;
    Ok((longest, holds))
}

fn step_of(alert: &Alert) -> Result<(u64, &'static str, u64)> {
    let (window, holds) = windows_of(alert)?;
    STEPS.into_iter().find(|(_, _, most)| window + holds <= *most).context("there is a step without a limit")
}

fn test(alert: &Alert, book: &RuleBook, step: u64) -> Result<String> {
    ensure!(alert.severity == Severity::None || !alert.test.series.is_empty(), "it has no series");
    let (window, holds) = windows_of(alert)?;
    let whole = (window + holds) / step + SPARE_STEPS;
    let ill = match &alert.test.ill {
        Some(ill) => seconds(ill).with_context(|| format!("{ill} is no duration"))? / step + SPARE_STEPS,
        None => whole,
    };
    let mut out = format!("  - name: {}\n    interval: {step}s\n    input_series:\n", alert.name);
    for line in &alert.test.series {
        let series = series(line)?;
        writeln!(out, "      - series: {}\n        values: {}", text(series.name), text(&values(&series, [whole, ill, whole])))?;
    }
    if alert.test.series.is_empty() {
        out = out.replace("    input_series:\n", "    input_series: []\n");
    }
    out += "    alert_rule_test:\n";
    // The first sample is at 0.
    let ends = [(whole - 1) * step, (whole + ill - 1) * step, (whole + ill + whole - 1) * step];
    for (at, fires) in ends.into_iter().zip([false, true, false]) {
        // The dead man's switch always fires: that is what it is for.
        if !fires && alert.severity == Severity::None {
            continue;
        }
        write!(out, "      - eval_time: {at}s\n        alertname: {}\n        exp_alerts:", alert.name)?;
        if fires {
            out += &expected(alert, book)?;
        } else {
            out += " []\n";
        }
    }
    Ok(out)
}

fn expected(alert: &Alert, book: &RuleBook) -> Result<String> {
    let mut out = format!("\n          - exp_labels:\n              severity: {}\n", alert.severity.word());
    let mut summary = alert.summary.clone();
    for (label, value) in &alert.test.labels {
        writeln!(out, "              {label}: {}", text(value))?;
        summary = summary.replace(&format!("{{{{ $labels.{label} }}}}"), value);
    }
    ensure!(!summary.contains("{{"), "its summary names a label that the test does not have");
    write!(out, "            exp_annotations:\n              summary: {}\n", text(&summary))?;
    writeln!(out, "              runbook_url: {}", text(&book.runbook(&alert.name)))?;
    Ok(out)
}

fn series(line: &str) -> Result<Series<'_>> {
    let (name, courses) = line.rsplit_once(": ").with_context(|| format!("{line:?} is not `series: well | ill`"))?;
    let (well, ill) = courses.split_once('|').with_context(|| format!("{line:?} is not `series: well | ill`"))?;
    Ok(Series { name, well: course(well.trim())?, ill: course(ill.trim())? })
}

fn course(text: &str) -> Result<Course> {
    let number = |text: &str| text.parse::<f64>().with_context(|| format!("{text:?} is neither a number nor `_`"));
    Ok(match text.strip_prefix('+') {
        _ if text == "_" => Course::Absent,
        Some(by) => Course::Rises(number(by)?),
        None => Course::Is(number(text)?),
    })
}

/// The values of a series in promtool's notation: `a+bxn` is a and n values more.
fn values(series: &Series<'_>, phases: [u64; 3]) -> String {
    let (mut at, mut out) = (0.0, Vec::new());
    for (course, steps) in [series.well, series.ill, series.well].into_iter().zip(phases) {
        out.push(match course {
            Course::Absent => format!("_x{steps}"),
            Course::Is(value) => {
                at = value;
                format!("{value}x{}", steps - 1)
            }
            Course::Rises(by) => {
                // Sums of fractions are not exact, and the file need not say so.
                let first = rounded(at + by);
                at = first + by * (steps - 1) as f64;
                format!("{first}{by:+}x{}", steps - 1)
            }
        });
    }
    out.join(" ")
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_where_it_was() {
        let counter = series("a{b=\"c: d\"}: +10 | +0").unwrap();
        assert_eq!(counter.name, "a{b=\"c: d\"}");
        assert_eq!(values(&counter, [3, 2, 3]), "10+10x2 30+0x1 40+10x2");
        assert_eq!(values(&series("a: 1.5 | _").unwrap(), [3, 2, 3]), "1.5x2 _x2 1.5x2");
        assert_eq!(values(&series("a: 20 | +-5").unwrap(), [2, 2, 2]), "20x1 15-5x1 20x1");
        assert!(series("a: 1").is_err() && series("a: x | 1").is_err());
    }
}
