//! How each kind of field is read from a document, with every fault noted and none hidden by another, and how it is written again.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::de::IntoDeserializer;
use serde::de::value::{Error as NotOneOf, StrDeserializer};
use serde::{Serialize, de::DeserializeOwned};

use super::canonical::Written;
use super::json::{Node, Position, Value};
use crate::scoring::points::Points;

/// Most faults that are told at once.
const FAULTS_MAX: usize = 100;

/// A fault of a ruleset's document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, thiserror::Error)]
#[error("line {line}, column {column}: {}{message}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct RuleError {
    /// Line in the document; 1 is the first.
    pub line: u32,
    /// Column in characters; 1 is the first.
    pub column: u32,
    /// The field, such as `race.bonuses[0].points`; empty for the document as a whole.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Reads fields, and keeps where each stands and what is wrong.
#[derive(Default)]
pub(super) struct Reader {
    path: Vec<String>,
    places: BTreeMap<String, Position>,
    errors: Vec<RuleError>,
}

impl Reader {
    /// Notes a fault of the value at `at`, which is being read.
    pub(super) fn wrong(&mut self, at: Position, message: impl Into<String>) {
        let field = self.path.concat();
        self.push(RuleError { line: at.line, column: at.column, field: field.trim_start_matches('.').into(), message: message.into() });
    }

    /// Notes a fault of a field that was read before: at its place, or at that of the nearest field around it that is in the document.
    /// Of several faults of a field the first is told, because the others often come from it.
    pub(super) fn wrong_field(&mut self, field: &str, message: impl Into<String>) {
        if self.is_wrong(field) {
            return;
        }
        let mut near = field;
        let at = loop {
            match self.places.get(near) {
                Some(at) => break *at,
                None if near.is_empty() => break Position { line: 1, column: 1 },
                None => near = near.rfind(['.', '[']).map_or("", |end| &near[..end]),
            }
        };
        self.push(RuleError { line: at.line, column: at.column, field: field.into(), message: message.into() });
    }

    /// Whether a fault of this field was noted.
    pub(super) fn is_wrong(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// Whether the document has this field.
    pub(super) fn has(&self, field: &str) -> bool {
        self.places.contains_key(field)
    }

    /// All faults, in the order of the document.
    pub(super) fn into_errors(self) -> Vec<RuleError> {
        let mut errors = self.errors;
        errors.sort();
        errors.dedup();
        errors
    }

    fn push(&mut self, error: RuleError) {
        if self.errors.len() < FAULTS_MAX {
            self.errors.push(error);
        }
    }

    /// Reads what is one step further in: `.name` or `[0]`.
    pub(super) fn within<T>(&mut self, step: String, at: Position, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        self.places.insert(self.path.concat().trim_start_matches('.').into(), at);
        let read = read(self);
        self.path.pop();
        read
    }

    /// Reads the members of an object; `member` is called for each that is in `known`, once.
    pub(super) fn object(&mut self, node: &Node, known: &[&str], mut member: impl FnMut(&str, &Node, &mut Self)) {
        let Value::Object(members) = &node.value else {
            return self.wrong(node.at, format!("needs an object {{ … }} with the fields {}, not {}", listed(known), node.value.kind()));
        };
        let mut seen: BTreeMap<&str, Position> = BTreeMap::new();
        for (at, key, value) in members {
            if let Some(before) = seen.insert(key, *at) {
                self.within(format!(".{key}"), before, |r| r.wrong(*at, format!("is there twice, first in line {}; remove one", before.line)));
            } else if known.contains(&key.as_str()) {
                self.within(format!(".{key}"), value.at, |r| member(key, value, r));
            } else {
                let hint =
                    nearest(key, known).map_or_else(|| format!("the fields here are {}", listed(known)), |name| format!("did you mean {name}?"));
                let shown: String = key.chars().take(40).collect();
                self.within(format!(".{shown}"), *at, |r| r.wrong(*at, format!("unknown field; {hint}")));
            }
        }
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "with any name".into() } else { names.join(", ") }
}

/// The known name that was probably meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 40 {
        return None;
    }
    known.iter().map(|other| (distance(name, other), *other)).filter(|(d, other)| *d <= ((other.len() + 1) / 3).max(1)).min().map(|(_, other)| other)
}

/// How many characters must be changed, added or removed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A field of a document.
pub(super) trait Field: Sized {
    /// Reads it; a fault is noted, and a value stands in so that the rest can be checked as well.
    fn read(node: &Node, reader: &mut Reader) -> Self;
    /// Writes it.
    fn write(&self) -> Written;
}

impl Field for bool {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let Value::Bool(value) = &node.value else {
            reader.wrong(node.at, format!("needs true or false, not {}", node.value.kind()));
            return false;
        };
        *value
    }

    fn write(&self) -> Written {
        Written::Plain(self.to_string())
    }
}

impl Field for String {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let Value::Text(text) = &node.value else {
            reader.wrong(node.at, format!("needs a text in quotes, not {}", node.value.kind()));
            return String::new();
        };
        text.clone()
    }

    fn write(&self) -> Written {
        Written::Text(self.clone())
    }
}

impl Field for Points {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let (Value::Number(text) | Value::Text(text)) = &node.value else {
            reader.wrong(node.at, format!("needs a number such as 25, 12.5 or \"33/2\", not {}", node.value.kind()));
            return Points::default();
        };
        text.parse().unwrap_or_else(|error| {
            reader.wrong(node.at, format!("{error}"));
            Points::default()
        })
    }

    /// As a text: one spelling for each value.
    fn write(&self) -> Written {
        Written::Text(self.to_string())
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn read(node: &Node, reader: &mut Reader) -> Self {
                let value = if let Value::Number(text) = &node.value { text.parse().ok() } else { None };
                value.unwrap_or_else(|| {
                    reader.wrong(node.at, format!("needs a whole number from {} to {}", <$number>::MIN.max(0), <$number>::MAX));
                    Self::default()
                })
            }

            fn write(&self) -> Written {
                Written::Plain(self.to_string())
            }
        }
    )*};
}

whole_numbers!(u32, i64, usize);

impl<T: Field> Field for Option<T> {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        if node.value == Value::Null { None } else { Some(T::read(node, reader)) }
    }

    fn write(&self) -> Written {
        self.as_ref().map_or(Written::Plain("null".into()), T::write)
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let Value::List(items) = &node.value else {
            reader.wrong(node.at, format!("needs a list [ … ], not {}", node.value.kind()));
            return vec![];
        };
        items.iter().enumerate().map(|(at, item)| reader.within(format!("[{at}]"), item.at, |reader| T::read(item, reader))).collect()
    }

    fn write(&self) -> Written {
        Written::List(self.iter().map(T::write).collect())
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn read(node: &Node, reader: &mut Reader) -> Self {
        let mut out = BTreeMap::new();
        let Value::Object(members) = &node.value else {
            reader.wrong(node.at, format!("needs an object {{ … }}, not {}", node.value.kind()));
            return out;
        };
        let names: Vec<&str> = members.iter().map(|(_, key, _)| key.as_str()).collect();
        reader.object(node, &names, |key, value, reader| drop(out.insert(key.to_owned(), T::read(value, reader))));
        out
    }

    fn write(&self) -> Written {
        Written::Object(self.iter().map(|(key, value)| (key.clone(), value.write())).collect())
    }
}

/// One of several words; none, and a fault, if it is another.
pub(super) fn read_word<T: DeserializeOwned>(node: &Node, reader: &mut Reader) -> Option<T> {
    let Value::Text(text) = &node.value else {
        reader.wrong(node.at, format!("needs a word in quotes, not {}", node.value.kind()));
        return None;
    };
    let word: StrDeserializer<'_, NotOneOf> = text.as_str().into_deserializer();
    T::deserialize(word).map_err(|error| reader.wrong(node.at, error.to_string().replace("variant ", ""))).ok()
}

/// The word for a value that is one of several words.
pub(super) fn write_word<T: Serialize>(value: &T) -> Written {
    struct Word<'a, T>(&'a T);
    impl<T: Serialize> Display for Word<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }
    Written::Text(Word(value).to_string())
}
