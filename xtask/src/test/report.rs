//! The end of `cargo xtask test`: what passed, what failed, what was not run and why; and the verdict.

use std::fmt;
use std::time::Duration;

use super::libtest::Counts;
use boxbox_testkit::not_run::NotRun;

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) verdict: Verdict,
    /// The counts of a step with many tests; a step without counts is one check.
    pub(crate) counts: Option<Counts>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// Each line is one fault.
    Failed(Vec<String>),
    /// Why there was nothing to run.
    LeftOut(String),
}

/// The whole run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) not_run: NotRun,
    /// With `--strict`, or on a CI machine: what was not run is a failure.
    pub(crate) strict: bool,
}

/// More lines than this of one step are cut: the step's own output has them all.
const LINES_SHOWN: usize = 40;

impl Report {
    /// Checks that passed: single ones and those counted by test targets.
    fn passed(&self) -> usize {
        let single = |outcome: &Outcome| usize::from(outcome.verdict == Verdict::Passed);
        self.outcomes.iter().map(|outcome| outcome.counts.map_or_else(|| single(outcome), |counts| counts.passed)).sum()
    }

    /// Checks that failed. A step that failed although none of its tests did (it does not compile, it hangs) is one more.
    fn failed(&self) -> usize {
        let failed = |outcome: &Outcome| match (&outcome.verdict, outcome.counts) {
            (Verdict::Failed(_), counts) => counts.map_or(1, |counts| counts.failed.max(1)),
            (_, counts) => counts.map_or(0, |counts| counts.failed),
        };
        self.outcomes.iter().map(failed).sum()
    }

    fn skipped(&self) -> usize {
        self.not_run.count() + self.outcomes.iter().filter_map(|outcome| outcome.counts).map(|counts| counts.ignored).sum::<usize>()
    }

    /// True if the command ends with 0.
    pub(crate) fn is_good(&self) -> bool {
        self.failed() == 0 && (!self.strict || self.not_run.not_run.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n== summary")?;
        for outcome in &self.outcomes {
            let verdict = match &outcome.verdict {
                Verdict::Passed => "passed".to_owned(),
                Verdict::Failed(_) => "FAILED".to_owned(),
                Verdict::LeftOut(why) => format!("left out: {why}"),
            };
            write!(f, "{:<22} {:>7.1} s  {verdict}", outcome.name, outcome.took.as_secs_f64())?;
            if let Some(Counts { passed, failed, ignored }) = outcome.counts {
                write!(f, " ({passed} passed, {failed} failed, {ignored} ignored)")?;
            }
            writeln!(f)?;
            if let Verdict::Failed(lines) = &outcome.verdict {
                lines.iter().take(LINES_SHOWN).try_for_each(|line| writeln!(f, "    {line}"))?;
                if let Some(more) = lines.len().checked_sub(LINES_SHOWN).filter(|more| *more > 0) {
                    writeln!(f, "    … and {more} more")?;
                }
            }
        }
        for (title, list) in [("NOT RUN", &self.not_run.not_run), ("NOT APPLICABLE", &self.not_run.not_applicable)] {
            if !list.is_empty() {
                writeln!(f, "\n{title}")?;
                list.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
            }
        }
        if self.strict && self.failed() == 0 && !self.is_good() {
            writeln!(f, "\nwhat was not run counts as a failure here (--strict, or CI=true)")?;
        }
        write!(f, "\n{} passed, {} failed", self.passed(), self.failed())?;
        match self.skipped() {
            0 => writeln!(f),
            skipped => writeln!(f, ", {skipped} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(verdict: Verdict, counts: Option<Counts>) -> Outcome {
        Outcome { name: "step", took: Duration::from_secs(1), verdict, counts }
    }

    fn last_line(report: &Report) -> String {
        report.to_string().lines().next_back().unwrap().to_owned()
    }

    #[test]
    fn the_last_line_is_plain_and_adds_up() {
        let mut report = Report::default();
        report.outcomes.push(outcome(Verdict::Passed, None));
        report.outcomes.push(outcome(Verdict::Passed, Some(Counts { passed: 40, failed: 0, ignored: 0 })));
        assert_eq!(last_line(&report), "41 passed, 0 failed");
        assert!(report.is_good());
        report.outcomes.push(outcome(Verdict::LeftOut("only tests named x".into()), None));
        report.outcomes.push(outcome(Verdict::Failed(vec!["a.rs:1: a tab".into()]), None));
        report.outcomes.push(outcome(Verdict::Failed(vec![]), Some(Counts { passed: 1, failed: 2, ignored: 3 })));
        report.not_run.hear("NOT RUN: x: no Maven: apt install maven");
        assert_eq!(last_line(&report), "42 passed, 3 failed, 4 skipped");
        assert!(!report.is_good() && report.to_string().contains("a.rs:1: a tab"));
    }

    #[test]
    fn tests_that_do_not_compile_are_a_failure() {
        let mut report = Report::default();
        report.outcomes.push(outcome(Verdict::Failed(vec!["does not build".into()]), Some(Counts::default())));
        assert_eq!(last_line(&report), "0 passed, 1 failed");
        assert!(!report.is_good());
    }

    #[test]
    fn what_was_not_run_fails_a_strict_run_only_and_what_cannot_run_never() {
        let mut report = Report::default();
        report.outcomes.push(outcome(Verdict::Passed, None));
        report.not_run.hear("NOT APPLICABLE: y: no such platform");
        report.strict = true;
        assert!(report.is_good());
        report.not_run.hear("NOT RUN: x: no Maven: apt install maven");
        assert!(!report.is_good() && report.to_string().contains("counts as a failure"));
        report.strict = false;
        assert!(report.is_good() && report.to_string().contains("    x: no Maven: apt install maven\n"));
    }
}
