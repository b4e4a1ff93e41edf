//! No circles of files: within a crate, no file names what another defines that names, by way of others or not, what the
//! first defines. A reader can then read what a file stands on before the file.
//!
//! A file names another's items by paths (`crate::`, `super::`, `self::`, a module's name, whatever `use` has made known),
//! in macro calls and attributes too. `mod` and `pub use` only say where things are found: they are no edges, and who
//! names an item by them names the file that defines it. Methods are not seen, unless their type is named. What is compiled for
//! tests only does not count.

mod graph;
mod names;
mod resolve;
mod tests_only;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use tree::Tree;

/// Circles that stay, each with its reason: their files, in order. Three at most.
const ALLOWED: &[(&[&str], &str)] = &[];

/// Circles in the crates that are in the `folders` of the workspace; those that may stay are left out.
pub(super) fn check(workspace: &Path, folders: &[String]) -> Result<Vec<String>> {
    let mut wrong = vec![];
    let mut seen = BTreeSet::new();
    for root in folders.iter().flat_map(|folder| ["src/lib.rs", "src/main.rs"].map(|root| Path::new(folder).join(root))) {
        if !workspace.join(&root).exists() {
            continue;
        }
        for circle in find(workspace, &root)? {
            match ALLOWED.iter().find(|(files, _)| circle.files.iter().eq(files.iter().map(Path::new))) {
                Some((files, _)) => _ = seen.insert(*files),
                None => wrong.push(circle.description),
            }
        }
    }
    let gone = ALLOWED.iter().filter(|(files, _)| !seen.contains(files));
    wrong.extend(gone.map(|(files, _)| format!("circle: {} is no circle any more: take it off the list of those that may stay", files.join(", "))));
    Ok(wrong)
}

/// Files of which each needs each.
struct Circle {
    files: Vec<PathBuf>,
    /// A way round it: who names what of whom.
    description: String,
}

/// The circles of the crate whose root is the file `root`.
fn find(workspace: &Path, root: &Path) -> Result<Vec<Circle>> {
    let tree = Tree::read(workspace, root)?;
    let edges = resolve::edges(&tree);
    let graph = edges.iter().map(|(from, to)| (*from, to.keys().copied().collect())).collect();
    let describe = |circle: &BTreeSet<usize>| {
        let mut files: Vec<PathBuf> = circle.iter().map(|file| tree.files[*file].clone()).collect();
        files.sort();
        let way = graph::way_round(&graph, circle);
        let mut description = "circle: ".to_owned();
        for (file, next) in way.iter().zip(way.iter().cycle().skip(1)) {
            let names = edges.get(file).and_then(|to| to.get(next)).cloned().unwrap_or_default();
            let names: Vec<String> = names.into_iter().collect();
            description += &format!("{} names {} of ", tree.files[*file].display(), names.join(", "));
        }
        description += &way.first().map(|file| tree.files[*file].display().to_string()).unwrap_or_default();
        if way.len() < files.len() {
            let all: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            description += &format!("; in it are {}", all.join(", "));
        }
        Circle { files, description }
    };
    Ok(graph::circles(&graph).iter().map(describe).collect())
}

#[cfg(test)]
mod tests;
