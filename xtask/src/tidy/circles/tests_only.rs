//! Detects code that is compiled only for tests: `#[test]`, and `#[cfg(…)]` that cannot hold without `test`.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ImplItem, Item, Meta, Stmt, Token};

/// True if the item is compiled for tests only.
pub(super) fn item(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    any(attributes)
}

/// The same of an item of an `impl`.
pub(super) fn impl_item(item: &ImplItem) -> bool {
    match item {
        ImplItem::Const(item) => any(&item.attrs),
        ImplItem::Fn(item) => any(&item.attrs),
        ImplItem::Macro(item) => any(&item.attrs),
        ImplItem::Type(item) => any(&item.attrs),
        _ => false,
    }
}

/// The same of a statement.
pub(super) fn statement(statement: &Stmt) -> bool {
    let expression = match statement {
        Stmt::Local(local) => return any(&local.attrs),
        Stmt::Macro(call) => return any(&call.attrs),
        Stmt::Item(inner) => return item(inner),
        Stmt::Expr(expression, _) => expression,
    };
    match expression {
        Expr::Assign(expression) => any(&expression.attrs),
        Expr::Block(expression) => any(&expression.attrs),
        Expr::Call(expression) => any(&expression.attrs),
        Expr::If(expression) => any(&expression.attrs),
        Expr::MethodCall(expression) => any(&expression.attrs),
        _ => false,
    }
}

/// The same of anything with these attributes.
pub(super) fn any(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|condition| holds(&condition) == Some(false))
    })
}

/// Whether a condition holds in a build without tests; `None`: it depends on what else is built for.
fn holds(condition: &Meta) -> Option<bool> {
    match condition {
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            let parts: Vec<Option<bool>> = parts.iter().map(holds).collect();
            if list.path.is_ident("not") {
                return parts.first().copied().flatten().map(|holds| !holds);
            }
            // One part that has this outcome decides the whole; else all must be known.
            let decides = list.path.is_ident("any");
            if parts.contains(&Some(decides)) {
                return Some(decides);
            }
            parts.iter().all(Option::is_some).then_some(!decides)
        }
        _ => None,
    }
}
