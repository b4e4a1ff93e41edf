//! Programs of the machine: finding one on PATH, asking its version, running it and keeping its output for the error message.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::version::Version;

/// Prometheus and what it asks and tells, each a program of Debian's package of the same name.
pub const PROMETHEUS: [&str; 5] =
    ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "prometheus-postgres-exporter", "prometheus-blackbox-exporter"];

/// A program or file that this machine lacks, and how to get it. Carried inside `anyhow::Error`; `missing` finds it again, so that a
/// test can distinguish "cannot run here" from "failed".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing: "no Maven".
    pub what: String,
    /// How to get it: "apt install maven".
    pub install: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.install)
    }
}

impl std::error::Error for Missing {}

impl Missing {
    /// The error that carries it.
    pub fn error(what: impl Into<String>, install: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { what: what.into(), install: install.into() })
    }
}

/// What the machine lacks, if that caused `error`.
pub fn missing(error: &anyhow::Error) -> Option<&Missing> {
    error.downcast_ref()
}

/// The program called `name` on PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file))
}

/// The output of `program args` (stdout and stderr together, `java -version` uses the latter), if it succeeds.
pub fn says(program: &Path, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    let text = [out.stdout, out.stderr].concat();
    out.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The version a program names in answer to `args`.
pub fn version(program: &Path, args: &[&str]) -> Option<Version> {
    says(program, args).as_deref().and_then(Version::find)
}

/// Runs a command to its end; on failure the error carries the last lines it printed.
pub fn run(command: &mut Command) -> Result<String> {
    finish(command.stdin(Stdio::null()))
}

fn finish(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.output().with_context(|| format!("cannot run {name}"))?;
    if !out.status.success() {
        let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        bail!("{name} ended with {}:\n{}", out.status, tail(&text, TAIL_LINES));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// As `run`, with `words` for the command to read.
pub fn feed(command: &mut Command, words: &str) -> Result<String> {
    // A pipe holds 64 KiB unread, far more than any caller writes: it is written whole before the command runs, without a thread.
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(words.as_bytes())?;
    drop(writer);
    finish(command.stdin(reader))
}

/// Copies a folder as it is, with owners, modes and links, to `to`, which must not be there.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    anyhow::ensure!(!to.exists(), "{} is there already", to.display());
    run(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// The last `lines` lines of a text, each indented, as an error message quotes a log.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    if last.is_empty() { "    (it printed nothing)".into() } else { format!("    {}", last.join("\n    ")) }
}

/// How much of a failed command's output an error quotes: enough for a Java stack trace's message and cause.
pub const TAIL_LINES: usize = 25;

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_differs_from_a_failure_even_under_context() {
        let error = Missing::error("no Maven", "apt install maven").context("Kafka's jars");
        assert_eq!(missing(&error).unwrap().to_string(), "no Maven: apt install maven");
        assert!(missing(&anyhow::anyhow!("the broker ended")).is_none());
    }

    #[test]
    fn a_failed_command_tells_its_last_words() {
        let error = run(Command::new("sh").args(["-c", "echo first; echo why >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
        assert!(run(&mut Command::new("no-such-program-here")).is_err());
    }

    #[test]
    fn a_command_reads_what_it_is_fed() {
        assert_eq!(feed(&mut Command::new("cat"), "a\nb\n").unwrap(), "a\nb\n");
        assert!(feed(Command::new("sh").args(["-c", "cat >&2; exit 1"]), "why").unwrap_err().to_string().contains("why"));
    }

    #[test]
    fn a_folder_is_copied_whole_and_over_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("inner")).unwrap();
        std::fs::write(from.join("inner/file"), "x").unwrap();
        copy_folder(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("inner/file")).unwrap(), "x");
        assert!(copy_folder(&from, &to).unwrap_err().to_string().contains("there already"));
    }

    #[test]
    fn tails_are_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "    b\n    c");
        assert_eq!(tail("", 2), "    (it printed nothing)");
    }

    #[test]
    fn programs_are_found_folders_are_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-here").is_none());
        assert!(!is_program(Path::new("/")));
    }
}
