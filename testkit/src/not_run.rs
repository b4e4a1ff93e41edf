//! The contract between a test that cannot run here and the report of `cargo xtask test`.
//!
//! A test that lacks something (a broker, recordings) prints `NOT RUN: test: reason` and returns; one that this platform
//! can never run prints `NOT APPLICABLE: test: reason`. The runner reads both from the output. Where a line could be lost
//! (a child process whose output is thrown away), the same line is appended to the file named by `BOXBOX_NOT_RUN`.

use std::collections::BTreeSet;
use std::io::Write;

/// The variable naming the file that such lines are appended to as well.
pub const FILE_VARIABLE: &str = "BOXBOX_NOT_RUN";

const NOT_RUN: &str = "NOT RUN: ";
const NOT_APPLICABLE: &str = "NOT APPLICABLE: ";

/// Prints that `test` cannot run on this machine, and what the machine lacks: "the_suite_on_kafka", "no Maven: apt install maven".
pub fn not_run(test: &str, reason: impl std::fmt::Display) {
    say(&format!("{NOT_RUN}{test}: {reason}"));
}

/// Prints that `test` can never run on this platform, and why.
pub fn not_applicable(test: &str, reason: impl std::fmt::Display) {
    say(&format!("{NOT_APPLICABLE}{test}: {reason}"));
}

/// What was not run, gathered over a whole test run. Each line counts once, however often it is printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NotRun {
    /// `what: why`, for tests that this machine could run if more were installed.
    pub not_run: BTreeSet<String>,
    /// `what: why`, for tests that this platform cannot run at all.
    pub not_applicable: BTreeSet<String>,
}

impl NotRun {
    /// Reads a line of a test's output. A line without either marker is ignored.
    pub fn hear(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix(NOT_RUN) {
            self.not_run.insert(rest.to_owned());
        } else if let Some(rest) = line.strip_prefix(NOT_APPLICABLE) {
            self.not_applicable.insert(rest.to_owned());
        }
    }

    /// Reads the file's lines; a line without a marker counts as `NOT RUN` there.
    pub fn read(&mut self, file: &str) {
        for line in file.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with(NOT_RUN) || line.starts_with(NOT_APPLICABLE) {
                self.hear(line);
            } else {
                self.not_run.insert(line.to_owned());
            }
        }
    }

    /// Number of lines of both kinds.
    pub fn count(&self) -> usize {
        self.not_run.len() + self.not_applicable.len()
    }
}

fn say(line: &str) {
    eprintln!("{line}");
    let Some(path) = std::env::var_os(FILE_VARIABLE) else {
        return;
    };
    // One write of one line: lines of tests that append at the same time do not mix.
    let appended = std::fs::File::options().append(true).create(true).open(&path);
    if let Err(error) = appended.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
        eprintln!("cannot append to {}: {error}", path.to_string_lossy());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_kept_apart_and_counted_once() {
        let mut heard = NotRun::default();
        for line in [
            "test a ... ok",
            "NOT RUN: suite_on_kafka: no Maven: apt install maven",
            "  NOT RUN: suite_on_kafka: no Maven: apt install maven  ",
            "NOT APPLICABLE: kill_9: Windows has no signals",
            "something NOT RUN: in the middle",
        ] {
            heard.hear(line);
        }
        assert_eq!(heard.not_run, ["suite_on_kafka: no Maven: apt install maven".to_owned()].into());
        assert_eq!(heard.not_applicable, ["kill_9: Windows has no signals".to_owned()].into());
        assert_eq!(heard.count(), 2);
    }

    #[test]
    fn the_file_and_the_output_tell_one_story() {
        let mut heard = NotRun::default();
        heard.hear("NOT RUN: a: b");
        heard.read("NOT RUN: a: b\n\nplain: no marker\nNOT APPLICABLE: c: d\n");
        assert_eq!(heard.not_run, ["a: b".to_owned(), "plain: no marker".to_owned()].into());
        assert_eq!(heard.not_applicable, ["c: d".to_owned()].into());
    }
}
