//! Reads the output of `cargo test` as it comes: results per target, the names of failed tests, and which lines to show.
//!
//! Tests run with `--show-output`, because a passing test's `NOT RUN` line would be swallowed otherwise. The output of passing
//! tests is read and kept in the log, but not shown.

/// Results of libtest, summed over targets.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

/// A reader of `cargo test`'s output, fed line by line.
#[derive(Debug, Default)]
pub(crate) struct Libtest {
    pub(crate) counts: Counts,
    /// `target: test`, for each test that failed.
    pub(crate) failures: Vec<String>,
    target: String,
    within_successes: bool,
}

impl Libtest {
    /// Takes a line in; true if it is to be shown.
    pub(crate) fn hear(&mut self, line: &str) -> bool {
        if let Some(target) = target(line) {
            self.target = target.to_owned();
            self.within_successes = false;
        } else if line == "successes:" {
            self.within_successes = true;
        } else if line == "failures:" {
            self.within_successes = false;
        } else if let Some(counts) = result(line) {
            self.within_successes = false;
            self.counts.passed += counts.passed;
            self.counts.failed += counts.failed;
            self.counts.ignored += counts.ignored;
        } else if !self.within_successes
            && let Some(test) = failed(line)
        {
            self.failures.push(format!("{}: {test}", self.target));
        }
        !self.within_successes
    }
}

/// `     Running tests/suite.rs (target/release/deps/suite-0123)` or `   Doc-tests boxbox_log`.
fn target(line: &str) -> Option<&str> {
    let line = line.trim_start();
    match line.strip_prefix("Running ") {
        Some(target) => target.split_once(" (").map(|(target, _)| target.strip_prefix("unittests ").unwrap_or(target)),
        None => line.starts_with("Doc-tests ").then_some(line),
    }
}

/// `test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
fn result(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |name: &str| {
        let field = numbers.split("; ").find_map(|field| field.strip_suffix(name))?;
        field.trim().parse().ok()
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")?, ignored: number("ignored")? })
}

/// `test wire::tests::golden ... FAILED`.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
   Compiling boxbox-log v0.1.0
     Running unittests src/lib.rs (target/release/deps/boxbox_log-0123)

running 3 tests
test a ... ok
test b ... FAILED
test c ... ignored

successes:

---- a stdout ----
NOT RUN: a: no Maven: apt install maven
test printed by a test ... FAILED


successes:
    a

failures:

---- b stdout ----
thread 'b' panicked

failures:
    b

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

   Doc-tests boxbox_log

running 2 tests
test log/src/lib.rs - Log (line 3) ... ok
test log/src/lib.rs - Log (line 9) ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s
";

    #[test]
    fn counts_and_names_come_from_the_results() {
        let mut libtest = Libtest::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| libtest.hear(line)).collect();
        assert_eq!(libtest.counts, Counts { passed: 3, failed: 1, ignored: 1 });
        assert_eq!(libtest.failures, ["src/lib.rs: b"]);
        assert!(shown.contains(&"thread 'b' panicked") && shown.contains(&"test a ... ok"));
        assert!(!shown.iter().any(|line| line.starts_with("NOT RUN") || *line == "successes:"));
        assert_eq!(shown.iter().filter(|line| line.starts_with("test result:")).count(), 2);
    }

    #[test]
    fn what_is_no_result_counts_nothing() {
        for line in ["test result: ok", "test result: ok. many passed; 0 failed; 0 ignored", "running 5 tests", "12 passed, 0 failed"] {
            assert_eq!(result(line), None, "{line}");
        }
    }
}
