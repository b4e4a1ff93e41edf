//! `boxbox config`: its arguments, and the report of what a command would use.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use boxbox_schemas::text::plain;
use clap::{Args, Subcommand};

use crate::cli::described::{Names, Secrecy};
use crate::cli::origins::{Origin, Origins, Setting};
use crate::cli::secret;
use crate::config_check::{Findings, files};
use crate::show::columns;

/// How the project's environment variables begin.
const PREFIX: &str = "BOXBOX_";

/// `boxbox config …`.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print what a command would use, where each value comes from, and what is wrong with it; nothing is started. Fails with exit code 2 if the
    /// command would not start
    Check(CheckArgs),
    /// Print the reference of all options as Markdown: docs/CONFIGURATION.md
    Reference,
}

/// Options of `config check`.
#[derive(Args)]
pub struct CheckArgs {
    /// The command with its options, as it would be started; without one, `up`
    #[arg(value_name = "COMMAND OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl CheckArgs {
    /// The command line to check, with the program's name before it.
    pub fn command_line(self) -> Vec<OsString> {
        let is_option = self.words.first().is_none_or(|word| word.to_str().is_some_and(|word| word.starts_with('-')));
        let usual = is_option.then(|| OsString::from("up"));
        [OsString::from("boxbox")].into_iter().chain(usual).chain(self.words).collect()
    }
}

/// The command would not start as it is configured: the exit code is that of wrong command lines.
#[derive(Debug, thiserror::Error)]
#[error("{0} in this configuration")]
pub struct Wrong(String);

/// Look at the files and folders that options name. Defaults are looked at if they are folders.
pub fn look_at_files(origins: &Origins, findings: &mut Findings) {
    for Setting { option, values, names, origin, .. } in origins.settings() {
        for path in values.iter().map(Path::new) {
            match names {
                Names::Folder => files::data_folder(option, path, findings),
                Names::File if *origin != Origin::Default => files::file(option, path, findings),
                Names::SecretFile if *origin != Origin::Default => files::secret_file(option, path, findings),
                _ => {}
            }
        }
    }
}

/// Name the variables that look like settings and that no option reads. `known`: those that options read.
pub fn look_for_unknown(set: impl Iterator<Item = String>, known: &BTreeSet<String>, findings: &mut Findings) {
    let letters = |name: &str| name.replace('_', "");
    for name in set.filter(|name| name.starts_with(PREFIX) && !known.contains(name)) {
        let meant = known.iter().find(|known| letters(known) == letters(&name)).map(|known| format!("; {known} is read"));
        findings.note(&format!("no option reads the environment variable {name}{}", meant.unwrap_or_default()));
    }
}

/// The report: all options, then problems and notes; an error if there are problems.
pub fn report(origins: &Origins, findings: &Findings, print: impl Fn(&str)) -> Result<(), Wrong> {
    let head = ["option", "value", "from"].map(str::to_owned);
    let shown = origins.settings().iter().filter(|setting| !setting.hidden || setting.origin != Origin::Default);
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(shown.map(row)).collect();
    if rows.len() > 1 {
        columns::table(&rows, &[(0, 0, false); 3], 2, None).iter().for_each(|line| print(line));
        print("");
    }
    findings.notes().iter().for_each(|note| print(&format!("note     {note}")));
    findings.problems().iter().for_each(|problem| print(&format!("problem  {}", origins.explained(problem))));
    match findings.problems().len() {
        0 => print("nothing is wrong with this configuration, as far as can be seen without starting the command"),
        1 => return Err(Wrong("one problem".into())),
        problems => return Err(Wrong(format!("{problems} problems"))),
    }
    Ok(())
}

fn row(setting: &Setting) -> [String; 3] {
    let Setting { option, origin, values, default, secrecy, .. } = setting;
    let given = || values.iter().map(|value| secret::masked_value(value)).collect::<Vec<_>>().join(" ");
    let value = match (origin, secrecy) {
        (Origin::Default, _) if default.is_none() && values.is_empty() => "none".into(),
        // What the help text says about it is more than the value.
        (Origin::Default, _) => default.clone().unwrap_or_else(given),
        (_, Secrecy::Secret) => "(secret)".into(),
        _ => given(),
    };
    let from = match origin {
        Origin::CommandLine => "command line".into(),
        Origin::Variable(name) => format!("environment variable {name}"),
        Origin::Default => "default".into(),
    };
    [option.clone(), plain(&value).into_owned(), from]
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn line(words: &[&str]) -> Vec<String> {
        let words = CheckArgs { words: words.iter().map(OsString::from).collect() };
        words.command_line().into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn options_alone_are_those_of_up() {
        assert_eq!(line(&[]), ["boxbox", "up"]);
        assert_eq!(line(&["--api-port", "0"]), ["boxbox", "up", "--api-port", "0"]);
        assert_eq!(line(&["ingest", "--log", "debug"]), ["boxbox", "ingest", "--log", "debug"]);
    }

    #[test]
    fn variables_that_nothing_reads_are_named() {
        let mut findings = Findings::default();
        let set = ["BOXBOX_QUICPORT", "BOXBOX_QUIC_PORT", "HOME", "BOXBOX_X"].map(str::to_owned);
        look_for_unknown(set.into_iter(), &["BOXBOX_QUIC_PORT".to_owned()].into(), &mut findings);
        let [near, far] = findings.notes() else { panic!("{findings:?}") };
        assert!(near.contains("BOXBOX_QUICPORT; BOXBOX_QUIC_PORT is read") && far.ends_with("BOXBOX_X"), "{findings:?}");
    }

    #[test]
    fn the_report_hides_secrets_and_says_where_values_come_from() {
        use clap::{Arg, Command};
        let to = Arg::new("to").long("to").hide_env_values(true);
        let (url, rare) = (Arg::new("url").long("log-url"), Arg::new("rare").long("rare").hide(true).default_value("x"));
        let port = Arg::new("port").long("port").help("Port [default: 7; demo: 8]");
        let program = Command::new("p").args([to, url, rare, port]);
        let matches = program.clone().try_get_matches_from(["p", "--to", "hunter2", "--log-url", "kafka://u:hunter2@h/t"]).unwrap();
        let lines = RefCell::new(vec![]);
        let origins = Origins::of(&program, &matches);
        let mut findings = Findings::default();
        assert!(report(&origins, &findings, |line| lines.borrow_mut().push(line.to_owned())).is_ok());
        let text = lines.take().join("\n");
        assert!(!text.contains("hunter2") && !text.contains("--rare"), "{text}");
        for expected in ["--to       (secret)", "--log-url  kafka://…", "--port     7; demo: 8", "command line", "default"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        findings.problem("wrong");
        findings.problem("worse");
        let error = report(&origins, &findings, |line| lines.borrow_mut().push(line.to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "2 problems in this configuration");
        assert!(lines.take().join("\n").contains("problem  worse"));
    }
}
