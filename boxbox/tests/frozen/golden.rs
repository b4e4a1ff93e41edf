//! The frozen values: a text file of lines `name  digest`, in order of names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What came out, by name.
pub type Values = BTreeMap<String, String>;

/// Differences that a failure names at most.
const NAMED: usize = 40;

/// SHA-256 of `text` as hexadecimal digits.
pub fn sha256(text: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What every profile gave, held against each other and against the frozen values of `file`. Of a race that `ran` denies,
/// nothing is compared. With BOXBOX_FREEZE=1 the values are frozen instead.
pub fn check(file: &str, profiles: &[(&str, Values)], ran: impl Fn(&str) -> bool) {
    let (first, values) = &profiles[0];
    for (name, others) in &profiles[1..] {
        // A profile that takes only some races.
        let races: Vec<&str> = others.keys().map(|k| race(k)).collect();
        let of_it = values.iter().filter(|(k, _)| races.contains(&race(k))).map(|(k, v)| (k.clone(), v.clone())).collect();
        let wrong = differences(&of_it, others);
        assert!(wrong.is_empty(), "{name} gives other answers than {first}:\n{}", told(&wrong));
    }
    let (path, old) = (path_of(file), frozen(file));
    if freezing() {
        let kept = old.into_iter().filter(|(name, _)| !ran(race(name)));
        let all: Values = kept.chain(values.iter().map(|(k, v)| (k.clone(), v.clone()))).collect();
        let text: String = all.iter().map(|(name, digest)| format!("{name}  {digest}\n")).collect();
        std::fs::write(&path, text).unwrap();
        eprintln!("{} values are frozen in {}", values.len(), path.display());
        return;
    }
    unchanged(&path, old, values, ran);
}

/// `values` held against the frozen values of `file` of another test, which freezes them; not where it does that now.
pub fn held(file: &str, values: &Values, ran: impl Fn(&str) -> bool) {
    if !freezing() {
        unchanged(&path_of(file), frozen(file), values, ran);
    }
}

/// The frozen values of `file`.
pub fn frozen(file: &str) -> Values {
    let text = std::fs::read_to_string(path_of(file)).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once("  ")).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Whether values are frozen in this run.
pub fn freezing() -> bool {
    std::env::var_os("BOXBOX_FREEZE").is_some_and(|on| on == "1")
}

fn path_of(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frozen").join(file)
}

fn unchanged(path: &Path, old: Values, values: &Values, ran: impl Fn(&str) -> bool) {
    let frozen = old.into_iter().filter(|(name, _)| ran(race(name))).collect();
    let wrong = differences(&frozen, values);
    assert!(
        wrong.is_empty(),
        "what comes out is not what was frozen in {}:\n{}\nBOXBOX_FROZEN_JSON=DIR writes the answers themselves, for both versions to be compared; \
         BOXBOX_FREEZE=1 freezes what comes out now",
        path.display(),
        told(&wrong)
    );
}

/// The race that a value belongs to.
fn race(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

fn differences(expected: &Values, found: &Values) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differs = |name: &&String| match (expected.get(*name), found.get(*name)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(_), Some(_)) => Some(format!("  {name}: changed")),
        (Some(_), None) => Some(format!("  {name}: not there any more")),
        (None, _) => Some(format!("  {name}: new")),
    };
    names.iter().filter_map(differs).collect()
}

fn told(wrong: &[String]) -> String {
    let more = if wrong.len() > NAMED { format!("\n  and {} more", wrong.len() - NAMED) } else { String::new() };
    wrong[..wrong.len().min(NAMED)].join("\n") + &more
}
