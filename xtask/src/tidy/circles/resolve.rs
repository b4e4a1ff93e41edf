//! From a path to the file that defines what it names, through `use` and `pub use`.

use std::collections::{BTreeMap, BTreeSet};

use super::names::MACRO;
use super::tree::{FileId, Import, ModuleId, Tree};

/// For each file, the files that define the items that it names, each with the items' names.
pub(super) type Edges = BTreeMap<FileId, BTreeMap<FileId, BTreeSet<String>>>;

/// The target of a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(ModuleId),
    /// An item, in the file that defines it.
    Item(FileId),
}

/// Names being resolved, so that imports that name each other do not loop.
type Asked = BTreeSet<(ModuleId, String)>;

/// The edges between files.
pub(super) fn edges(tree: &Tree) -> Edges {
    let mut edges = Edges::new();
    for (id, module) in tree.modules.iter().enumerate() {
        let imports = module.imports.iter().map(|(_, import)| import).chain(&module.globs);
        let imported = imports.filter(|import| !import.reexport).map(|import| &import.path);
        for path in imported.chain(&module.named) {
            for target in tree.resolve(id, path, &mut Asked::new()).unwrap_or_default() {
                if let Target::Item(file) = target
                    && file != module.file
                    && let Some(name) = path.last()
                {
                    edges.entry(module.file).or_default().entry(file).or_default().insert(name.clone());
                }
            }
        }
    }
    edges
}

impl Tree {
    /// What `path`, written in `module`, leads to: nothing if that is of another crate, `None` if the path is not understood.
    fn resolve(&self, module: ModuleId, path: &[String], asked: &mut Asked) -> Option<Vec<Target>> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            // `::name` begins with another crate.
            "" => return Some(vec![]),
            MACRO => return self.macro_(module, rest.first()?),
            "crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(module)],
            "super" => vec![Target::Module(self.modules[module].parent?)],
            name => self.look_up(module, name, asked)?,
        };
        rest.iter().try_fold(start, |targets, name| {
            let mut next = BTreeSet::new();
            for target in targets {
                match target {
                    Target::Module(within) if name == "super" => next.extend(self.modules[within].parent.map(Target::Module)),
                    // An item that is not found was made by a macro: one edge too many is better than one too few.
                    Target::Module(within) => match self.look_up(within, name, asked) {
                        Some(found) => next.extend(found),
                        None => _ = next.insert(Target::Item(self.modules[within].file)),
                    },
                    // A variant or a method counts as its item.
                    item @ Target::Item(_) => _ = next.insert(item),
                }
            }
            Some(next.into_iter().collect())
        })
    }

    /// What `name` means in `module`; a module, a type and a function may share a name.
    fn look_up(&self, module: ModuleId, name: &str, asked: &mut Asked) -> Option<Vec<Target>> {
        if !asked.insert((module, name.to_owned())) {
            return None;
        }
        let here = &self.modules[module];
        let mut found: BTreeSet<Target> = BTreeSet::new();
        let mut known = here.items.iter().any(|item| item == name);
        if known {
            found.insert(Target::Item(here.file));
        }
        if let Some(child) = here.children.get(name) {
            known = true;
            found.insert(Target::Module(*child));
        }
        for (_, Import { path, .. }) in here.imports.iter().filter(|(known_as, _)| known_as == name) {
            known = true;
            found.extend(self.resolve(module, path, asked).unwrap_or_default());
        }
        if !known {
            for glob in &here.globs {
                for target in self.resolve(module, &glob.path, asked).unwrap_or_default() {
                    if let Target::Module(within) = target
                        && let Some(targets) = self.look_up(within, name, asked)
                    {
                        known = true;
                        found.extend(targets);
                    }
                }
            }
        }
        if !known && here.made_by_macros.iter().any(|word| word == name) {
            known = true;
            found.insert(Target::Item(here.file));
        }
        asked.remove(&(module, name.to_owned()));
        known.then(|| found.into_iter().collect())
    }

    /// A macro by its name alone: one that is imported, else any of that name.
    fn macro_(&self, module: ModuleId, name: &str) -> Option<Vec<Target>> {
        let imported = self.modules[module].imports.iter().any(|(known_as, import)| known_as == name && import.path[0] != MACRO);
        let files = self.macros.get(name).filter(|_| !imported)?;
        Some(files.iter().copied().map(Target::Item).collect())
    }
}
