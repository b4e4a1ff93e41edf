//! Each alert has a runbook: a heading of its name on the page of its group, with the same six parts under each.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::rules::RuleBook;

/// What a runbook says, in this order.
const PARTS: [&str; 6] = ["Means", "Who is hurt", "Look", "Do", "Prove", "Afterwards"];

/// Checks the pages in `docs/runbooks`. Each line is one fault.
pub(super) fn check(root: &Path, book: &RuleBook) -> Result<Vec<String>> {
    let pages: BTreeSet<&str> = book.all().map(|entry| entry.page.as_str()).collect();
    let mut wrong = Vec::new();
    for page_name in pages {
        let path = format!("docs/runbooks/{page_name}.md");
        let Ok(page) = std::fs::read_to_string(root.join(&path)) else {
            wrong.push(format!("{path}: is not there, and alerts name it"));
            continue;
        };
        let alerts: Vec<&str> = book.all().filter(|entry| entry.page == page_name).map(|entry| entry.alert.name.as_str()).collect();
        wrong.extend(faults(&page, &alerts).into_iter().map(|fault| format!("{path}: {fault}")));
    }
    Ok(wrong)
}

fn faults(page: &str, alerts: &[&str]) -> Vec<String> {
    let sections: Vec<(&str, &str)> = page
        .split("\n## ")
        .skip(1)
        .map(|section| section.split_once('\n').unwrap_or((section, "")))
        .map(|(name, text)| (name.trim(), text))
        .collect();
    let mut wrong = Vec::new();
    for alert in alerts {
        let Some((_, text)) = sections.iter().find(|(name, _)| name == alert) else {
            wrong.push(format!("has no heading {alert}"));
            continue;
        };
        let mut rest = *text;
        for part in PARTS {
            match rest.split_once(&format!("* **{part}:** ")) {
                Some((_, after)) => rest = after,
                None => wrong.push(format!("{alert} does not say {part:?} where it should")),
            }
        }
    }
    let stale = sections.iter().filter(|(name, _)| !name.contains(' ') && !alerts.contains(name));
    wrong.extend(stale.map(|(name, _)| format!("has a heading {name}, and there is no such alert")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runbook_has_all_its_parts_in_order() {
        let all = PARTS.map(|part| format!("* **{part}:** text\n")).concat();
        let page = format!("# Page\n\n## Late\n\n{all}\n## What helps\n\ntext\n");
        assert!(faults(&page, &["Late"]).is_empty());
        assert_eq!(faults(&page, &["Late", "Early"]), ["has no heading Early"]);
        assert_eq!(faults(&page, &[]), ["has a heading Late, and there is no such alert"]);
        assert_eq!(faults(&page.replace("**Do:**", "**Done:**"), &["Late"]), ["Late does not say \"Do\" where it should"]);
    }
}
