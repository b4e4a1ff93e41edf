//! The services that tests run against: those that variables name, else new stacks; and recordings.

use std::ffi::OsString;

use anyhow::{Result, bail};

use boxbox_testkit::fetch;
use boxbox_testkit::not_run::NotRun;
use boxbox_testkit::recordings::{self, FOLDER_VARIABLE};
use boxbox_testkit::stack::{ClickhouseOptions, KafkaOptions, Options, PostgresOptions, Stack};

/// A service that tests run against.
struct Wanted {
    title: &'static str,
    /// If the caller has set it, this variable and those that belong to it are used as they are.
    variable: &'static str,
    options: fn() -> Options,
}

/// Each in its own stack: one that is not available, or does not start, does not affect the others.
const WANTED: &[Wanted] = &[
    Wanted {
        title: "Kafka",
        variable: "KAFKA_BROKERS",
        // Beside the plain listener one that asks for a password.
        options: || Options { kafka: Some(KafkaOptions { sasl: true, ..Default::default() }), ..Options::owned() },
    },
    Wanted { title: "PostgreSQL", variable: "POSTGRES_URL", options: || Options { postgres: Some(PostgresOptions::default()), ..Options::empty() } },
    Wanted {
        title: "ClickHouse",
        variable: "CLICKHOUSE_URL",
        options: || Options { clickhouse: Some(ClickhouseOptions::default()), ..Options::empty() },
    },
];

/// Services and recordings, as variables for the tests.
#[derive(Debug, Default)]
pub(crate) struct Services {
    // Owned: the stacks end with this value, and with this process.
    stacks: Vec<Stack>,
    env: Vec<(String, OsString)>,
}

impl Services {
    /// Brings up the services that the environment does not name. A service that is not available is not an error: the tests that
    /// need it report that, and `not_run` gets the reason.
    pub(crate) fn up(not_run: &mut NotRun, show: impl Fn(&str)) -> Self {
        let mut services = Self::default();
        services.recordings(not_run, &show);
        let mut missing = Vec::new();
        for wanted in WANTED {
            match std::env::var(wanted.variable).ok().filter(|value| !value.is_empty()) {
                Some(value) => show(&format!("{}: {}={}, as given", wanted.title, wanted.variable, without_password(&value))),
                None => missing.push(wanted),
            }
        }
        services.hear(start(missing), not_run, &show);
        services
    }

    /// Takes over the started services, and records why others were not started.
    fn hear(&mut self, services: Vec<(&'static Wanted, Result<Stack>)>, not_run: &mut NotRun, show: &impl Fn(&str)) {
        for (wanted, started) in services {
            match started {
                Ok(stack) => {
                    for (variable, value) in stack.variables() {
                        show(&format!("started: {variable}={value}"));
                        self.env.push((variable, value.into()));
                    }
                    self.stacks.push(stack);
                }
                Err(error) => {
                    show(&format!("no {}: {error:#}", wanted.title));
                    not_run.hear(&format!("NOT RUN: everything on a real {}: {}", wanted.title, one_line(&error)));
                }
            }
        }
    }

    /// The variables for the tests.
    pub(crate) fn env(&self) -> impl Iterator<Item = (&str, &OsString)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Takes everything down.
    pub(crate) fn down(self) -> Result<()> {
        // The others go down even if one does not.
        let downs: Vec<Result<()>> = self.stacks.into_iter().map(Stack::down).collect();
        downs.into_iter().collect()
    }

    fn recordings(&mut self, not_run: &mut NotRun, show: &impl Fn(&str)) {
        let folder = recordings::folder();
        if let Ok(folder) = folder.canonicalize() {
            show(&format!("recordings: {}", folder.display()));
            self.env.push((FOLDER_VARIABLE.into(), folder.into()));
            return;
        }
        let absent = format!("no folder {} ({FOLDER_VARIABLE} names another)", folder.display());
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

/// Brings services up in parallel.
fn start(wanted: Vec<&'static Wanted>) -> Vec<(&'static Wanted, Result<Stack>)> {
    let starting = wanted.into_iter().map(|wanted| (wanted, std::thread::spawn(|| Stack::up((wanted.options)()))));
    let starting: Vec<_> = starting.collect();
    // A thread that panics is a bug here; its message is on stderr already.
    starting.into_iter().map(|(wanted, thread)| (wanted, thread.join().unwrap_or_else(|_| bail!("starting it panicked")))).collect()
}

/// An address as it may be shown: one given by a user may have a password in it.
fn without_password(address: &str) -> String {
    let hidden = || {
        let (scheme, rest) = address.split_once("://")?;
        let (who, place) = rest.rsplit_once('@')?;
        let (user, _) = who.split_once(':')?;
        Some(format!("{scheme}://{user}:…@{place}"))
    };
    hidden().unwrap_or_else(|| address.to_owned())
}

/// An error for a list: its causes on one line, without quoted logs.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without Kafka, which is slow and has its own tests.
    #[test]
    fn each_service_comes_with_its_variable_or_with_what_is_missing() {
        let (mut not_run, mut found) = (NotRun::default(), Services::default());
        found.hear(start(WANTED.iter().filter(|wanted| wanted.title != "Kafka").collect()), &mut not_run, &|line| eprintln!("{line}"));
        for wanted in &WANTED[1..] {
            let line_of_service = not_run.not_run.iter().find(|line| line.starts_with(&format!("everything on a real {}: ", wanted.title)));
            let given = found.env().any(|(name, value)| name == wanted.variable && !value.is_empty());
            assert_ne!(line_of_service.is_some(), given, "{}", wanted.title);
            // For the report: here it is this test, not everything, that could not be made in full.
            line_of_service
                .into_iter()
                .for_each(|reason| boxbox_testkit::not_run::not_run("each_service_comes_with_its_variable_or_with_what_is_missing", reason));
        }
        found.down().unwrap();
    }

    #[test]
    fn a_given_password_is_not_shown() {
        assert_eq!(without_password("postgres://u:p:@x@host:1/db?a=b"), "postgres://u:…@host:1/db?a=b");
        for plain in ["postgres://u@host:1/db", "localhost:9092,other:9092", "clickhouse://host/db"] {
            assert_eq!(without_password(plain), plain);
        }
    }
}
