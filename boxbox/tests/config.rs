//! The configuration: its reference and `.env.example` say what the code says, errors name variables, and `config check` finds what is wrong.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use common::boxbox;

/// What a command printed.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn said(args: &[&str], variables: &[(&str, &str)]) -> Said {
    let out = boxbox(args).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: out.status.code(), out: text(out.stdout), err: text(out.stderr) }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The file says `text`. With BOXBOX_WRITE=1 it is written.
fn says(file: &str, text: &str) {
    let path = root().join(file);
    if std::env::var_os("BOXBOX_WRITE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(stands.lines().chain(std::iter::repeat(""))).find(|(new, old)| new != old);
    assert!(stands == text, "{file} is not what the code says: BOXBOX_WRITE=1 cargo test -p boxbox --test config writes it; first: {differs:?}");
}

fn reference() -> String {
    let said = said(&["config", "reference"], &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    said.out
}

/// The variables of the reference, and what it says about each at first.
fn variables() -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for row in reference().lines().filter_map(|line| line.strip_prefix("| `BOXBOX_")) {
        let (name, rest) = row.split_once('`').unwrap();
        let sentence = rest.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        variables.entry(format!("BOXBOX_{name}")).or_insert_with(|| sentence.to_owned());
    }
    variables
}

#[test]
fn the_reference_is_what_the_code_says() {
    let reference = reference();
    says("docs/CONFIGURATION.md", &reference);
    let rows = |of: &str| reference.lines().filter(|line| line.starts_with(&format!("| `{of}` |"))).count();
    assert!(rows("BOXBOX_DATA") > 1, "it means another thing for clients than for servers");
    assert_eq!((rows("BOXBOX_LOG"), rows("BOXBOX_TO")), (1, 2));
    // Every variable that other documents name is one.
    let known = variables();
    for document in ["README.md", "docker-compose.yml", "boxbox/Dockerfile"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for name in names(&text) {
            assert!(known.contains_key(&name), "{document} names {name}, which no option reads");
        }
    }
}

/// Each `BOXBOX_…` in a text.
fn names(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !part(c)).filter(|word| word.starts_with("BOXBOX_") && *word != "BOXBOX_");
    // What tests alone read.
    words.filter(|word| !word.starts_with("BOXBOX_WRITE")).map(str::to_owned).collect()
}

/// The variables that the compose files at the top of the project read, and their defaults in the order in which they stand there.
fn of_compose() -> BTreeMap<String, Vec<String>> {
    let mut variables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().is_some_and(|name| name.contains("compose") && name.ends_with(".yml")));
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap().replace("$$", "");
        for variable in text.split("${").skip(1) {
            let (variable, _) = variable.split_once('}').unwrap_or_else(|| panic!("{}: ${{{variable}", file.display()));
            let end = variable.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(variable.len());
            let (name, how) = variable.split_at(end);
            let default = how.strip_prefix(":-").or_else(|| how.strip_prefix('-')).unwrap_or_default().to_owned();
            let defaults = variables.entry(name.to_owned()).or_default();
            if !defaults.contains(&default) {
                defaults.push(default);
            }
        }
    }
    variables
}

/// How a line begins that names further defaults.
const FURTHER: &str = "# Default of some services: ";

/// `.env.example`: its head and its sentences are kept, everything else is as the compose files have it.
fn env_example(stands: &str) -> String {
    let (known, mut paragraphs) = (variables(), stands.split("\n\n"));
    let mut text = paragraphs.next().unwrap_or_default().trim().to_owned() + "\n";
    let mut sentences: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for paragraph in paragraphs {
        let mut lines: Vec<&str> = paragraph.trim().lines().filter(|line| !line.starts_with(FURTHER)).collect();
        let name = lines.pop().and_then(|line| line.trim_start_matches('#').split('=').next());
        sentences.insert(name.unwrap_or_default(), lines);
    }
    for (name, defaults) in of_compose() {
        let about = match (sentences.get(name.as_str()), known.get(&name)) {
            (Some(lines), _) => lines.join("\n"),
            (None, Some(sentence)) => format!("# {sentence}"),
            (None, None) => String::new(),
        };
        assert!(about.starts_with("# ") && about.ends_with('.'), "say above {name} in .env.example what it is, in a sentence");
        assert!(!name.starts_with("BOXBOX_") || known.contains_key(&name), "{name} is read by no option");
        let _ = write!(text, "\n{about}\n");
        if defaults.len() > 1 {
            let _ = writeln!(text, "{FURTHER}{}.", defaults[1..].join(", "));
        }
        let _ = writeln!(text, "#{name}={}", defaults[0]);
    }
    text
}

#[test]
fn the_example_names_what_the_compose_files_read() {
    let stands = std::fs::read_to_string(root().join(".env.example")).unwrap();
    assert!(of_compose().len() >= 8, "{:?}", of_compose());
    says(".env.example", &env_example(&stands));
}

#[test]
fn an_error_names_the_variable_that_the_value_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, file, none) = (path("data"), path("file"), path("none"));
    std::fs::write(&file, "text").unwrap();
    let data = ("BOXBOX_DATA", data.as_str());
    let results = ("BOXBOX_RESULTS_URL", "postgres://boxbox@127.0.0.1:9/boxbox");
    let archive = ("BOXBOX_ARCHIVE_URL", "clickhouse://boxbox@127.0.0.1:9/boxbox");
    let string = "boxbox://v4.public.hunter2@h:1?pin=x";
    /// Arguments, variables, and what the error must name.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        // Wrong by themselves.
        (&["up"], &[data, ("BOXBOX_QUIC_PORT", "hunter")], &["BOXBOX_QUIC_PORT", "--quic-port"]),
        (&["up"], &[data, ("BOXBOX_API_GRANTS", "never")], &["BOXBOX_API_GRANTS", "--api-grants", "always"]),
        (&["up"], &[data, ("BOXBOX_LOG", "verbose")], &["BOXBOX_LOG", "--log", "target=level"]),
        (&["up"], &[("BOXBOX_DATA", "")], &["BOXBOX_DATA", "--data"]),
        (&["grant", "create"], &[data, ("BOXBOX_GRANT_DAYS", "0"), ("BOXBOX_DRIVER", "a")], &["BOXBOX_GRANT_DAYS", "--days"]),
        // Wrong together, or missing.
        (&["spool", "send"], &[data, ("BOXBOX_TO", string), ("BOXBOX_TO_FILE", &none)], &["BOXBOX_TO ", "BOXBOX_TO_FILE"]),
        (&["grant", "create"], &[data], &["--driver", "BOXBOX_DRIVER"]),
        (&["up"], &[data, results], &["--archive-url", "variable BOXBOX_RESULTS_URL"]),
        (&["up"], &[data, ("BOXBOX_QUIC_HOST", "0.0.0.0")], &["--public-host", "variable BOXBOX_QUIC_HOST"]),
        // Found when the value is used.
        (&["up"], &[("BOXBOX_DATA", &file)], &["variable BOXBOX_DATA"]),
        (&["migrate"], &[results, archive, ("BOXBOX_RESULTS_PASSWORD_FILE", &none)], &["variable BOXBOX_RESULTS_PASSWORD_FILE"]),
        (&["migrate"], &[("BOXBOX_RESULTS_URL", "mysql://x"), archive], &["variable BOXBOX_RESULTS_URL"]),
        (&["processor"], &[data, ("BOXBOX_LOG_URL", "kafka://h/t")], &["variable BOXBOX_LOG_URL"]),
        (&["spool", "send"], &[data, ("BOXBOX_TO", string)], &["variable BOXBOX_TO"]),
    ];
    for (args, variables, named) in cases {
        let said = said(args, variables);
        assert!(said.code.is_some_and(|code| code != 0), "{args:?} {variables:?}: {}", said.out);
        for name in *named {
            assert!(said.err.contains(name), "{args:?} {variables:?}: {name} is not in: {}", said.err);
        }
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
    // What was given on the command line is not the variable's.
    let given = said(&["up", "--quic-port", "x"], &[data, ("BOXBOX_QUIC_PORT", "7")]);
    assert!(given.err.contains("--quic-port") && !given.err.contains("BOXBOX_QUIC_PORT"), "{}", given.err);
    let given = said(&["up", "--quic-host", "0.0.0.0"], &[data, ("BOXBOX_QUIC_HOST", "127.0.0.1")]);
    assert!(given.err.contains("--public-host") && !given.err.contains("BOXBOX_QUIC_HOST"), "{}", given.err);
}

#[test]
fn the_check_looks_at_logs_and_traces_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = ("BOXBOX_DATA", folder.path().to_str().unwrap());
    let check = |args: &[&str], variables: &[(&str, &str)]| said(&[&["config", "check", "up"], args].concat(), &[&[data], variables].concat());
    for (args, variables, named) in [
        (&["--otlp-url", "ftp://x"][..], &[][..], "--otlp-url"),
        (&[], &[("BOXBOX_OTLP_URL", "ftp://x")], "BOXBOX_OTLP_URL"),
        (&["--error-url", "http://u:hunter2@h/"], &[], "--error-url"),
        (&["--error-url", "http://h:99999/"], &[], "65535"),
        (&[], &[("BOXBOX_ERROR_URL", "http://h/"), ("BOXBOX_ERROR_URL_FILE", "/none")], "not both"),
        (&["--otlp-url-file", "/dev/zero"], &[], "too long"),
    ] {
        let said = check(args, variables);
        assert_eq!(said.code, Some(2), "{args:?} {variables:?}: {} {}", said.out, said.err);
        assert!(said.out.contains("problem") && said.out.contains(named), "{args:?} {variables:?}: {}", said.out);
        assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{}", said.out);
    }
    let empty = ["BOXBOX_ERROR_URL", "BOXBOX_ERROR_URL_FILE", "BOXBOX_OTLP_URL", "BOXBOX_OTLP_URL_FILE"].map(|name| (name, ""));
    let said = check(&[], &empty);
    assert_eq!(said.code, Some(0), "{} {}", said.out, said.err);
}

#[test]
fn help_shows_values_of_variables_but_no_secrets() {
    let string = "boxbox://v4.public.hunter2@h:1?pin=x";
    let variables = [("BOXBOX_LOG_URL", "kafka://u:hunter2@h:1/t"), ("BOXBOX_TO", string), ("BOXBOX_TENANT", "gt3-club")];
    for command in ["up", "replay", "simulate"] {
        let said = said(&[command, "--help"], &variables);
        assert!(said.code == Some(0) && said.out.contains("gt3-club") && !said.out.contains("hunter2"), "{}", said.out);
    }
}

#[test]
fn a_check_says_what_would_be_used_and_from_where() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let args = ["config", "check", "up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--probe-port", "0"];
    let said = said(&args, &[("BOXBOX_TENANT", "gt3-club"), ("BOXBOX_API_PORT", &port), ("BOXBOX_QUICPORT", "1")]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let row = |option: &str| said.out.lines().find(|line| line.split(' ').next() == Some(option)).unwrap_or_else(|| panic!("{option}: {}", said.out));
    assert!(row("--tenant").contains("gt3-club") && row("--tenant").ends_with("environment variable BOXBOX_TENANT"), "{}", row("--tenant"));
    assert!(row("--data").contains(data.to_str().unwrap()) && row("--data").ends_with("command line"), "{}", row("--data"));
    assert!(row("--archive-max-bytes").contains("20GiB") && row("--archive-max-bytes").ends_with("default"));
    // A taken port, a folder that is missing, and a slip of the pen are worth a word.
    for note in
        [format!("127.0.0.1:{port} (TCP), which another process uses"), "is missing".into(), "BOXBOX_QUICPORT; BOXBOX_QUIC_PORT is read".into()]
    {
        assert!(said.out.contains(&note), "{note}: {}", said.out);
    }
    assert!(!data.exists(), "nothing is made");
}

#[test]
fn a_check_finds_everything_that_is_wrong_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let none = folder.path().join("none");
    let variables = [
        ("BOXBOX_DATA", data),
        ("BOXBOX_QUIC_PORT", "x"),
        ("BOXBOX_CLOSE_AFTER", "soon"),
        ("BOXBOX_LOG_URL", "kafka://u:hunter2@h:1/t"),
        ("BOXBOX_RESULTS_URL", "postgres://u@h/d"),
        ("BOXBOX_RESULTS_PASSWORD_FILE", none.to_str().unwrap()),
    ];
    let all = said(&["config", "check", "processor"], &variables);
    assert_eq!(all.code, Some(2), "{}{}", all.out, all.err);
    let problems: Vec<&str> = all.out.lines().skip_while(|line| !line.starts_with("problem")).collect();
    for (variable, _) in variables.iter().skip(1) {
        assert!(problems.iter().any(|line| line.contains(variable)), "{variable}: {problems:#?}");
    }
    assert!(all.err.contains("problems") && !(all.out + &all.err).contains("hunter2"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
    // Commands that cannot be read as such are wrong too.
    for wrong in [&["no-such-command"][..], &["up", "--no-such-option"], &["replay"], &["migrate"], &["ingest", "--data", data]] {
        let said = said(&[&["config", "check"], wrong].concat(), &[]);
        assert!(said.code == Some(2) && said.out.contains("problem"), "{wrong:?}: {}{}", said.out, said.err);
    }
}

#[test]
fn every_kind_of_command_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, recording, strings) = (path("data"), path("race.ibt"), path("strings"));
    std::fs::write(&recording, "").unwrap();
    let pin = "pin=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    std::fs::write(&strings, format!("boxbox://v4.public.hunter2@127.0.0.1:1?{pin}\n")).unwrap();
    let kafka = "kafka://127.0.0.1:9/topic";
    let (results, archive) = ("postgres://u@127.0.0.1:9/d", "clickhouse://u@127.0.0.1:9/d");
    for right in [
        &["demo", "--data", &data][..],
        &["replay", &recording, "--data", &data],
        &["replay", &recording, "--to-file", &strings, "--data", &data],
        &["replay", &recording, "--to", "-", "--data", &data],
        &["simulate", "--to-file", &strings, "--data", &data],
        &["ingest", "--log-url", kafka, "--quic-port", "0", "--api-port", "0", "--data", &data],
        &["api", "--api-port", "0", "--data", &data],
        &["migrate", "--results-url", results, "--archive-url", archive],
        &["ledger", "verify", "--data", &data],
        &["grant", "create", "--driver", "anna", "--log-url", kafka, "--data", &data],
        &["score", "--list-rules"],
        &["config", "reference"],
    ] {
        let said = said(&[&["config", "check"], right].concat(), &[]);
        assert_eq!(said.code, Some(0), "{right:?}: {}{}", said.out, said.err);
        assert!(!said.out.contains("hunter2"));
    }
    // A connect string on the command line is kept out of sight, and is from there all the same.
    let string = std::fs::read_to_string(&strings).unwrap();
    let said_of = said(&["config", "check", "replay", &recording, "--to", string.trim()], &[]);
    let row = said_of.out.lines().find(|line| line.starts_with("--to ")).unwrap();
    assert!(said_of.code == Some(0) && row.contains("(secret)") && row.ends_with("command line"), "{row}");
    let missing = path("none.ibt");
    let cases: &[(&[&str], &str)] = &[
        (&["replay", &missing, "--data", &data], "none.ibt"),
        (&["replay", &recording, "--to-file", &recording, "--data", &data], "holds no"),
        (&["grant", "create", "--driver", "anna", "--host", "0.0.0.0", "--data", &data], "--public-host"),
        (&["ledger", "verify", "--results-url", results, "--data", &data], "--archive-url"),
    ];
    for (wrong, why) in cases {
        let said = said(&[&["config", "check"], *wrong].concat(), &[]);
        assert!(said.code == Some(2) && said.out.contains(why), "{wrong:?}: {}{}", said.out, said.err);
    }
}
