//! `league entries import`: entries from CSV, and a connect string for each driver.

use std::path::{Path, PathBuf};

use anyhow::Context;
use boxbox_schemas::DriverId;

use super::say::{say, told};
use super::{file, path};
use crate::access::grant::{self, CreateOptions};
use crate::data;
use crate::http::Api;
use crate::show::stderr::note;

/// Largest file, bytes; the API takes no larger one.
const FILE_MAX: u64 = 1 << 20;

/// Entries to import.
pub struct Import {
    pub league: String,
    pub season: String,
    pub file: PathBuf,
    /// Where connect strings go, and how grants are made; none: none are made.
    pub strings: Option<(PathBuf, CreateOptions)>,
}

/// `league entries import`
pub async fn import(api: &Api, of: Import) -> anyhow::Result<()> {
    let bytes = file(&of.file, FILE_MAX)?;
    let to = path(&of.league, &["seasons", &of.season, "entries", "import"])?;
    let answer = api.done("POST", &to, "text/csv", &bytes).await?;
    told(&answer);
    let rows = answer["drivers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut drivers: Vec<DriverId> = rows.iter().filter_map(|row| DriverId::new(row["driver"].as_str()?).ok()).collect();
    drivers.sort_unstable();
    drivers.dedup();
    say(&format!("{} drivers, {} of them with a name for grants", rows.len(), drivers.len()));
    let Some((strings, grants)) = of.strings.filter(|_| !drivers.is_empty()) else { return Ok(()) };
    let made = grant::strings(&grants, &drivers).await?;
    if made.len() < drivers.len() {
        note(&format!("{} drivers have a grant already: `boxbox grant list` shows them, and no string is made for them", drivers.len() - made.len()));
    }
    if made.is_empty() {
        return Ok(());
    }
    keep(&strings, &made)?;
    say(&format!("{} connect strings are in {}, which only you can read: give each driver theirs", made.len(), strings.display()));
    Ok(())
}

/// Writes the strings behind those of an earlier import.
fn keep(file: &Path, made: &[(DriverId, String)]) -> anyhow::Result<()> {
    let mut text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", file.display())),
    };
    for (driver, string) in made {
        text.push_str(&format!("# {driver}\n{string}\n"));
    }
    data::write_secret(file, text.as_bytes())
}
