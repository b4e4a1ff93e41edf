//! Paths: the workspace, cargo's target folder, and xtask's folder in it.
//!
//! Everything xtask fetches or starts lives under `<target>/xtask`, so that `cargo clean` removes all of it.

use std::path::{Path, PathBuf};

/// The workspace root: the folder of the virtual `Cargo.toml`.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` (relative to the workspace root when it is relative), else `target`.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// The folder of xtask in the target folder: jars, wheels, recordings, stacks, logs of test runs.
pub fn xtask() -> PathBuf {
    target().join("xtask")
}

/// Where stacks live, one folder each.
pub fn stacks() -> PathBuf {
    xtask().join("stacks")
}
