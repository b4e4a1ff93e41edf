//! `cargo xtask test`: all checks of the project, from a clean clone, with the tools that the machine has.
//!
//! It brings up the services it can, runs all steps even if one fails, takes the services down, and ends with what passed,
//! what failed, and what was NOT RUN and why. The variables tests get:
//!
//! | variable | meaning |
//! |---|---|
//! | `KAFKA_BROKERS` | a real broker; one that is set already is used as it is, and none is started |
//! | `POSTGRES_URL` | a real PostgreSQL, in the same way; with `POSTGRES_PASSWORD_FILE`, and `POSTGRES_CA` for TLS |
//! | `CLICKHOUSE_URL` | a real ClickHouse, in the same way; with `CLICKHOUSE_PASSWORD_FILE` |
//! | `BOXBOX_TESTDATA` | the folder of real recordings; default `../shared/data` |
//! | `BOXBOX_TEST_IBT` | where that folder is absent: one recording from PyPI's libibt 0.0.1 |
//! | `BOXBOX_SEED`, `PROPTEST_RNG_SEED` | where tests at random begin: a fixed seed, so that a run can be repeated; campaigns take others |
//! | `BOXBOX_NOT_RUN` | a file for lines `NOT RUN: test: reason`, see `not_run` |

mod libtest;
mod readme;
pub(crate) mod report;
pub(crate) mod services;

use std::ffi::OsString;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use self::libtest::{Counts, Libtest};
use self::report::{Outcome, Report, Verdict};
use self::services::Services;
use crate::steps::{Ended, Steps, cargo, command};
use crate::{monitoring, supply, tidy};
use boxbox_testkit::not_run::{FILE_VARIABLE, NotRun};
use boxbox_testkit::tools;

/// For a build from nothing on two slow cores.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);

/// For all tests together, five times what they take on two idle cores.
const TEST_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// The default seed of random tests. A failure must be found by the change that caused it, not by
/// chance in a later one; `campaign` uses other seeds.
const SEED: u64 = 1;

/// Options of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// What was not run is a failure (as it is where CI=true)
    #[arg(long, env = "BOXBOX_STRICT")]
    strict: bool,
    /// Only the steps that need no build: format, tidy, supply chain. Seconds, for before a commit
    #[arg(long, conflicts_with = "filter")]
    quick: bool,
    /// Where tests at random begin
    #[arg(long, env = "BOXBOX_SEED", default_value_t = SEED)]
    seed: u64,
    /// Only tests whose names contain one of these; leaves the other steps out
    filter: Vec<String>,
}

impl TestArgs {
    /// Runs everything; true if all is well.
    pub fn run(self) -> Result<bool> {
        let ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
        let mut run = Run { steps: Steps::new("test")?, report: Report { strict: self.strict || ci, ..Report::default() }, seed: self.seed };
        if self.quick {
            run.quick()?;
        } else if self.filter.is_empty() {
            run.quick()?;
            run.thorough()?;
        } else {
            run.tests(&self.filter)?;
        }
        show(&run.report.to_string());
        Ok(run.report.is_good())
    }
}

/// A test run under way.
struct Run {
    steps: Steps,
    report: Report,
    seed: u64,
}

impl Run {
    /// The first steps of every whole run: their results should not wait for a build.
    fn quick(&mut self) -> Result<()> {
        self.command("format", BUILD_DEADLINE, cargo_with(&["fmt", "--all", "--check", "--", "-l"]))?;
        self.check("tidy", tidy::check)?;
        self.check("monitoring", monitoring::check)?;
        self.check("supply chain", supply::check)
    }

    fn thorough(&mut self) -> Result<()> {
        self.alerts()?;
        self.command("clippy", BUILD_DEADLINE, cargo_with(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
        self.tests(&[])?;
        if self.command("readme: build", BUILD_DEADLINE, cargo_with(&["build", "--release"]))? {
            let since = begin("readme: first command", "as README.md has it");
            let wrong = readme::first_command(&self.steps, show)?;
            self.done("readme: first command", since, verdict(wrong), None);
        }
        Ok(())
    }

    /// Builds, brings the services up, runs the tests, takes the services down.
    fn tests(&mut self, filter: &[String]) -> Result<()> {
        if !self.command("build of tests", BUILD_DEADLINE, cargo_with(&["test", "--release", "--workspace", "--no-run"]))? {
            self.report.outcomes.push(Outcome {
                name: "tests",
                took: Duration::ZERO,
                verdict: Verdict::LeftOut("they do not build".into()),
                counts: None,
            });
            return Ok(());
        }
        let since = begin("services", "what the tests run against");
        let services = Services::up(&mut self.report.not_run, show);
        show(&format!("ready after {:.1} s", since.elapsed().as_secs_f64()));
        let mut tests = cargo_with(&["test", "--release", "--workspace", "--no-fail-fast", "--", "--show-output"]);
        tests.args(filter).envs(services.env());
        seeded(&mut tests, self.seed);
        let since = begin("tests", &words(&tests));
        let (verdict, counts) = run_tests(&self.steps, &mut tests, TEST_DEADLINE, &mut self.report.not_run)?;
        self.done("tests", since, verdict, Some(counts));
        services.down()
    }

    /// The tests of the alerts, by Prometheus' own tools.
    fn alerts(&mut self) -> Result<()> {
        let since = begin("alerts", "promtool and amtool on grafana/alerts");
        let verdict = match monitoring::test() {
            Ok(wrong) => verdict(wrong),
            Err(error) if tools::missing(&error).is_some() => {
                self.report.not_run.hear(&format!("NOT RUN: alerts: {error:#}"));
                Verdict::LeftOut(format!("{error:#}"))
            }
            Err(error) => Verdict::Failed(vec![format!("{error:#}")]),
        };
        self.done("alerts", since, verdict, None);
        Ok(())
    }

    /// A step that is a command; true if it ended well.
    fn command(&mut self, name: &'static str, deadline: Duration, mut command: Command) -> Result<bool> {
        let since = begin(name, &words(&command));
        let ended = self.steps.run(&mut command, deadline, show)?;
        let verdict = match ended {
            Ended::Well => Verdict::Passed,
            other => Verdict::Failed(vec![format!("`{}` {other}", words(&command))]),
        };
        self.done(name, since, verdict, None);
        Ok(ended == Ended::Well)
    }

    /// A step that is a list of things wrong.
    fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result<Vec<String>>) -> Result<()> {
        let since = begin(name, "");
        let wrong = check().unwrap_or_else(|error| vec![format!("{error:#}")]);
        wrong.iter().for_each(|line| show(line));
        self.done(name, since, verdict(wrong), None);
        Ok(())
    }

    fn done(&mut self, name: &'static str, since: Instant, verdict: Verdict, counts: Option<Counts>) {
        self.report.outcomes.push(Outcome { name, took: since.elapsed(), verdict, counts });
    }
}

/// Runs a `cargo test` command, its whole output kept in a log, and gathers what was not run.
pub(crate) fn run_tests(steps: &Steps, tests: &mut Command, deadline: Duration, not_run: &mut NotRun) -> Result<(Verdict, Counts)> {
    let (log_path, file) = (steps.file("tests.log"), steps.file("not-run.txt"));
    let mut log = std::fs::File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    tests.env(FILE_VARIABLE, &file);
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        tests.env("RUST_BACKTRACE", "1");
    }
    let mut libtest = Libtest::default();
    let ended = steps.run(tests, deadline, |line| {
        // If the log cannot be written (a full disk) the run continues.
        drop(writeln!(log, "{line}"));
        not_run.hear(line);
        if libtest.hear(line) {
            show(line);
        }
    })?;
    not_run.read(&std::fs::read_to_string(&file).unwrap_or_default());
    let mut wrong = libtest.failures;
    if ended != Ended::Well {
        wrong.push(format!("cargo test {ended}; its whole output: {}", log_path.display()));
    }
    Ok((verdict(wrong), libtest.counts))
}

/// Sets the seed of random tests.
pub(crate) fn seeded(tests: &mut Command, seed: u64) {
    show(&format!("seed {seed}"));
    tests.env("BOXBOX_SEED", seed.to_string()).env("PROPTEST_RNG_SEED", seed.to_string());
}

/// A cargo command at the workspace root.
pub(crate) fn cargo_with(args: &[&str]) -> Command {
    let mut command = command(cargo());
    command.args(args);
    command
}

/// A command as a person would type it.
pub(crate) fn words(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().map_or_else(OsString::new, OsString::from);
    let words = std::iter::once(program.as_os_str()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Prints a step's heading and notes when it began.
pub(crate) fn begin(name: &str, what: &str) -> Instant {
    show(&format!("\n== {name}{}{what}", if what.is_empty() { "" } else { ": " }));
    Instant::now()
}

/// A line on standard output. A closed pipe (`| head`) is no error: the services must still be taken down.
pub(crate) fn show(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{}", line.trim_end_matches('\n')).and_then(|()| out.flush()));
}

fn verdict(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong) }
}
