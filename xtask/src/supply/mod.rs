//! The supply chain, checked from Cargo.lock and cargo's own metadata, without a network: where crates come from, versions
//! with known vulnerabilities, licences. `deny.toml` has the same rules for cargo-deny; its licence list is used here.

mod floors;
mod licences;
mod lock;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use boxbox_testkit::folders;

/// Checks the workspace. Each line is one thing wrong.
pub(crate) fn check() -> Result<Vec<String>> {
    let root = folders::workspace();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"));
    let packages = lock::packages(&read("Cargo.lock")?);
    let mut wrong = lock::foreign(&packages);
    wrong.extend(floors::below(&packages));
    let allowed = licences::allowed(&read("deny.toml")?)?;
    wrong.extend(licences::refused(&metadata(&root)?, &allowed)?);
    Ok(wrong)
}

/// `cargo metadata` of exactly what Cargo.lock says, with what is built on request only (as `[graph]` of deny.toml has it).
fn metadata(root: &Path) -> Result<serde_json::Value> {
    let mut command = Command::new(crate::steps::cargo());
    command.args(["metadata", "--locked", "--all-features", "--format-version", "1"]).current_dir(root);
    Ok(serde_json::from_str(&boxbox_testkit::tools::run(&mut command)?)?)
}
