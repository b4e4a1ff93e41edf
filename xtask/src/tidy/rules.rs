//! Rules on rules: each rule of the rules page is cited where the code decides it.

use std::path::Path;

use anyhow::Result;

use super::text;

/// The page that names the rules.
const PAGE: &str = "docs/RULES.md";

/// Checks that each rule of the page is cited, as `name` in backticks, in at least one source file that is no test. Each line is one fault.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let Ok(page) = std::fs::read_to_string(root.join(PAGE)) else { return Ok(vec![]) };
    let mut sources = Vec::new();
    for file in text::files(root)? {
        if file.extension().is_some_and(|extension| extension == "rs") && !text::is_test(&file) {
            sources.push(std::fs::read_to_string(root.join(&file))?);
        }
    }
    Ok(uncited(&page, &sources))
}

fn uncited(page: &str, sources: &[String]) -> Vec<String> {
    let cited = |rule: &&(usize, &str)| sources.iter().any(|source| source.contains(&format!("`{}`", rule.1)));
    let absent = rules(page).into_iter().filter(|rule| !cited(&rule));
    absent.map(|(line, rule)| format!("{PAGE}:{line}: no source file cites the rule {rule} where it decides it")).collect()
}

/// The rules of the page, with their lines: a name in bold code that begins a paragraph, and those in the first cell of a table's row.
fn rules(page: &str) -> Vec<(usize, &str)> {
    let mut rules = Vec::new();
    for (line, number) in page.lines().zip(1..) {
        let cell = line.strip_prefix("**`").and_then(|rest| rest.split_once("`**")).map(|(name, _)| name);
        let row = line.strip_prefix("| `").and_then(|rest| rest.split(" |").next());
        let names = cell.into_iter().chain(row.into_iter().flat_map(|row| row.split("`, `").map(|name| name.trim_end_matches('`'))));
        rules.extend(names.filter(|name| is_rule(name)).map(|name| (number, name)));
    }
    rules
}

/// A rule's name is two words of lower case with a dot between; a word may have hyphens.
fn is_rule(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    name.split_once('.').is_some_and(|(group, rest)| word(group) && word(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_OF_FOUR: &str = "# Rules\n\n**`lap.is`** A lap.\n\n| rule | tag |\n|---|---|\n| `tag.a-b`, `tag.c` | `a` |\n| `LIMIT` | 3 |\n\nSee `lap.not`.\n\n**`lap.in`** In.\n";

    #[test]
    fn rules_are_those_that_the_page_defines() {
        assert_eq!(rules(PAGE_OF_FOUR), [(3, "lap.is"), (7, "tag.a-b"), (7, "tag.c"), (12, "lap.in")]);
    }

    #[test]
    fn a_rule_that_no_source_cites_is_a_fault() {
        let sources = ["/// What it is (`lap.is`, `tag.c`).".to_owned(), "// `lap.in-lap`, lap.in, `tag.a-b`".to_owned()];
        assert_eq!(uncited(PAGE_OF_FOUR, &sources), ["docs/RULES.md:12: no source file cites the rule lap.in where it decides it"]);
    }
}
