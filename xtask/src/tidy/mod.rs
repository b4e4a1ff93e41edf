//! Rules for source files and documents that no compiler checks.

mod circles;
mod rules;
mod text;

use anyhow::{Context, Result};

use boxbox_testkit::folders;

/// Checks the workspace. Each line is one fault.
pub(crate) fn check() -> Result<Vec<String>> {
    let root = folders::workspace();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let members = members(&manifest);
    let mut wrong = text::check(&root, &members)?;
    wrong.extend(circles::check(&root, &members)?);
    wrong.extend(rules::check(&root)?);
    Ok(wrong)
}

/// The workspace's members: one line of the virtual manifest, plain folders.
fn members(manifest: &str) -> Vec<String> {
    let list = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read() {
        let manifest = "[workspace]\nmembers = [\"log\", \"boxbox\"]\ndefault-members = [\"boxbox\"]\n";
        assert_eq!(members(manifest), ["log", "boxbox"]);
    }
}
