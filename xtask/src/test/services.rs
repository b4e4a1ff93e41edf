//! What tests run against: the services a variable names, else a stack of our own; and recordings.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::not_run::NotRun;
use crate::stack::{Options, Stack};
use crate::{fetch, folders};

/// The variable that names the folder of recordings.
const TESTDATA: &str = "BOXBOX_TESTDATA";

/// Where that folder is without it: `../shared/data`, beside the workspace.
const TESTDATA_DEFAULT: &str = "shared/data";

/// Services and recordings, as variables for the tests.
#[derive(Debug, Default)]
pub(crate) struct Services {
    // Owned: gone with this value, and with this process.
    stack: Option<Stack>,
    env: Vec<(String, OsString)>,
}

impl Services {
    /// Brings up what the environment does not name already. What cannot be had is no error: the tests that need it say so,
    /// and `not_run` gets the reason.
    pub(crate) fn up(not_run: &mut NotRun, show: impl Fn(&str)) -> Self {
        let mut services = Self::default();
        services.recordings(not_run, &show);
        let given = std::env::var("KAFKA_BROKERS").ok();
        if let Some(brokers) = given.filter(|brokers| !brokers.is_empty()) {
            show(&format!("Kafka: KAFKA_BROKERS={brokers}, as given"));
            return services;
        }
        match Stack::up(Options::owned()) {
            Ok(stack) => {
                for (variable, address) in &stack.record().addresses {
                    show(&format!("started: {variable}={address}"));
                    services.env.push((variable.clone(), address.into()));
                }
                services.stack = Some(stack);
            }
            Err(error) => {
                show(&format!("no Kafka: {error:#}"));
                not_run.hear(&format!("NOT RUN: everything on a real Kafka: {}", one_line(&error)));
            }
        }
        services
    }

    /// The variables for the tests.
    pub(crate) fn env(&self) -> impl Iterator<Item = (&str, &OsString)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Takes everything down.
    pub(crate) fn down(self) -> Result<()> {
        self.stack.map_or(Ok(()), Stack::down)
    }

    fn recordings(&mut self, not_run: &mut NotRun, show: &impl Fn(&str)) {
        let folder = recordings_folder();
        if let Ok(folder) = folder.canonicalize() {
            show(&format!("recordings: {}", folder.display()));
            self.env.push((TESTDATA.into(), folder.into()));
            return;
        }
        let absent = format!("no folder {} ({TESTDATA} names another)", folder.display());
        let instead = match fetch::recording() {
            Ok(file) => {
                show(&format!("recordings: {absent}; instead {}", file.display()));
                self.env.push(("BOXBOX_TEST_IBT".into(), file.into()));
                "only the race inside PyPI's libibt 0.0.1 was run".to_owned()
            }
            Err(error) => format!("and nothing instead: {}", one_line(&error)),
        };
        not_run.hear(&format!("NOT RUN: the project's real recordings: {absent}; {instead}"));
    }
}

/// The folder of recordings: what the variable says, relative to the workspace root, or the default; there or not.
pub(crate) fn recordings_folder() -> PathBuf {
    let workspace = folders::workspace();
    match std::env::var_os(TESTDATA).filter(|dir| !dir.is_empty()) {
        Some(named) => workspace.join(named),
        None => workspace.parent().unwrap_or(&workspace).join(TESTDATA_DEFAULT),
    }
}

/// An error for a list: its causes on one line, without quoted logs.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}
