//! The options of `replay`.

use std::path::PathBuf;

use boxbox_schemas::DriverId;
use clap::Args;

use crate::cli::defaults;
use crate::cli::node::{NodeArgs, Ports};
use crate::cli::secret::ToArgs;
use crate::config_check::{Findings, services};
use crate::node::options::Roles;
use crate::replay::{ReplayOptions, Speed};

/// Longest name of a session, characters.
const NAME_MAX_CHARS: usize = 64;

/// Options of `replay`. Without `--to` the embedded pipeline runs in this process.
#[derive(Args)]
pub struct ReplayArgs {
    /// The recording: .ibt or .ibt.gz
    file: PathBuf,
    #[command(flatten)]
    to: ToArgs,
    /// Speed: 1 is real time, 10 is ten times real time, max is as fast as the server accepts it
    #[arg(long, env = "BOXBOX_SPEED", default_value = "max", value_parser = speed)]
    speed: Speed,
    /// Print one JSON object on each line and nothing else on standard output
    #[arg(long, env = "BOXBOX_JSON")]
    json: bool,
    /// Import the recording as a new session, even if it was replayed before
    #[arg(long, env = "BOXBOX_NEW_SESSION")]
    new_session: bool,
    /// Import a recording without a lobby (a test drive, a race against the simulator's own drivers) into the session of this name: one
    /// name, one track and one session number are one session, whichever driver's recording it is
    #[arg(long, env = "BOXBOX_SESSION", conflicts_with = "new_session", value_parser = session_name)]
    session: Option<String>,
    /// Send only every Nth sample; pulses in the samples between are kept
    #[arg(long, env = "BOXBOX_EVERY", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60))]
    every: u32,
    /// The driver, when the embedded pipeline runs (without --to)
    #[arg(long, env = "BOXBOX_DRIVER", default_value = defaults::DRIVER)]
    driver: DriverId,
    #[command(flatten)]
    node: NodeArgs,
}

impl ReplayArgs {
    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`NodeArgs::options`] and [`ToArgs::connect`].
    pub fn options(self) -> anyhow::Result<ReplayOptions> {
        Ok(ReplayOptions {
            file: self.file,
            to: self.to.connect()?,
            speed: self.speed,
            json: self.json,
            new_session: self.new_session,
            session: self.session,
            every: self.every,
            driver: self.driver,
            node: self.node.options(Roles::ALL, Ports::Free)?,
        })
    }
}

impl ReplayArgs {
    /// Look for what is wrong: with the connect string, or else with the pipeline that would run here.
    pub fn look(self, findings: &mut Findings) {
        findings.kept(self.to.check());
        if self.to.is_given() {
            return;
        }
        self.node.look(findings);
        if let Some(node) = findings.kept(self.node.options(Roles::ALL, Ports::Free)) {
            services::node(&node, findings);
        }
    }
}

fn session_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if (1..=NAME_MAX_CHARS).contains(&name.chars().count()) { Ok(name.to_owned()) } else { Err(format!("give 1 to {NAME_MAX_CHARS} characters")) }
}

fn speed(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed::Max),
        _ => text.parse().ok().filter(|s: &f64| s.is_finite() && *s > 0.0).map(Speed::Times).ok_or_else(|| "give a number above 0, or max".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        assert_eq!(speed("max"), Ok(Speed::Max));
        assert_eq!(speed("2.5"), Ok(Speed::Times(2.5)));
        assert!(speed("0").is_err() && speed("-1").is_err() && speed("fast").is_err() && speed("inf").is_err());
    }
}
