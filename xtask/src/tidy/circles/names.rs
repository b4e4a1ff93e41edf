//! The paths that an item names, also in macro calls and attributes.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Field, FieldValue, ImplItem, Item, ItemUse, Macro, Path, Stmt};

use super::tests_only;

/// A path as it is written; an empty first step stands for a leading `::`.
pub(super) type Named = Vec<String>;

/// First step of a path that names a `macro_rules!` macro, wherever it is defined.
pub(super) const MACRO: &str = "macro_rules!";

/// The paths that an item names.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub named: Vec<Named>,
    /// `use` within functions.
    pub uses: Vec<&'a ItemUse>,
}

/// The paths that `item` names.
pub(super) fn of_item(item: &Item) -> Found<'_> {
    let mut found = Found::default();
    found.visit_item(item);
    found
}

/// The paths that a macro call between items names.
pub(super) fn of_macro(call: &Macro) -> Found<'_> {
    let mut found = Found::default();
    found.visit_macro(call);
    found
}

/// Every word in `tokens`.
pub(super) fn words(tokens: TokenStream, words_found: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) => words_found.push(word.to_string()),
            TokenTree::Group(group) => words(group.stream(), words_found),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Found<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !tests_only::item(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !tests_only::impl_item(item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !tests_only::statement(statement) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !tests_only::any(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast FieldValue) {
        if !tests_only::any(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.uses.push(item);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.named.push(steps(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let name = steps(&call.path);
        if let [name] = name.as_slice() {
            self.named.push(vec![MACRO.to_owned(), name.clone()]);
        }
        self.named.push(name);
        self.tokens(call.tokens.clone(), 1);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // Words alone are options there (`default`, `long`), not names.
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone(), 2);
        }
    }
}

impl Found<'_> {
    /// Paths of at least `least` steps among tokens: what a macro makes of them is unknown, so each counts as named.
    fn tokens(&mut self, tokens: TokenStream, least: usize) {
        let mut path: Named = vec![];
        let mut colons = 0;
        // What stands before the path says whether it is a field or method (`.`), or a variable of a macro (`$`).
        let mut before = ' ';
        let mut end = |path: &mut Named| {
            let path = std::mem::take(path);
            if path.len() >= least {
                self.named.push(path);
            }
        };
        let mut inner = vec![];
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        end(&mut path);
                    }
                    let variable = before == '$' && word != "crate";
                    if !(path.is_empty() && (before == '.' || variable)) {
                        path.push(word.to_string());
                    }
                    (colons, before) = (0, ' ');
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    if path.is_empty() && colons == 1 {
                        // A leading `::`.
                        path.push(String::new());
                    }
                    colons += 1;
                }
                other => {
                    end(&mut path);
                    (colons, before) = (0, ' ');
                    match other {
                        TokenTree::Punct(mark) => before = mark.as_char(),
                        TokenTree::Group(group) => inner.push(group.stream()),
                        TokenTree::Literal(literal) => {
                            // `#[serde(with = "crate::times")]`
                            if least > 1
                                && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                                && let Ok(path) = text.parse_with(Path::parse_mod_style)
                            {
                                inner.push(quoted(&path));
                            }
                        }
                        TokenTree::Ident(_) => {}
                    }
                }
            }
        }
        end(&mut path);
        inner.into_iter().for_each(|tokens| self.tokens(tokens, least));
    }
}

/// The tokens of a path that stood in a text.
fn quoted(path: &Path) -> TokenStream {
    steps(path).join("::").parse().unwrap_or_default()
}

fn steps(path: &Path) -> Named {
    let leading = path.leading_colon.as_ref().map(|_| String::new());
    leading.into_iter().chain(path.segments.iter().map(|segment| segment.ident.to_string())).collect()
}
