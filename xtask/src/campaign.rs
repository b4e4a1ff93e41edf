//! `cargo xtask campaign`: the fault runs of the tests, longer, with a seed printed first so that a run can be repeated.
//!
//! The contract with the tests is the environment; `-p boxbox -p boxbox-log` and their targets under `tests/` are run, ignored
//! tests included:
//!
//! | variable | meaning |
//! |---|---|
//! | `BOXBOX_CAMPAIGN=1` | this is a campaign: do the long form |
//! | `BOXBOX_SEED` | a u64; all randomness of a run comes from it |
//! | `BOXBOX_RUNS` | how often each kind of fault is to be made (20 each; in `test`, without this variable, 3) |
//!
//! and those of `cargo xtask test`.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use crate::steps::Steps;
use crate::test::report::{Outcome, Report, Verdict};
use crate::test::services::Services;
use crate::test::{begin, cargo_with, run_tests, seeded, show, words};

/// A round that takes longer is considered hanging.
const ROUND_DEADLINE: Duration = Duration::from_secs(12 * 3600);

/// Options of `campaign`.
#[derive(Debug, Args)]
pub struct CampaignArgs {
    /// Repeat the campaign that printed this seed; without it, a random one
    #[arg(long, env = "BOXBOX_SEED")]
    seed: Option<u64>,
    /// How often each kind of fault is made in a round
    #[arg(long, env = "BOXBOX_RUNS", default_value_t = 20)]
    runs: u32,
    /// Go on with further rounds, each with the next seed, until this many minutes have passed
    #[arg(long, value_name = "M", default_value_t = 0)]
    minutes: u64,
}

impl CampaignArgs {
    /// Runs the rounds, until one fails or the time is over; true if all succeeded.
    pub fn run(self) -> Result<bool> {
        let (steps, mut report) = (Steps::new("campaign")?, Report::default());
        let first = self.seed.unwrap_or_else(|| fastrand::u64(..));
        show(&format!("campaign: seed {first}, {} runs of each fault", self.runs));
        let until = Instant::now() + Duration::from_secs(self.minutes * 60);
        let services = Services::up(&mut report.not_run, show);
        for seed in (0..).map(|round| first.wrapping_add(round)) {
            let mut tests = cargo_with(&[
                "test",
                "--release",
                "-p",
                "boxbox",
                "-p",
                "boxbox-log",
                "-p",
                "boxbox-processor",
                "-p",
                "boxbox-schemas",
                "--test",
                "*",
                "--no-fail-fast",
                "--",
            ]);
            tests.args(["--show-output", "--include-ignored"]).envs(services.env());
            tests.env("BOXBOX_CAMPAIGN", "1").env("BOXBOX_RUNS", self.runs.to_string());
            seeded(&mut tests, seed);
            let again = format!("cargo xtask campaign --seed {seed} --runs {}", self.runs);
            let since = begin(&format!("round with seed {seed}"), &words(&tests));
            show(&format!("repeat it with: {again}"));
            let (mut verdict, counts) = run_tests(&steps, &mut tests, ROUND_DEADLINE, &mut report.not_run)?;
            if let Verdict::Failed(wrong) = &mut verdict {
                wrong.push(format!("repeat it with: {again}"));
            }
            let failed = verdict != Verdict::Passed;
            report.outcomes.push(Outcome { name: "round", took: since.elapsed(), verdict, counts: Some(counts) });
            if failed || Instant::now() >= until {
                break;
            }
        }
        services.down()?;
        show(&report.to_string());
        Ok(report.is_good())
    }
}
