//! Small crates, written for one rule each.

use super::*;

/// The circles, each as its files without `src/` and `.rs`, of a crate of these files.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    find_in(files).iter().map(|circle| circle.files.iter().map(|file| plain(file)).collect::<Vec<_>>().join(" ")).collect()
}

fn find_in(files: &[(&str, &str)]) -> Vec<Circle> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join("src").join(format!("{name}.rs"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    find(folder.path(), Path::new("src/lib.rs")).unwrap()
}

fn plain(file: &Path) -> String {
    file.strip_prefix("src").unwrap().with_extension("").display().to_string()
}

/// `a` of this text, beside a `b` that names something of `a`.
fn beside_b(a: &str) -> Vec<String> {
    circles(&[("lib", "mod a; mod b;"), ("a", a), ("b", "pub struct B; pub fn make() -> B { B } pub const N: usize = crate::a::A;")])
}

const NONE: [&str; 0] = [];
const A_AND_B: [&str; 1] = ["a b"];

#[test]
fn a_circle_of_two_and_who_names_what() {
    assert_eq!(beside_b("pub const A: usize = 1;"), NONE);
    assert_eq!(beside_b("pub const A: usize = 1; use crate::b::B; struct C(B);"), A_AND_B);
    let found = find_in(&[("lib", "mod a; mod b;"), ("a", "pub fn f() { super::b::g() }"), ("b", "pub fn g() { crate::a::f() }")]);
    assert_eq!(found[0].description, "circle: src/a.rs names g of src/b.rs names f of src/a.rs");
}

#[test]
fn every_way_to_name_an_item_is_seen() {
    let a = |text: &str| beside_b(&format!("pub const A: usize = 1; {text}"));
    for text in [
        "struct C(crate::b::B);",
        "fn f() { super::b::make(); }",
        "use crate::{b, other::Thing}; fn f() { b::make(); }",
        "use crate::b::{self as c}; fn f() -> c::B { loop {} }",
        "fn f() { use crate::b; b::make(); }",
        "impl crate::b::B { fn f() {} }",
        "fn f() { println!(\"{:?}\", crate::b::make()); }",
        "fn f() { let x = vec![Some(super::b::make())]; }",
        "#[serde(with = \"crate::b::make\")] struct C;",
        "#[arg(default_value_t = crate::b::make())] struct C;",
        "mod inner { fn f() { super::super::b::make(); } }",
        "mod inner { pub use crate::b::*; } fn f() { inner::make(); }",
        "use crate::b::*; fn f() { make(); }",
        "fn f(x: &dyn Fn(crate::b::B)) {}",
        "fn f() -> impl Iterator<Item = Vec<crate::b::B>> { [].into_iter() }",
        "macro_rules! m { () => { $crate::b::make() } }",
        "call! { crate::b::B }",
    ] {
        assert_eq!(a(text), A_AND_B, "{text}");
    }
}

#[test]
fn what_is_said_of_modules_or_of_other_crates_is_no_edge() {
    let a = |text: &str| beside_b(&format!("pub const A: usize = 1; {text}"));
    for text in [
        "pub use crate::b::B;",
        "use crate::b;",
        "use ::b::B; fn f() { ::b::make(); }",
        "fn f() { b::make(); }",
        "fn f(b: B) { b.make(); println!(\"{}\", b.N); }",
        "pub(in crate::b) fn f() {}",
        "/// [`crate::b::B`]\nfn f() {}",
    ] {
        assert_eq!(a(text), NONE, "{text}");
    }
}

#[test]
fn tests_do_not_count() {
    let a = |text: &str| beside_b(&format!("pub const A: usize = 1; {text}"));
    let named = "mod inner { use crate::b::B; }";
    for condition in ["#[cfg(test)]", "#[cfg(all(test, unix))]", "#[cfg(all(unix, not(not(test))))]"] {
        assert_eq!(a(&format!("{condition} {named}")), NONE, "{condition}");
    }
    for condition in ["", "#[cfg(unix)]", "#[cfg(not(test))]", "#[cfg(any(test, feature = \"x\"))]", "#[cfg(not(all(test, unix)))]"] {
        assert_eq!(a(&format!("{condition} {named}")), A_AND_B, "{condition}");
    }
    assert_eq!(a("struct C; impl C { #[cfg(test)] fn f() { crate::b::make(); } }"), NONE);
    assert_eq!(a("fn f() { #[cfg(test)] crate::b::make(); #[cfg(test)] { let x = crate::b::make(); } }"), NONE);
    assert_eq!(a("struct C { #[cfg(test)] b: crate::b::B }"), NONE);
    assert_eq!(a("#[test] fn f() { crate::b::make(); }"), NONE);
}

#[test]
fn a_reexport_leads_to_the_file_that_defines() {
    // The root says where things are; each of the two names the other's by it.
    let root = "mod a; mod b; pub use a::A; pub use b::*; pub(crate) use a::A as Renamed;";
    assert_eq!(circles(&[("lib", root), ("a", "pub struct A; fn f(b: crate::B) {}"), ("b", "pub struct B(crate::Renamed);")]), A_AND_B);
    assert_eq!(circles(&[("lib", root), ("a", "pub struct A;"), ("b", "pub struct B(crate::A);")]), NONE);
    // A root that itself uses what it declares stands on it.
    let root = "mod a; pub use a::A; pub struct R; fn f(a: A) {}";
    assert_eq!(circles(&[("lib", root), ("a", "pub struct A(crate::R);")]), ["a lib"]);
    // Through two folders, by a glob of a glob.
    let files = [
        ("lib", "mod a; mod b; mod facade { pub use super::b::*; }"),
        ("a", "pub struct A; use crate::facade::*; fn f(x: C) {}"),
        ("b/mod", "mod c; pub use c::*;"),
        ("b/c", "pub struct C(super::super::a::A);"),
    ];
    assert_eq!(circles(&files), ["a b/c"]);
}

#[test]
fn a_child_that_uses_what_its_parent_keeps_to_itself() {
    let parent = |body: &str| format!("mod child; pub fn f() {{ {body} }} fn private() {{}}");
    let child = ("a/child", "pub fn g() { super::private() }");
    assert_eq!(circles(&[("lib", "mod a;"), ("a", &parent("child::g()")), child]), ["a/child a"]);
    assert_eq!(circles(&[("lib", "mod a;"), ("a", &parent("")), child]), NONE);
    // By `use super::*`, from a file that `#[path]` names.
    let files =
        [("lib", "mod a;"), ("a/mod", "#[path = \"other.rs\"] mod child; fn p() { child::g() }"), ("a/other", "use super::*; pub fn g() { p() }")];
    assert_eq!(circles(&files), ["a/mod a/other"]);
}

#[test]
fn macros_by_order_of_text_by_path_and_what_they_make() {
    // A macro of the root, used by its name alone below it.
    let root = |body: &str| format!("macro_rules! m {{ () => {{}} }} mod a; fn f() {{ {body} }}");
    assert_eq!(circles(&[("lib", &root("a::g()")), ("a", "pub fn g() { m!() }")]), ["a lib"]);
    assert_eq!(circles(&[("lib", &root("")), ("a", "pub fn g() { m!() }")]), NONE);
    // By path, exported to the root.
    let a = "#[macro_export] macro_rules! m { () => { $crate::b::g() } } pub fn f() {}";
    assert_eq!(circles(&[("lib", "mod a; mod b;"), ("a", a), ("b", "pub fn g() { crate::m!() }")]), A_AND_B);
    // An item that a macro makes.
    let a = "metrics! { pub struct Made { x: u8 } } fn f(b: crate::b::B) {}";
    assert_eq!(circles(&[("lib", "mod a; mod b;"), ("a", a), ("b", "pub struct B(crate::a::Made);")]), A_AND_B);
}

#[test]
fn long_circles_and_several() {
    let files = [
        ("lib", "mod a; mod b; mod c; mod d; mod e;"),
        ("a", "pub fn f() { crate::b::f() }"),
        ("b", "pub fn f() { crate::c::f(); crate::d::f() }"),
        ("c", "pub fn f() { crate::a::f() }"),
        ("d", "pub fn f() { crate::e::f() }"),
        ("e", "pub fn f() { crate::d::f() }"),
    ];
    assert_eq!(circles(&files), ["a b c", "d e"]);
    // A circle within a circle is described as one, by its shortest way and all its files.
    let files = [
        ("lib", "mod a; mod b; mod c;"),
        ("a", "pub fn f() { crate::b::f() }"),
        ("b", "pub fn f() { crate::a::f(); crate::c::f() }"),
        ("c", "pub fn f() { crate::a::f() }"),
    ];
    let found = find_in(&files);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].description, "circle: src/a.rs names f of src/b.rs names f of src/a.rs; in it are src/a.rs, src/b.rs, src/c.rs");
}

#[test]
fn imports_that_name_each_other_come_to_an_end() {
    let files = [("lib", "mod a; mod b;"), ("a", "pub use crate::b::*; pub struct A;"), ("b", "pub use crate::a::*; fn f(a: A) {}")];
    assert_eq!(circles(&files), NONE);
}

#[test]
fn three_may_stay() {
    assert!(ALLOWED.len() <= 3);
    assert!(ALLOWED.iter().all(|(files, reason)| files.len() > 1 && !reason.is_empty()));
}
