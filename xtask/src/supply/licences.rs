//! Licences: every package's SPDX expression must be satisfied by the list in deny.toml.

use anyhow::{Context, Result};
use serde_json::Value;

/// The `allow` list of deny.toml's `[licenses]`.
pub(super) fn allowed(deny: &str) -> Result<Vec<String>> {
    let section = deny.split_once("[licenses]").map(|(_, rest)| rest.split("\n[").next().unwrap_or(rest));
    let list = section.and_then(|section| section.split_once("allow = [")?.1.split_once(']')).map(|(list, _)| list);
    let list = list.context("deny.toml has no [licenses] allow = [...]")?;
    // Every second piece between quotes is a name.
    Ok(list.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Packages of `cargo metadata` that no choice among their licences makes acceptable.
pub(super) fn refused(metadata: &Value, allowed: &[String]) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let verdict = |package: &Value| {
        let (name, version) = (package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
        match package["license"].as_str() {
            Some(licence) if satisfied(licence, allowed) => None,
            Some(licence) => Some(format!("{name} {version} is under {licence:?}, which deny.toml does not allow")),
            None => Some(format!("{name} {version} names no licence")),
        }
    };
    Ok(packages.iter().filter_map(verdict).collect())
}

/// Evaluates an SPDX expression: `OR` is a choice, `AND` binds tighter, `/` is the old way to write `OR`. An invalid expression
/// is not satisfied.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any(&mut words, allowed);
    verdict.unwrap_or(false) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut verdict = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= all(words, allowed)?;
    }
    Some(verdict)
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut verdict = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words, allowed)?;
    }
    Some(verdict)
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    if words.next_if_eq(&"(").is_some() {
        let verdict = any(words, allowed)?;
        return words.next_if_eq(&")").map(|_| verdict);
    }
    let mut name = words.next()?.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next()?);
    }
    Some(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_from_deny_toml() {
        let deny =
            "[bans]\nallow = [\"no\"]\n[licenses]\nconfidence-threshold = 0.9\nallow = [\n  \"MIT\", # short\n  \"Apache-2.0\",\n]\n[sources]\n";
        assert_eq!(allowed(deny).unwrap(), ["MIT", "Apache-2.0"]);
        assert!(allowed("[bans]\n").is_err());
    }

    #[test]
    fn expressions_are_evaluated() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "GPL-3.0 OR MIT AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(satisfied(good, &allowed), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND GPL-3.0", "MIT WITH GPL-exception", "", "MIT OR", "(MIT", "MIT MIT"] {
            assert!(!satisfied(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_refused() {
        let metadata = serde_json::json!({"packages": [
            {"name": "good", "version": "1.0.0", "license": "MIT"},
            {"name": "none", "version": "2.0.0", "license": null},
        ]});
        assert_eq!(refused(&metadata, &["MIT".to_owned()]).unwrap(), ["none 2.0.0 names no licence"]);
        assert!(refused(&serde_json::json!({}), &[]).is_err());
    }
}
