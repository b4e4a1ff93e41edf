//! What clap's tree of commands says about options: their forms, their defaults, what is secret, and which commands take them. The
//! reference, `config check` and errors all use this, so that no list of options is kept by hand.

use std::any::TypeId;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use boxbox_api::Network;
use boxbox_schemas::connect::Pin;
use clap::{Arg, Command};

use crate::cli::defaults;
use crate::cli::size::Size;

/// How an option with a secret and its file are called: `--to` and `--to-file`.
const FILE: &str = "-file";

/// How well a value must be kept from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrecy {
    /// Everyone may see it.
    Open,
    /// It names a file that holds a secret.
    InFile,
    /// It is a secret. Such options have `hide_env_values` in their declaration.
    Secret,
}

/// What the value of an option names on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// Nothing.
    Nothing,
    /// The data folder, which is made if it is missing.
    Folder,
    /// A file that is read.
    File,
    /// A file that is read and holds a secret.
    SecretFile,
}

/// A command that runs something, and its arguments.
pub struct Leaf<'a> {
    /// Its words: `grant create`.
    pub name: String,
    /// Its own arguments and those of the commands above it.
    pub args: Vec<&'a Arg>,
}

/// All commands that run something. Arguments of the program itself belong to each.
pub fn leaves(program: &Command) -> Vec<Leaf<'_>> {
    fn below<'a>(command: &'a Command, words: &[&'a str], above: &[&'a Arg], leaves: &mut Vec<Leaf<'a>>) {
        let args: Vec<&Arg> = above.iter().copied().chain(command.get_arguments()).collect();
        if !command.has_subcommands() {
            leaves.push(Leaf { name: words.join(" "), args });
            return;
        }
        for next in command.get_subcommands() {
            below(next, &[words, &[next.get_name()]].concat(), &args, leaves);
        }
    }
    let mut leaves = vec![];
    below(program, &[], &[], &mut leaves);
    leaves
}

/// `--data`; of an argument without dashes the name of its value.
pub fn name(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| value_name(arg).unwrap_or_else(|| arg.get_id().as_str().to_uppercase()), |long| format!("--{long}"))
}

/// What stands for the value in help texts, if the declaration says more than the option's name does.
pub fn value_name(arg: &Arg) -> Option<String> {
    let name = arg.get_value_names()?.first()?.as_str();
    (arg.get_action().takes_values() && name != arg.get_id().as_str().to_uppercase()).then(|| name.to_owned())
}

/// The environment variable of an option.
pub fn variable(arg: &Arg) -> Option<String> {
    arg.get_env().and_then(|name| name.to_str()).map(str::to_owned)
}

/// What a value looks like.
pub fn form(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return "`true` or `false`".into();
    }
    let words: Vec<String> =
        arg.get_possible_values().iter().filter(|word| !word.is_hide_set()).map(|word| format!("`{}`", word.get_name())).collect();
    let one = if words.is_empty() { of_type(arg).to_owned() } else { words.join(" or ") };
    match arg.get_value_delimiter() {
        Some(' ') => format!("{one}; several with spaces between"),
        Some(_) => format!("{one}; several with commas between"),
        None => one,
    }
}

/// The form of values of a type; what is not known better is text.
fn of_type(arg: &Arg) -> &'static str {
    let of = arg.get_value_parser().type_id();
    let is = |types: &[TypeId]| types.iter().any(|known| of == *known);
    if is(&[TypeId::of::<humantime::Duration>()]) {
        "duration"
    } else if is(&[TypeId::of::<Size>()]) {
        "size"
    } else if is(&[TypeId::of::<PathBuf>()]) {
        if names(arg) == Names::Folder { "folder" } else { "file" }
    } else if is(&[TypeId::of::<IpAddr>()]) {
        "IP address"
    } else if is(&[TypeId::of::<SocketAddr>()]) {
        "IP address and port"
    } else if is(&[TypeId::of::<Network>()]) {
        "IP address or network"
    } else if is(&[TypeId::of::<Pin>()]) {
        "pin"
    } else if is(&[TypeId::of::<u8>(), TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>(), TypeId::of::<i64>()]) {
        "whole number"
    } else if is(&[TypeId::of::<f64>()]) {
        "number"
    } else if arg.get_long().is_some_and(|long| long.ends_with("-url")) {
        "URL"
    } else {
        "text"
    }
}

/// What a value names on the disk. A file that is written has `ValueHint::Other` in its declaration.
pub fn names(arg: &Arg) -> Names {
    let is_path = arg.get_action().takes_values() && arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    if !is_path || arg.get_value_hint() == clap::ValueHint::Other {
        Names::Nothing
    } else if arg.get_default_values().iter().any(|value| value == defaults::DATA_FOLDER) {
        Names::Folder
    } else if arg.get_long().is_some_and(|long| long.ends_with(FILE)) {
        Names::SecretFile
    } else {
        Names::File
    }
}

/// How well a value must be kept from others.
pub fn secrecy(arg: &Arg) -> Secrecy {
    match names(arg) {
        Names::SecretFile => Secrecy::InFile,
        _ if arg.is_hide_env_values_set() => Secrecy::Secret,
        _ => Secrecy::Open,
    }
}

/// The option of the same command that names a file with the secret of this one.
pub fn twin<'a>(arg: &Arg, args: &[&'a Arg]) -> Option<&'a Arg> {
    let file = format!("{}{FILE}", arg.get_long()?);
    args.iter().copied().find(|other| other.get_long() == Some(file.as_str()))
}

/// What is used where nothing is given: `None` if the option then does nothing. Some defaults depend on the command or the machine; the help
/// text says those in brackets.
pub fn default(arg: &Arg) -> Option<String> {
    if !arg.get_action().takes_values() {
        return Some("false".into());
    }
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    bracket(arg).map(|(_, default, _)| default).or_else(|| (!values.is_empty()).then(|| values.join(",")))
}

/// What an option does, as its help text says it, without the default.
pub fn sentence(arg: &Arg) -> String {
    let text = bracket(arg).map_or_else(|| help(arg), |(before, _, after)| format!("{}{after}", before.trim_end()));
    let text = text.trim().trim_end_matches('.');
    format!("{text}.")
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The help text before, in and after `[default: …]`.
fn bracket(arg: &Arg) -> Option<(String, String, String)> {
    let help = help(arg);
    let (before, rest) = help.split_once("[default: ")?;
    let (default, after) = rest.split_once(']')?;
    Some((before.into(), default.into(), after.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let command = Command::new("p").arg(Arg::new("log").long("log").global(true));
        let make = Command::new("make").arg(Arg::new("file").value_parser(clap::value_parser!(PathBuf)));
        command.subcommand(Command::new("up")).subcommand(Command::new("grant").subcommand(make).subcommand(Command::new("list")))
    }

    #[test]
    fn leaves_are_the_commands_that_run_something() {
        let program = program();
        let found: Vec<_> = leaves(&program).into_iter().map(|leaf| (leaf.name, leaf.args.len())).collect();
        assert_eq!(found, [("up".to_owned(), 1), ("grant make".into(), 2), ("grant list".into(), 1)]);
    }

    #[test]
    fn a_default_in_the_help_text_is_the_default() {
        let arg = Arg::new("a").long("a").help("Address for probes [default: that of the API]; unless it is\n a loopback address");
        assert_eq!(
            (default(&arg).as_deref(), sentence(&arg).as_str()),
            (Some("that of the API"), "Address for probes; unless it is a loopback address.")
        );
        let arg = Arg::new("a").long("a").help("Where it is.").default_value("here");
        assert_eq!((default(&arg).as_deref(), sentence(&arg).as_str()), (Some("here"), "Where it is."));
        assert_eq!(default(&Arg::new("a").long("a")), None);
    }

    #[test]
    fn forms_follow_from_types() {
        fn of(parser: impl Into<clap::builder::ValueParser>) -> String {
            form(&Arg::new("a").long("a").value_parser(parser.into()))
        }
        assert_eq!(of(clap::value_parser!(u16)), "whole number");
        assert_eq!(of(clap::value_parser!(IpAddr)), "IP address");
        assert_eq!(of(["auto", "always"]), "`auto` or `always`");
        assert_eq!(form(&Arg::new("a").long("log-url")), "URL");
        assert_eq!(form(&Arg::new("a").long("a").value_delimiter(',')), "text; several with commas between");
        assert_eq!(form(&Arg::new("a").long("a").action(clap::ArgAction::SetTrue)), "`true` or `false`");
    }

    #[test]
    fn a_secret_has_a_twin_that_names_a_file() {
        let path = || clap::value_parser!(PathBuf);
        let (to, file) = (Arg::new("to").long("to").hide_env_values(true), Arg::new("to_file").long("to-file").value_parser(path()));
        assert_eq!((secrecy(&to), secrecy(&file)), (Secrecy::Secret, Secrecy::InFile));
        assert_eq!(twin(&to, &[&to, &file]).and_then(Arg::get_long), Some("to-file"));
        assert!(twin(&file, &[&to, &file]).is_none());
        let written = Arg::new("strings").long("strings").value_parser(path()).value_hint(clap::ValueHint::Other);
        let data = Arg::new("data").long("data").value_parser(path()).default_value(defaults::DATA_FOLDER);
        assert_eq!([&written, &data, &file].map(names), [Names::Nothing, Names::Folder, Names::SecretFile]);
    }
}
