//! docker-compose.yml as its readers see it: merge keys merged, variables at their defaults, `$$` a dollar.
//!
//! A small reader, so that what follows from it is tested on any machine; that it reads as Docker Compose does is tested too,
//! where the specification's own library is to be had.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The top of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A text of the project.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A YAML file of the project.
pub fn yaml(path: &str) -> Value {
    let text = text(path);
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(documents.len(), 1, "{path}");
    value(&documents[0])
}

/// docker-compose.yml, read.
pub struct Compose(Value);

/// Whose image it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Built here.
    Ours,
    /// Somebody else's.
    Theirs,
}

/// One service of it.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    value: &'a Value,
}

impl Compose {
    /// The project's.
    pub fn read() -> Self {
        Self(interpolated(yaml("docker-compose.yml")))
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// All services, by name.
    pub fn services(&self) -> Vec<Service<'_>> {
        let services = self.0["services"].as_object().unwrap();
        services.iter().map(|(name, value)| Service { name, value }).collect()
    }

    /// One service.
    pub fn service(&self, name: &str) -> Service<'_> {
        self.services().into_iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no service {name}"))
    }
}

impl<'a> Service<'a> {
    /// A part of it.
    pub fn get(&self, key: &str) -> &'a Value {
        &self.value[key]
    }

    /// Whose image it runs.
    pub fn whose(&self) -> Whose {
        if self.get("image") == "boxbox" { Whose::Ours } else { Whose::Theirs }
    }

    /// Whether it does one thing and ends.
    pub fn is_once(&self) -> bool {
        self.get("restart") == "no"
    }

    /// Whether `docker compose up` starts it.
    pub fn is_started(&self) -> bool {
        self.get("profiles").is_null()
    }

    /// Its environment; numbers as the texts that they become.
    pub fn environment(&self) -> Vec<(&'a str, String)> {
        let pairs = self.get("environment").as_object();
        pairs.into_iter().flatten().map(|(name, value)| (name.as_str(), word(value))).collect()
    }

    /// The words of a list, or nothing.
    pub fn words(&self, key: &str) -> Vec<String> {
        self.get(key).as_array().into_iter().flatten().map(word).collect()
    }

    /// What is run to see whether it is well: `CMD` and its words.
    pub fn health(&self) -> Option<Vec<String>> {
        let test = self.get("healthcheck")["test"].as_array()?;
        let words: Vec<String> = test.iter().map(word).collect();
        assert_eq!(words[0], "CMD", "{}: no shell is needed that the image may lack", self.name);
        Some(words[1..].to_vec())
    }

    /// Services it waits for, and until they are what.
    pub fn depends_on(&self) -> Vec<(&'a str, &'a str)> {
        let on = self.get("depends_on").as_object();
        on.into_iter().flatten().map(|(name, how)| (name.as_str(), how["condition"].as_str().unwrap())).collect()
    }

    /// How many of it there are.
    pub fn replicas(&self) -> u64 {
        self.get("deploy")["replicas"].as_u64().unwrap_or(1)
    }

    /// `source:target[:ro]`, in parts.
    pub fn mounts(&self) -> Vec<(String, String, bool)> {
        let mounts = self.words("volumes");
        let parts = mounts.iter().map(|mount| mount.split(':').collect::<Vec<_>>());
        parts.map(|p| (p[0].to_owned(), p[1].to_owned(), p.get(2) == Some(&"ro"))).collect()
    }
}

/// Before `setup`'s script where nobody may give files away: it asks the same and owns them all.
pub fn without_root() -> &'static str {
    if is_root() { "" } else { "chown() { :; }" }
}

/// Whether the test may give files away.
pub fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// A scalar as a text.
pub fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn value(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(yes)) => json!(yes),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(value).collect(),
        Yaml::Mapping(pairs) => {
            let (mut own, mut merged) = (Map::new(), Map::new());
            for (key, item) in pairs {
                let key = key.as_str().unwrap_or_else(|| panic!("a key that is no text: {key:?}")).to_owned();
                if key != "<<" {
                    own.insert(key, value(item));
                    continue;
                }
                // What comes first wins among those merged, and what stands here itself over all of them.
                for from in as_list(value(item)) {
                    for (key, item) in from.as_object().unwrap() {
                        merged.entry(key.clone()).or_insert_with(|| item.clone());
                    }
                }
            }
            merged.extend(own);
            Value::Object(merged)
        }
        other => panic!("not to be read here: {other:?}"),
    }
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        one => vec![one],
    }
}

fn interpolated(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(interpolate(&text)),
        Value::Array(list) => list.into_iter().map(interpolated).collect(),
        Value::Object(map) => map.into_iter().map(|(key, item)| (key, interpolated(item))).collect(),
        other => other,
    }
}

/// `$$` and `${NAME:-default}`; nothing else is used.
fn interpolate(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else {
            let (variable, after) = after.strip_prefix('{').and_then(|a| a.split_once('}')).unwrap_or_else(|| panic!("a lone dollar in {text:?}"));
            out += variable.split_once(":-").unwrap_or_else(|| panic!("{variable} has no default")).1;
            after
        };
    }
    out + rest
}
