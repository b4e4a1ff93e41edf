//! [`Origins`]: where the value of each option comes from, so that an error about a value names the environment variable that it was given by.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::cli::described::{self, Names, Secrecy};
use crate::cli::secret;

/// A value that occurs in an error by chance is shorter.
const VALUE_LEAST_CHARS: usize = 6;

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It was given on the command line.
    CommandLine,
    /// The environment variable of this name.
    Variable(String),
    /// Nothing was given.
    Default,
}

/// An option of the command that runs, and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// `--data`; of an argument without dashes what stands for it in help texts.
    pub option: String,
    /// Where the value comes from.
    pub origin: Origin,
    /// The values as they were given, or the defaults.
    pub values: Vec<String>,
    /// Where nothing is given: what the help text says about the default.
    pub default: Option<String>,
    /// How well the value must be kept from others.
    pub secrecy: Secrecy,
    /// What it names on the disk.
    pub names: Names,
    /// Whether help texts leave it out.
    pub hidden: bool,
}

/// All options of the command that runs, in the order of the help text, and where their values come from.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<Setting>);

impl Origins {
    /// The options that `matches` of `program` are about.
    pub fn of(program: &Command, matches: &ArgMatches) -> Self {
        let (mut settings, mut command, mut matches) = (vec![], program, matches);
        loop {
            settings.extend(command.get_arguments().map(|arg| setting(arg, matches)));
            let next = matches.subcommand().and_then(|(name, below)| Some((command.find_subcommand(name)?, below)));
            let Some((below, of_below)) = next else { return Self(settings) };
            (command, matches) = (below, of_below);
        }
    }

    /// The settings.
    pub fn settings(&self) -> &[Setting] {
        &self.0
    }

    /// An error, and a line for each environment variable that gave a value which the error is about: it names the option or repeats the value.
    pub fn explained(&self, error: &str) -> String {
        let mut explained = error.to_owned();
        for Setting { option, origin, values, .. } in &self.0 {
            let Origin::Variable(variable) = origin else { continue };
            let is_repeated = |value: &String| value.chars().count() >= VALUE_LEAST_CHARS && has_word(error, value);
            if has_word(error, option) || values.iter().any(is_repeated) {
                explained += &format!("\n  {option} was set by the environment variable {variable}");
            }
        }
        explained
    }
}

fn setting(arg: &Arg, matches: &ArgMatches) -> Setting {
    let id = arg.get_id().as_str();
    let source = matches.value_source(id);
    let origin = match (source, described::variable(arg)) {
        (Some(ValueSource::CommandLine), _) => Origin::CommandLine,
        (Some(ValueSource::EnvVariable), Some(variable)) if secret::is_moved(&variable) => Origin::CommandLine,
        (Some(ValueSource::EnvVariable), Some(variable)) => Origin::Variable(variable),
        _ => Origin::Default,
    };
    let raw = matches.get_raw(id).into_iter().flatten();
    Setting {
        option: described::name(arg),
        origin,
        values: raw.map(|value| value.to_string_lossy().into_owned()).collect(),
        default: described::default(arg),
        secrecy: described::secrecy(arg),
        names: described::names(arg),
        hidden: arg.is_hide_set(),
    }
}

/// Whether a text has this word, and not only as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// The error with the variables of those options that it names and that were set by variables.
pub fn with_variables(mut error: clap::Error, program: &Command, words: &[OsString]) -> clap::Error {
    let command = Reached::of(program, words);
    let is_missing = error.kind() == ErrorKind::MissingRequiredArgument;
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        let named = match error.get(kind) {
            Some(ContextValue::String(option)) => ContextValue::String(command.named(option, is_missing)),
            Some(ContextValue::Strings(options)) => ContextValue::Strings(options.iter().map(|option| command.named(option, is_missing)).collect()),
            _ => continue,
        };
        error.insert(kind, named);
    }
    error
}

/// The variable that gave the value which the error is about, if a variable did.
pub fn variable_of(error: &clap::Error, program: &Command, words: &[OsString]) -> Option<String> {
    let command = Reached::of(program, words);
    let options: Vec<&String> = [ContextKind::InvalidArg, ContextKind::PriorArg]
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .flat_map(|value| match value {
            ContextValue::String(option) => vec![option],
            ContextValue::Strings(options) => options.iter().collect(),
            _ => vec![],
        })
        .collect();
    options.into_iter().find_map(|option| command.set_by(option))
}

/// An error of clap in one line, without the usage that clap adds.
pub fn in_one_line(error: &clap::Error) -> String {
    let text = secret::masked(&error.to_string());
    let first: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    first.join(" ").trim_start_matches("error: ").to_owned()
}

/// How far a command line leads in the tree of commands, also one that has errors.
struct Reached<'a> {
    args: Vec<&'a Arg>,
    words: &'a [OsString],
}

impl<'a> Reached<'a> {
    fn of(program: &'a Command, words: &'a [OsString]) -> Self {
        let mut command = program;
        let mut args: Vec<&Arg> = program.get_arguments().collect();
        let mut rest = words.iter().skip(1).map_while(|word| word.to_str()).take_while(|word| *word != "--");
        while let Some(word) = rest.next() {
            if let Some(long) = word.strip_prefix("--") {
                // What follows is its value.
                if args.iter().any(|arg| is_called(arg, long) && arg.get_action().takes_values()) {
                    rest.next();
                }
            } else if let Some(below) = command.find_subcommand(word) {
                command = below;
                args.extend(below.get_arguments());
            }
        }
        Self { args, words }
    }

    /// An option as clap writes it in errors, `--data <DATA>`, with the variable that set it. `is_missing`: with the variable that could.
    fn named(&self, option: &str, is_missing: bool) -> String {
        match (self.set_by(option), self.find(option).and_then(described::variable)) {
            (Some(variable), _) => format!("{variable} ({option})"),
            (None, Some(variable)) if is_missing => format!("{option} (or the environment variable {variable})"),
            _ => option.to_owned(),
        }
    }

    /// The variable that set an option.
    fn set_by(&self, option: &str) -> Option<String> {
        let arg = self.find(option)?;
        let variable = described::variable(arg)?;
        let given = self.words.iter().map_while(|word| word.to_str()).take_while(|word| *word != "--").any(|word| {
            let long = word.strip_prefix("--").map(|word| word.split_once('=').map_or(word, |(long, _)| long));
            long.is_some_and(|long| is_called(arg, long))
        });
        (!given && !secret::is_moved(&variable) && std::env::var_os(&variable).is_some()).then_some(variable)
    }

    fn find(&self, option: &str) -> Option<&'a Arg> {
        let long = option.strip_prefix("--")?;
        let long = long.split([' ', '=', '[', '<']).next()?;
        self.args.iter().copied().find(|arg| arg.get_long() == Some(long))
    }
}

fn is_called(arg: &Arg, long: &str) -> bool {
    arg.get_long() == Some(long) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A variable that is set while tests run.
    const SET: &str = "CARGO_MANIFEST_DIR";

    fn program() -> Command {
        let log = Arg::new("log").long("log").global(true);
        let port = Arg::new("port").long("port").alias("p").env(SET).value_parser(clap::value_parser!(u16));
        let folder = Arg::new("folder").long("folder").env(SET);
        let free = || Arg::new("free").long("free").env("BOXBOX_NOT_SET_IN_TESTS");
        let up = Command::new("up").args([port, free().default_value("a-default")]);
        let show = Command::new("show").args([folder, free().required_unless_present("x"), Arg::new("x").long("x")]);
        Command::new("p").arg(log).subcommand(up).subcommand(Command::new("to").subcommand(show))
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_source_of_each_value_is_known() {
        let program = program();
        let matches = program.clone().try_get_matches_from(words("p up --log debug --port 7")).unwrap();
        let origins = Origins::of(&program, &matches);
        let of = |option: &str| origins.settings().iter().find(|s| s.option == option).map(|s| (s.origin.clone(), s.values.join(" "))).unwrap();
        assert_eq!(of("--log"), (Origin::CommandLine, "debug".into()));
        assert_eq!(of("--port"), (Origin::CommandLine, "7".into()));
        assert_eq!(of("--free"), (Origin::Default, "a-default".into()));
        let matches = program.clone().try_get_matches_from(words("p to show --x 1")).unwrap();
        let origins = Origins::of(&program, &matches);
        let folder = origins.settings().iter().find(|s| s.option == "--folder").unwrap();
        assert_eq!((&folder.origin, folder.values.as_slice()), (&Origin::Variable(SET.into()), &[env!("CARGO_MANIFEST_DIR").to_owned()][..]));
        // An error about it names the variable, and one about something else does not.
        for about in ["--folder needs --x", &format!("cannot read {}: no such file", env!("CARGO_MANIFEST_DIR"))] {
            assert!(origins.explained(about).ends_with(&format!("--folder was set by the environment variable {SET}")), "{about}");
        }
        for about in ["--folder-name is wrong", "--x is 1, and a-default is not", "nothing"] {
            assert_eq!(origins.explained(about), about);
        }
    }

    #[test]
    fn an_error_about_a_variable_names_it() {
        let program = program();
        let error = |line: &str| {
            let words = words(line);
            let error = program.clone().try_get_matches_from(&words).unwrap_err();
            (variable_of(&error, &program, &words), in_one_line(&with_variables(error, &program, &words)))
        };
        let (variable, text) = error("p --log up up");
        assert!(variable.as_deref() == Some(SET) && text.contains(SET) && text.contains("--port"), "{text}");
        for given in ["p up --port x", "p up --port=x", "p up --p x"] {
            let (variable, text) = error(given);
            assert!(variable.is_none() && text.contains("--port") && !text.contains(SET), "{given}: {text}");
        }
        let (variable, text) = error("p to show");
        assert!(variable.is_none() && text.contains("BOXBOX_NOT_SET_IN_TESTS"), "what is missing can be given by a variable: {text}");
        assert!(!text.contains("Usage"), "{text}");
    }
}
