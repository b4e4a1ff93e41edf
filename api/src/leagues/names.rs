//! [`Names`]: what persons and things are called. Names are kept beside the ledger and may be erased, so no answer depends on them.

use std::collections::BTreeMap;

use boxbox_race::league::DocKind;
use serde_json::{Map, Value};

/// Kinds of things that have names.
pub(super) const NAMED: [DocKind; 8] =
    [DocKind::League, DocKind::Series, DocKind::Season, DocKind::Class, DocKind::Event, DocKind::Championship, DocKind::Person, DocKind::Team];

/// Names by kind and id.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<(DocKind, String), String>);

impl Names {
    /// Takes a name.
    pub(super) fn add(&mut self, of: &(DocKind, String), text: &str) {
        self.0.insert(of.clone(), text.to_owned());
    }

    /// The name of a thing.
    pub(crate) fn get(&self, kind: DocKind, id: &str) -> Option<&str> {
        self.0.get(&(kind, id.to_owned())).map(String::as_str)
    }

    /// The persons and teams that a document mentions, with their names.
    pub(crate) fn mentioned(&self, document: &Value) -> Value {
        self.mentioned_in(&[document])
    }

    /// The persons and teams that these documents mention.
    pub(crate) fn mentioned_in(&self, documents: &[&Value]) -> Value {
        let (mut persons, mut teams) = (Map::new(), Map::new());
        documents.iter().for_each(|document| self.walk(document, &mut persons, &mut teams));
        serde_json::json!({ "persons": persons, "teams": teams })
    }

    fn walk(&self, value: &Value, persons: &mut Map<String, Value>, teams: &mut Map<String, Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, persons, teams)),
            Value::Object(fields) => {
                for (field, value) in fields {
                    match value.as_str() {
                        Some(id) if matches!(field.as_str(), "person" | "competitor" | "team") => self.one(id, persons, teams),
                        Some(who) if field == "who" => self.one(who, persons, teams),
                        Some(_) => {}
                        None if field == "difference" && value[0].is_string() => {
                            // `p-… -25`
                            let who = value.as_array().into_iter().flatten().filter_map(|text| text.as_str()?.split(' ').next());
                            who.for_each(|who| self.one(who, persons, teams));
                        }
                        None if field == "persons" => {
                            value.as_array().into_iter().flatten().filter_map(Value::as_str).for_each(|id| self.one(id, persons, teams));
                        }
                        None => self.walk(value, persons, teams),
                    }
                }
            }
            _ => {}
        }
    }

    fn one(&self, id: &str, persons: &mut Map<String, Value>, teams: &mut Map<String, Value>) {
        if let Some(name) = self.get(DocKind::Person, id) {
            persons.insert(id.to_owned(), name.into());
        } else if let Some(name) = self.get(DocKind::Team, id) {
            teams.insert(id.to_owned(), name.into());
        }
    }
}
