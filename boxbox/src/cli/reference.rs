//! `boxbox config reference`: docs/CONFIGURATION.md, written from clap's tree of commands.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Command;

use crate::cli::described::{self, Leaf, Secrecy};

/// What the document says before its tables.
const HEAD: &str = "\
# Configuration

Every option of `boxbox` that is a setting has an environment variable. What is given on the command line wins over the variable, and the variable
wins over the default. An error about a value that came from a variable names the variable.

```sh
boxbox config check up --quic-host 0.0.0.0
```

prints every option of a command, its value, where the value comes from, and what is wrong with it, and starts nothing. Its exit code is 2 if the
command would not start. Without a command it checks `up`. It also names variables that begin with `BOXBOX_` and that no option reads.

What values look like:

* *duration*: a whole number with a unit, or several: `90s`, `5m`, `12h`, `30days`, `1h 30m`.
* *size*: bytes, or a number with a unit: `67108864`, `100MiB`, `2GB`, `1.5GiB`.
* *several*: a variable that is set and empty is an empty list. The variables of `--error-url`, `--otlp-url` and their files may be empty too:
  then they are not set. Any other variable that is set must have a value.

Secrets: an option marked **secret** is such a value itself. Another option takes the same from a file, which only the user of the service should
be able to read, and is better, because command lines and environments are seen by others. `-` as the file is standard input where a command reads
connect strings or a grant. Passwords are taken from files alone; a URL with a password is refused.

`.env.example` lists the variables that docker-compose.yml reads.

This file is the output of `boxbox config reference`. `BOXBOX_WRITE=1 cargo test -p boxbox --test config` writes it again after a change of options.
";

/// An option as a row; commands for which everything about it is the same share the row.
#[derive(PartialEq, Eq)]
struct Row {
    option: String,
    variable: Option<String>,
    default: Option<String>,
    form: String,
    secret: String,
    sentence: String,
}

/// The reference of all options of `program`, as Markdown.
pub fn markdown(program: &Command) -> String {
    let leaves = described::leaves(program);
    let rows = rows(&leaves);
    let commands: BTreeSet<&str> = leaves.iter().map(|leaf| leaf.name.as_str()).collect();
    let mut text = HEAD.to_owned();
    let (mut with, without): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(row, _)| row.variable.is_some());
    // Those of one variable stand together.
    with.sort_by(|(a, _), (b, _)| a.variable.cmp(&b.variable));
    text += "\n## Options with an environment variable\n\n";
    text += "| variable | option | default | form | secret | commands | what it is |\n|---|---|---|---|---|---|---|\n";
    for (row, of) in &with {
        let Row { option, variable, default, form, secret, sentence } = row;
        let variable = variable.as_deref().unwrap_or_default();
        let cells = [&code(variable), &code(option), &default_cell(default.as_deref()), form, secret, &shortened(of, &commands), sentence];
        line(&mut text, &cells.map(String::as_str));
    }
    text += "\n## Options that are given on the command line only\n\n";
    text += "They say what one call of a command is to do.\n\n";
    text += "| option | default | form | commands | what it is |\n|---|---|---|---|---|\n";
    for (row, of) in &without {
        let Row { option, default, form, sentence, .. } = row;
        let cells = [&code(option), &default_cell(default.as_deref()), form, &shortened(of, &commands), sentence];
        line(&mut text, &cells.map(String::as_str));
    }
    text
}

/// All options, in the order of the commands, and for each the commands that take it.
fn rows<'a>(leaves: &'a [Leaf<'_>]) -> Vec<(Row, BTreeSet<&'a str>)> {
    let mut rows: Vec<(Row, BTreeSet<&str>)> = vec![];
    for leaf in leaves {
        for arg in leaf.args.iter().filter(|arg| arg.get_long().is_some()) {
            let variable = described::variable(arg);
            // What help texts leave out is shown if it is a setting.
            if variable.is_none() && arg.is_hide_set() {
                continue;
            }
            let value = described::value_name(arg).map(|name| format!(" {name}")).unwrap_or_default();
            let row = Row {
                option: format!("{}{value}", described::name(arg)),
                variable,
                default: described::default(arg),
                form: described::form(arg),
                secret: match described::secrecy(arg) {
                    Secrecy::Open => "no".into(),
                    Secrecy::InFile => "in the file".into(),
                    Secrecy::Secret => match described::twin(arg, &leaf.args) {
                        Some(twin) => format!("**secret**; better: {}", code(&described::variable(twin).unwrap_or_else(|| described::name(twin)))),
                        None => "**secret**".into(),
                    },
                },
                sentence: described::sentence(arg),
            };
            match rows.iter_mut().find(|(other, _)| *other == row) {
                Some((_, commands)) => {
                    commands.insert(&leaf.name);
                }
                None => rows.push((row, [leaf.name.as_str()].into())),
            }
        }
    }
    rows
}

/// Commands in few words: `grant …` for all below `grant`.
fn shortened(of: &BTreeSet<&str>, all: &BTreeSet<&str>) -> String {
    if of == all {
        return "all".into();
    }
    let group = |name: &str| name.split(' ').next().unwrap_or(name).to_owned();
    let of_group = |commands: &BTreeSet<&str>, wanted: &str| commands.iter().filter(|name| group(name) == wanted).count();
    let shown = of.iter().map(|name| {
        let group = group(name);
        let is_whole = group != *name && of_group(all, &group) > 1 && of_group(of, &group) == of_group(all, &group);
        code(&if is_whole { format!("{group} …") } else { (*name).to_owned() })
    });
    let mut shown: Vec<String> = shown.collect();
    shown.dedup();
    shown.join(", ")
}

fn default_cell(default: Option<&str>) -> String {
    match default {
        None => "none".into(),
        // What is no value but says which: some words.
        Some(words) if words.contains(' ') => words.into(),
        Some(value) => code(value),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn line(text: &mut String, cells: &[&str]) {
    // Within a table a bar ends the cell.
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // Writing to a text cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn program() -> Command {
        let data = |help: &'static str| Arg::new("data").long("data").env("P_DATA").default_value("d").help(help);
        let to = Arg::new("to").long("to").env("P_TO").hide_env_values(true).value_name("A|B").help("Where to");
        let file = Arg::new("to_file").long("to-file").env("P_TO_FILE").value_parser(clap::value_parser!(std::path::PathBuf)).help("Its file");
        let all = Arg::new("all").long("all").action(clap::ArgAction::SetTrue).help("Each of them");
        let hidden = |name: &'static str| Arg::new(name).long(name).hide(true);
        let make = Command::new("make").args([data("Where"), hidden("old"), hidden("rare").env("P_RARE")]);
        let list = Command::new("list").args([data("Where"), all]);
        let group = Command::new("grant").subcommand(make).subcommand(list);
        Command::new("p")
            .arg(Arg::new("log").long("log").env("P_LOG").global(true).help("How much"))
            .subcommand(Command::new("up").args([data("What"), to, file, Arg::new("word")]))
            .subcommand(group)
    }

    #[test]
    fn commands_share_a_row_where_an_option_is_the_same() {
        let text = markdown(&program());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        let expected = [
            "| `P_DATA` | `--data` | `d` | text | no | `up` | What. |",
            "| `P_DATA` | `--data` | `d` | text | no | `grant …` | Where. |",
            "| `P_LOG` | `--log` | none | text | no | all | How much. |",
            "| `P_RARE` | `--rare` | none | text | no | `grant make` | . |",
            "| `P_TO` | `--to A\\|B` | none | text | **secret**; better: `P_TO_FILE` | `up` | Where to. |",
            "| `P_TO_FILE` | `--to-file` | none | file | in the file | `up` | Its file. |",
            "| `--all` | `false` | `true` or `false` | `grant list` | Each of them. |",
        ];
        assert_eq!(rows, expected);
    }
}
