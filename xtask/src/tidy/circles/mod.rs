//! No circles of files: within a crate, if one file names an item of another, the other does not name an item of the first,
//! neither directly nor through further files. So a reader can read the files that a file depends on before it.
//!
//! A file names another's items by paths (`crate::`, `super::`, `self::`, a module's name, names from `use`),
//! in macro calls and attributes too. `mod` and `pub use` only say where an item is found: they are not edges, and a path
//! through them names the file that defines the item. Methods are not seen, unless their type is named. Code that is compiled
//! only for tests does not count.

mod graph;
mod names;
mod resolve;
mod tests_only;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use tree::Tree;

/// Allowed circles, each with its reason: their files, in order. Three at most.
const ALLOWED: &[(&[&str], &str)] = &[];

/// Circles in the crates that are in the `folders` of the workspace; allowed ones are left out.
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

/// Files that all depend on each other.
struct Circle {
    files: Vec<PathBuf>,
    /// A way round it: which file names which items of which file.
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
