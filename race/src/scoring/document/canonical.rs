//! The one way to write a document: keys in order, no spaces, no field that has its default. Two documents that mean the same are written
//! alike, so their digests are equal; and a field that a later version adds changes no digest, because its default is not written.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// A value that can be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// A number, true, false, null.
    Plain(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Written>),
    /// An object.
    Object(BTreeMap<String, Written>),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Written::Plain(text) => f.write_str(text),
            Written::Text(text) => quoted(text, f),
            Written::List(items) => {
                f.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_char(',')?;
                    }
                    item.fmt(f)?;
                }
                f.write_char(']')
            }
            Written::Object(members) => {
                f.write_char('{')?;
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        f.write_char(',')?;
                    }
                    quoted(key, f)?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c < ' ' => write!(f, "\\u{:04x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
