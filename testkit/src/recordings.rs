//! The project's real recordings, which are not part of the repository.

use std::path::PathBuf;

use crate::folders::workspace;
use crate::not_run;

/// The race at Phillip Island, from the green flag to lap 2: an .ibt file, packed.
pub const PHILLIP_ISLAND: &str = "phillipisland_f4_race_green_to_lap2.ibt.gz";

/// The variable that names the folder of recordings.
pub const FOLDER_VARIABLE: &str = "BOXBOX_TESTDATA";

/// The folder of recordings: what the variable says, relative to the workspace root, or the default; there or not.
pub fn folder() -> PathBuf {
    let workspace = workspace();
    match std::env::var_os(FOLDER_VARIABLE).filter(|dir| !dir.is_empty()) {
        Some(named) => workspace.join(named),
        None => workspace.parent().unwrap_or(&workspace).join("shared/data"),
    }
}

/// The recording, or the folder of recordings, `name`. Without it `test` cannot run, which this function reports.
pub fn recording(test: &str, name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    if path.exists() {
        return Some(path);
    }
    not_run(test, format_args!("no recording at {} ({FOLDER_VARIABLE} names another folder)", path.display()));
    None
}
