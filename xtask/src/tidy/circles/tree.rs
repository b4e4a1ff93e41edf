//! [`Tree`]: the modules of one crate and what each of them declares, read from its source files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, UseTree, Visibility};

use super::names::{self, MACRO, Named};
use super::tests_only;

/// Number of a module in its tree.
pub(super) type ModuleId = usize;
/// Number of a file in its tree.
pub(super) type FileId = usize;

/// One `use`, as one name or one `*`.
pub(super) struct Import {
    /// The imported path; with a leading `::` it is of another crate.
    pub path: Vec<String>,
    /// `pub use`, of any visibility: it says where an item is found, as `mod` does.
    pub reexport: bool,
}

/// A module: a file, or a `mod name { … }` within one.
pub(super) struct Module {
    pub file: FileId,
    pub parent: Option<ModuleId>,
    pub children: BTreeMap<String, ModuleId>,
    /// Names of the items that the module defines.
    pub items: Vec<String>,
    /// Imports by the name that they make known here; `_` for those that make none known.
    pub imports: Vec<(String, Import)>,
    /// What is imported with `*`.
    pub globs: Vec<Import>,
    /// Words in the macro calls between its items: such a call may define an item of that name.
    pub made_by_macros: Vec<String>,
    /// Every path that the module's items name.
    pub named: Vec<Named>,
}

/// A crate.
pub(super) struct Tree {
    /// Relative to the workspace.
    pub files: Vec<PathBuf>,
    /// The first is the crate's root.
    pub modules: Vec<Module>,
    /// Where macros are defined with `macro_rules!`: they are known by order of text, not by path.
    pub macros: BTreeMap<String, Vec<FileId>>,
}

impl Tree {
    /// Reads the crate whose root is the file `root`, relative to `workspace`. Code that is compiled only for tests is left out.
    pub(super) fn read(workspace: &Path, root: &Path) -> Result<Self> {
        let mut tree = Self { files: vec![], modules: vec![], macros: BTreeMap::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.file(workspace, root, folder, None)?;
        Ok(tree)
    }

    /// Reads a file as a module; `folder` is where the files of its children are.
    fn file(&mut self, workspace: &Path, path: &Path, folder: PathBuf, parent: Option<ModuleId>) -> Result<ModuleId> {
        let text = std::fs::read_to_string(workspace.join(path)).with_context(|| format!("cannot read {}", path.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} is not Rust", path.display()))?;
        let file = self.files.iter().position(|known| known == path).unwrap_or_else(|| {
            self.files.push(path.to_owned());
            self.files.len() - 1
        });
        let module = self.module(file, parent);
        self.items(workspace, module, &folder, &parsed.items)?;
        Ok(module)
    }

    fn module(&mut self, file: FileId, parent: Option<ModuleId>) -> ModuleId {
        self.modules.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            items: vec![],
            imports: vec![],
            globs: vec![],
            made_by_macros: vec![],
            named: vec![],
        });
        self.modules.len() - 1
    }

    fn items(&mut self, workspace: &Path, module: ModuleId, folder: &Path, items: &[Item]) -> Result<()> {
        for item in items.iter().filter(|item| !tests_only::item(item)) {
            match item {
                Item::Mod(child) => self.child(workspace, module, folder, child)?,
                Item::Use(item) => self.import(module, item),
                Item::Macro(item) if item.ident.is_none() => {
                    names::words(item.mac.tokens.clone(), &mut self.modules[module].made_by_macros);
                    self.names(module, names::of_macro(&item.mac));
                }
                _ => {
                    if let Some(name) = defined(item) {
                        self.modules[module].items.push(name);
                    }
                    if let Item::Macro(item) = item
                        && let Some(name) = &item.ident
                    {
                        let file = self.modules[module].file;
                        self.macros.entry(name.to_string()).or_default().push(file);
                        if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                            let import = Import { path: vec![MACRO.to_owned(), name.to_string()], reexport: true };
                            self.modules[0].imports.push((name.to_string(), import));
                        }
                    }
                    self.names(module, names::of_item(item));
                }
            }
        }
        Ok(())
    }

    fn names(&mut self, module: ModuleId, found: names::Found<'_>) {
        self.modules[module].named.extend(found.named);
        // A `use` within a function: treated as known in the whole module, which at most finds too many edges.
        found.uses.iter().for_each(|item| self.import(module, item));
    }

    fn child(&mut self, workspace: &Path, module: ModuleId, folder: &Path, item: &ItemMod) -> Result<()> {
        let name = item.ident.to_string();
        let id = match &item.content {
            Some((_, items)) => {
                let id = self.module(self.modules[module].file, Some(module));
                self.items(workspace, id, &folder.join(&name), items)?;
                id
            }
            None => {
                let (path, below) = match given_path(&item.attrs) {
                    Some(given) => {
                        // Relative to the file that says it, or to the folder of the inline module that says it.
                        let of_file = self.files[self.modules[module].file].parent().unwrap_or(Path::new("")).to_owned();
                        let path = plain(&of_file.join(given));
                        let below = path.parent().unwrap_or(Path::new("")).to_owned();
                        (path, below)
                    }
                    None => {
                        let below = folder.join(&name);
                        let (flat, nested) = (folder.join(format!("{name}.rs")), below.join("mod.rs"));
                        (if workspace.join(&flat).exists() { flat } else { nested }, below)
                    }
                };
                self.file(workspace, &path, below, Some(module))?
            }
        };
        self.modules[module].children.insert(name, id);
        Ok(())
    }

    fn import(&mut self, module: ModuleId, item: &syn::ItemUse) {
        let start = if item.leading_colon.is_some() { vec![String::new()] } else { vec![] };
        let reexport = !matches!(item.vis, Visibility::Inherited);
        self.import_tree(module, start, &item.tree, reexport);
    }

    fn import_tree(&mut self, module: ModuleId, mut path: Vec<String>, tree: &UseTree, reexport: bool) {
        let to = &mut self.modules[module];
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import_tree(module, path, &step.tree, reexport);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import_tree(module, path.clone(), tree, reexport)),
            UseTree::Glob(_) => to.globs.push(Import { path, reexport }),
            UseTree::Name(_) | UseTree::Rename(_) => {
                let (name, known_as) = match tree {
                    UseTree::Rename(renamed) => (&renamed.ident, renamed.rename.to_string()),
                    UseTree::Name(plain) => (&plain.ident, plain.ident.to_string()),
                    _ => return,
                };
                // `use a::b::{self}` is `use a::b`.
                let known_as = if name == "self" {
                    if known_as == "self" { path.last().cloned().unwrap_or_default() } else { known_as }
                } else {
                    path.push(name.to_string());
                    known_as
                };
                to.imports.push((known_as, Import { path, reexport }));
            }
        }
    }
}

/// The name that an item defines in its module.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// The text of `#[path = "…"]`.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    let given = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &given.meta {
        Meta::NameValue(value) => match &value.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
