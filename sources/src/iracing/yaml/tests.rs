//! The tolerant reader: what a strict one reads it reads the same, and what a strict one refuses it reads as meant.

use boxbox_testkit::recordings::PHILLIP_ISLAND;
use proptest::prelude::*;
use saphyr::{LoadableYamlNode, Scalar, Yaml};

use super::*;
use crate::iracing::layout::Layout;
use crate::iracing::stream::Origin;

fn scalar(line: &str) -> String {
    let text = format!("A:\n B: {line}\n C: after\n");
    let (root, skipped) = parse(&text);
    assert_eq!((skipped, root.text(&["A", "C"])), (0, Some("after")), "{line}");
    root.text(&["A", "B"]).unwrap_or_default().to_owned()
}

#[test]
fn values_are_what_stands_there() {
    for plain in [
        "Joe",
        "Team: #1",
        "#1 Driver",
        "- \"Ace\" -",
        "@home",
        "*star",
        "&co",
        "!bang",
        "%",
        "{x",
        "[Y] z",
        "? who",
        "| pipe",
        "> gt",
        "a\tb",
        "O'Brien",
        "\"Bob\" Smith",
        "\"A\" and \"B\"",
        "'x' 'y'",
        "C:\\new\\table",
        "1.35:1",
        "yes",
        "-",
        "\"",
        "'",
    ] {
        assert_eq!(scalar(plain), plain);
    }
    for (quoted, meant) in [
        ("\"007\"", "007"),
        ("'it''s'", "it's"),
        ("\"a \\\"b\\\" c\"", "a \"b\" c"),
        ("\"C:\\\\new\"", "C:\\new"),
        ("\"C:\\new\"", "C:\\new"),
        ("\"\\x41\\u00e9\"", "Aé"),
        ("\"\\xZZ\"", "\\xZZ"),
        ("\"\"", ""),
        ("''", ""),
        ("null", ""),
        ("~", ""),
        ("[]", ""),
        ("spaces   ", "spaces"),
    ] {
        assert_eq!(scalar(quoted), meant, "{quoted}");
    }
}

#[test]
fn lists_stand_under_their_key_or_further_in() {
    for text in [
        "K:\n- A: 1\n  B: 2\n- A: 3\n",
        "K:\n - A: 1\n   B: 2\n - A: 3\n",
        "K:\n    -   A: 1\n        B: 2\n    -   A: 3\n",
        "K:\r\n- \r\n  A: 1\r\n  B: 2\r\n-\r\n  A: 3\r\n",
    ] {
        let (root, skipped) = parse(text);
        assert_eq!(skipped, 0, "{text:?}");
        let items: Vec<_> = root.items(&["K"], "A").iter().map(|i| (i.text(&["A"]), i.text(&["B"]))).collect();
        assert_eq!(items, [(Some("1"), Some("2")), (Some("3"), None)], "{text:?}");
    }
    let (root, _) = parse("K:\n- one\n- - two\n  - three\n");
    let [Node::Scalar(one), Node::List(inner)] = root.list(&["K"]).unwrap_or_default() else { panic!("{root:?}") };
    assert_eq!((one.as_ref(), inner.len()), ("one", 2));
}

#[test]
fn a_line_that_makes_no_sense_costs_itself() {
    let (root, skipped) = parse("---\nA:\n  X: 1\nthis is no YAML\n  Y: 2\n: :\nB: 3\n\t\t\nC:\n - D: 4\n   broken\n   E: 5\n...\nF: 6\n");
    assert_eq!(root.text(&["A", "X"]), Some("1"));
    assert_eq!(root.text(&["B"]), Some("3"));
    assert_eq!((root.items(&["C"], "D")[0].text(&["D"]), root.text(&["F"])), (Some("4"), None));
    assert!(skipped >= 3, "{skipped}");
}

#[test]
fn depth_is_bounded() {
    let deep: String = (0..1_000).map(|i| format!("{}k:\n", " ".repeat(i))).collect();
    assert!(parse(&deep).1 > 900);
    assert_eq!(parse(&"- ".repeat(1_000)).1, 2);
}

/// A value, in a form that both readers can be compared in.
fn agrees(strict: &Yaml<'_>, ours: &Node<'_>, path: &str) {
    match (strict, ours) {
        (Yaml::Mapping(pairs), Node::Map(our_pairs)) => {
            assert_eq!(pairs.len(), our_pairs.len(), "{path}");
            for ((key, value), (our_key, our_value)) in pairs.iter().zip(our_pairs) {
                assert_eq!(key.as_str(), Some(*our_key), "{path}");
                agrees(value, our_value, &format!("{path}/{our_key}"));
            }
        }
        (Yaml::Sequence(items), Node::List(our_items)) => {
            assert_eq!(items.len(), our_items.len(), "{path}");
            items.iter().zip(our_items).enumerate().for_each(|(n, (item, our_item))| agrees(item, our_item, &format!("{path}/{n}")));
        }
        (Yaml::Value(value), Node::Scalar(text)) => match value {
            Scalar::Null => assert_eq!(text, "", "{path}"),
            Scalar::Boolean(v) => assert_eq!(*text, v.to_string(), "{path}"),
            Scalar::String(v) => assert_eq!(text, v, "{path}"),
            Scalar::FloatingPoint(v) => assert_eq!(text.parse::<f64>().unwrap(), v.into_inner(), "{path}"),
            Scalar::Integer(v) => {
                let number = text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |hex| i64::from_str_radix(hex, 16).unwrap());
                assert_eq!(number, *v, "{path}");
            }
        },
        (strict, ours) => panic!("{path}: {strict:?} is not {ours:?}"),
    }
}

/// A real session text, 2,300 lines: a strict reader of others reads the same, every key and every value.
#[test]
fn a_real_text_reads_as_a_strict_reader_does() {
    const TEST: &str = "ibt::yaml::a_real_text_reads_as_a_strict_reader_does";
    let Some(path) = boxbox_testkit::recording(TEST, PHILLIP_ISLAND) else { return };
    let (_, bytes) = Layout::read(&Origin::file(path).unwrap(), &mut Vec::new()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (ours, skipped) = parse(&text);
    assert_eq!(skipped, 0);
    let strict = Yaml::load_from_str(&text).unwrap();
    agrees(&strict[0], &ours, "");
}

/// Names, quotes, anything: printable, without white space at the ends.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,24}".prop_map(|s| s.trim().to_owned())
}

#[derive(Debug, Clone)]
enum Tree {
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

fn trees() -> impl Strategy<Value = Vec<(String, Tree)>> {
    let node = text().prop_map(Tree::Text).prop_recursive(4, 60, 6, |inner| {
        let map = prop::collection::vec(("[A-Za-z][A-Za-z0-9_]{0,8}", inner), 1..6);
        prop_oneof![map.clone().prop_map(Tree::Map), prop::collection::vec(map.prop_map(Tree::Map), 1..4).prop_map(Tree::List)]
    });
    prop::collection::vec(("[A-Za-z][A-Za-z0-9_]{0,8}", node), 1..5)
}

/// As iRacing writes: one space further in for each level, two more behind a dash.
fn write(pairs: &[(String, Tree)], indent: usize, first: bool, out: &mut String) {
    for (n, (key, value)) in pairs.iter().enumerate() {
        let at = if first && n == 0 { String::new() } else { " ".repeat(indent) };
        match value {
            Tree::Text(text) => *out += &format!("{at}{key}: \"{}\"\n", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Tree::Map(inner) => {
                *out += &format!("{at}{key}:\n");
                write(inner, indent + 1, false, out);
            }
            Tree::List(items) => {
                *out += &format!("{at}{key}:\n");
                for item in items {
                    let Tree::Map(inner) = item else { continue };
                    *out += &format!("{}- ", " ".repeat(indent));
                    write(inner, indent + 2, true, out);
                }
            }
        }
    }
}

fn same(tree: &Tree, node: &Node<'_>) -> bool {
    match (tree, node) {
        (Tree::Text(a), Node::Scalar(b)) => a == b,
        (Tree::List(a), Node::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Tree::Map(a), Node::Map(b)) => a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && same(a, b)),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(tree in trees()) {
        let mut text = String::from("---\n");
        write(&tree, 0, false, &mut text);
        let (node, skipped) = parse(&text);
        prop_assert_eq!(skipped, 0, "{}", text);
        prop_assert!(same(&Tree::Map(tree), &node), "{text}\n{node:?}");
    }

    /// An unquoted value is taken as it stands unless it is itself quoted or YAML's nothing.
    #[test]
    fn unquoted_values_are_themselves(value in text()) {
        prop_assume!(!value.starts_with(['"', '\'']) && !["~", "null", "[]", "{}"].contains(&value.as_str()));
        prop_assert_eq!(scalar(&value), value);
    }

    #[test]
    fn any_text_is_read_in_the_end(text in "(\\PC|[ \n\t:'\"#-]|\r\n|- |k: ){0,200}") {
        let (_, skipped) = parse(&text);
        prop_assert!(skipped <= 2 * text.len());
    }
}
