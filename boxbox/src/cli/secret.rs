//! Connect strings: read from a file or standard input, and kept out of the list of processes.
//!
//! Every user of a machine can read the command line of every process (`ps`), but only the owner can read its environment. So a connect
//! string on the command line is moved to the environment before anything else is done: the program replaces itself, under the same
//! process id. For some milliseconds it is seen all the same, and a shell may keep it in its history: a file or standard input is better.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use boxbox_schemas::connect::ConnectString;
use clap::Args;

/// The variable of `--to`.
const VARIABLE: &str = "BOXBOX_TO";
/// Set where the value of that variable was moved there from the command line.
const MOVED: &str = "_BOXBOX_TO_MOVED";
/// How a connect string begins.
const SCHEME: &str = "boxbox://";
/// Bytes that are read of a file or of standard input: hundreds of connect strings.
const READ_MAX_BYTES: u64 = 1 << 20;

/// Where to send, of commands with one driver.
#[derive(Args)]
pub struct ToArgs {
    /// The server to stream to: the connect string that `up` or `grant create` printed, in single quotes; `-` reads it from standard input.
    /// Other users of this machine could read it for a moment in the list of processes: --to-file and `-` are better
    #[arg(long, value_name = "STRING", env = VARIABLE, hide_env_values = true, conflicts_with = "to_file")]
    to: Option<String>,
    /// File with the connect string of the server to stream to; `-` is standard input
    #[arg(long, value_name = "FILE", env = "BOXBOX_TO_FILE")]
    to_file: Option<PathBuf>,
}

impl ToArgs {
    /// The connect string, if one was given.
    ///
    /// # Errors
    /// If it cannot be read, or is none. The error does not repeat the text, which may hold a secret.
    pub fn connect(&self) -> anyhow::Result<Option<ConnectString>> {
        let (strings, from) = match (&self.to, &self.to_file) {
            (None, None) => return Ok(None),
            (Some(to), _) if to.trim() == "-" => (read(Path::new("-"))?, "standard input".to_owned()),
            (None, Some(file)) => (read(file)?, named(file)),
            (Some(to), _) => return to.parse().map(Some).context("--to is not a connect string"),
        };
        match strings.as_slice() {
            [one] => Ok(Some(one.clone())),
            [] => bail!("{from} holds no connect string"),
            several => bail!("{from} holds {} connect strings, and one is needed", several.len()),
        }
    }
}

impl ToArgs {
    /// Whether a server to stream to was given.
    pub fn is_given(&self) -> bool {
        self.to.is_some() || self.to_file.is_some()
    }

    /// As [`ToArgs::connect`], but standard input is not read.
    ///
    /// # Errors
    /// As [`ToArgs::connect`].
    pub fn check(&self) -> anyhow::Result<()> {
        let is_input = self.to.as_ref().is_some_and(|to| to.trim() == "-") || self.to_file.as_deref() == Some(Path::new("-"));
        if is_input { Ok(()) } else { self.connect().map(drop) }
    }
}

/// The connect strings in a file, one on each line; empty lines and lines that begin with `#` do not count. `-` is standard input.
///
/// # Errors
/// If the file cannot be read, or a line is no connect string.
pub fn read(file: &Path) -> anyhow::Result<Vec<ConnectString>> {
    parse(&read_text(file)?).with_context(|| format!("in {}", named(file)))
}

/// The text of a file that holds secrets; `-` is standard input.
///
/// # Errors
/// If the file cannot be read, or is too long.
pub fn read_text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().take(READ_MAX_BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(READ_MAX_BYTES + 1).read_to_string(&mut text))
    };
    outcome.with_context(|| format!("cannot read {}", named(file)))?;
    ensure!(text.len() as u64 <= READ_MAX_BYTES, "{} holds no connect string and no grant: it is too long", named(file));
    Ok(text)
}

/// The connect strings in a text, one on each line.
///
/// # Errors
/// If a line is no connect string.
pub fn parse(text: &str) -> anyhow::Result<Vec<ConnectString>> {
    let strings = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // The error does not repeat the string, which holds a secret.
    strings.enumerate().map(|(i, s)| s.parse().with_context(|| format!("connect string {} is not valid", i + 1))).collect()
}

fn named(file: &Path) -> String {
    if file == Path::new("-") { "standard input".into() } else { file.display().to_string() }
}

/// How what must not be shown begins: a connect string, and a grant by itself.
const SECRETS: [&str; 2] = [SCHEME, "v4.public."];

/// A text for people, without the secrets of connect strings and the passwords of URLs that were given in a wrong place.
pub fn masked(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "'\"`(),;<>\\".contains(c);
    let text = SECRETS.iter().fold(text.to_owned(), |text, begins| {
        let mut parts = text.split(begins);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |shown, rest| {
            let secret = rest.find(ends).unwrap_or(rest.len());
            let dots = if secret > 0 { "…" } else { "" };
            format!("{shown}{begins}{dots}{}", &rest[secret..])
        })
    });
    let mut parts = text.split("://");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, rest| {
        let address = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let login = address.rfind('@').filter(|at| address[..*at].contains(':'));
        login.map_or_else(|| format!("{shown}://{rest}"), |at| format!("{shown}://…{}", &rest[at..]))
    })
}

/// A value of an option as people may see it: as [`masked`], and of a URL with a password only its scheme, because it is not known where the
/// password ends.
pub fn masked_value(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return masked(value) };
    let login = rest.rfind('@').is_some_and(|at| rest[..at].contains(':'));
    let parameters = rest.split(['?', '&']).skip(1).filter_map(|pair| pair.split('=').next());
    let secret = |name: &str| ["pass", "key", "token", "secret", "auth", "sig"].iter().any(|part| name.to_ascii_lowercase().contains(part));
    let password = parameters.into_iter().any(secret);
    if login || password { format!("{scheme}://…") } else { masked(value) }
}

/// Take connect strings off the command line of this process. See the [module](self).
pub fn hide() {
    let Some((kept, strings)) = taken(std::env::args_os().collect()) else { return };
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        if let (Ok(program), Some((name, rest))) = (std::env::current_exe(), kept.split_first()) {
            // It returns only when it fails; then the string stays where it is.
            let _ = std::process::Command::new(program).arg0(name).args(rest).env(VARIABLE, &strings).env(MOVED, "1").exec();
        }
    }
    #[cfg(not(unix))]
    drop((kept, strings));
    eprintln!("boxbox: the connect string can be read in this machine's list of processes: --to-file FILE or `--to -` keeps it out");
}

/// Whether a variable has what [`hide`] took off the command line.
pub fn is_moved(variable: &str) -> bool {
    variable == VARIABLE && std::env::var_os(MOVED).is_some()
}

/// The command line without the connect strings of `--to`, and these, joined by spaces as the variable has them; `None` if there are none.
fn taken(args: Vec<OsString>) -> Option<(Vec<OsString>, String)> {
    let (mut kept, mut strings) = (vec![], vec![]);
    let mut args = args.into_iter().peekable();
    let is_string = |value: &str| value.trim_start().starts_with(SCHEME);
    while let Some(arg) = args.next() {
        // What follows is no option.
        if arg == "--" {
            kept.push(arg);
            kept.extend(args);
            break;
        }
        if arg == "--to"
            && let Some(value) = args.next_if(|next| next.to_str().is_some_and(is_string))
        {
            strings.extend(value.into_string().ok());
        } else if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix("--to=")).filter(|value| is_string(value)) {
            strings.push(value.to_owned());
        } else {
            kept.push(arg);
        }
    }
    // With others that are no connect strings, the command line is wrong as a whole, and is to be refused as it is.
    let wrong = kept.iter().any(|arg| arg == "--to" || arg.to_str().is_some_and(|arg| arg.starts_with("--to=")));
    (!strings.is_empty() && !wrong).then(|| (kept, strings.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Option<(Vec<String>, String)> {
        let (kept, strings) = taken(args.iter().map(OsString::from).collect())?;
        Some((kept.into_iter().map(|arg| arg.into_string().unwrap()).collect(), strings))
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        for (text, shown) in [
            ("invalid value 'boxbox://v4.public.ab_c-d@h:1?pin=x' for '--speed'", "invalid value 'boxbox://…' for '--speed'"),
            ("cannot read boxbox://a@h:1?pin=x: no such file", "cannot read boxbox://… no such file"),
            ("a v4.public.secret, b \"v4.public.other\"", "a v4.public.…, b \"v4.public.…\""),
            ("it must begin with boxbox:// (copy it)", "it must begin with boxbox:// (copy it)"),
            ("nothing", "nothing"),
            ("'postgres://u:hunter2@db/x' names no log", "'postgres://…@db/x' names no log"),
            ("http://u:a@b@h and kafka://h:9092/t", "http://…@h and kafka://h:9092/t"),
            ("postgres://u@db:5432/x", "postgres://u@db:5432/x"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn of_a_url_with_a_password_only_the_scheme_is_shown() {
        for (value, shown) in [
            ("postgres://u:a, '/?b@db/x", "postgres://…"),
            ("kafka://h:9092/t?sasl=plain&Password=a@b", "kafka://…"),
            ("https://collector.example/v1/traces?api_key=zzz", "https://…"),
            ("kafka://h:9092/t?sasl=plain&user=u", "kafka://h:9092/t?sasl=plain&user=u"),
            ("clickhouse://u@h:8123/d", "clickhouse://u@h:8123/d"),
            ("boxbox://v4.public.x@h:1?pin=y", "boxbox://…"),
            ("v4.public.x", "v4.public.…"),
            ("a:b@c", "a:b@c"),
        ] {
            assert_eq!(masked_value(value), shown);
        }
    }

    #[test]
    fn strings_are_taken_wherever_they_stand() {
        let kept = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        let (a, b) = ("boxbox://a@h:1?pin=x", "boxbox://b@h:1?pin=x");
        assert_eq!(of(&["boxbox", "replay", "f", "--to", a, "--json"]), Some((kept(&["boxbox", "replay", "f", "--json"]), a.into())));
        assert_eq!(of(&["boxbox", "replay", &format!("--to={a}"), "f"]), Some((kept(&["boxbox", "replay", "f"]), a.into())));
        assert_eq!(of(&["boxbox", "simulate", "--to", a, "--to", b]), Some((kept(&["boxbox", "simulate"]), format!("{a} {b}"))));
        for nothing in
            [&["boxbox", "up"][..], &["boxbox", "replay", "f", "--to", "-"], &["boxbox", "replay", "--", "--to", a], &["boxbox", "replay", a]]
        {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
    }
}
