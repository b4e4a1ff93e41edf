//! Every parameter of every route, as the API's own description lists them: so a route or parameter that is added is asked too.

use boxbox_schemas::SessionId;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// A route of the description.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) method: String,
    path: String,
    parameters: Vec<Parameter>,
}

#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    in_path: bool,
    schema: Value,
    example: String,
}

/// What is given for a parameter.
#[derive(Clone, Debug)]
enum Given {
    Right,
    Nothing,
    Least(i64),
    Most(i64),
    Whole(i64),
    Number(f64),
    Text(String),
    /// The example, this often, with commas.
    Often(usize),
    Twice,
}

/// Routes of the description.
pub(crate) fn routes(document: &[u8]) -> Vec<Route> {
    let document: Value = serde_json::from_slice(document).unwrap();
    let mut routes = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten().map(|p| Parameter {
                name: p["name"].as_str().unwrap().to_owned(),
                in_path: p["in"] == "path",
                schema: p["schema"].clone(),
                example: p["example"].as_str().map_or_else(|| p["example"].to_string(), str::to_owned),
            });
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), parameters: parameters.collect() });
        }
    }
    assert!(routes.len() >= 25 && routes.iter().map(|r| r.parameters.len()).sum::<usize>() > 60, "{routes:?}");
    routes
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        6 => Just(Given::Right),
        4 => Just(Given::Nothing),
        1 => (-1i64..=1).prop_map(Given::Least),
        1 => (-1i64..=1).prop_map(Given::Most),
        1 => prop_oneof![any::<i64>(), 0i64..1_000].prop_map(Given::Whole),
        1 => any::<f64>().prop_map(Given::Number),
        1 => "\\PC{0,60}".prop_map(Given::Text),
        1 => (0usize..4_000).prop_map(Given::Often),
        1 => Just(Given::Twice),
    ]
}

/// A question: of which route, and what is given for each of its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    route: Index,
    given: Vec<Given>,
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    (any::<Index>(), proptest::collection::vec(given(), 12)).prop_map(|(route, given)| Asked { route, given })
}

impl Asked {
    /// Its route, and the address about this session.
    pub(crate) fn of<'a>(&self, routes: &'a [Route], session: SessionId) -> (&'a Route, String) {
        let route = self.route.get(routes);
        let (mut path, mut query) = (route.path.clone(), vec![]);
        for (parameter, given) in route.parameters.iter().zip(&self.given) {
            let right = parameter.right(session);
            let bound = |name: &str| parameter.schema[name].as_i64().unwrap_or(0);
            let value = match given {
                Given::Right | Given::Twice => right,
                Given::Nothing if parameter.in_path => right,
                Given::Nothing => continue,
                Given::Least(by) => bound("minimum").saturating_add(*by).to_string(),
                Given::Most(by) => bound("maximum").saturating_add(*by).to_string(),
                Given::Whole(number) => number.to_string(),
                Given::Number(number) => format!("{number:e}"),
                Given::Text(text) => text.clone(),
                Given::Often(times) => vec![right.as_str(); *times].join(",").chars().take(12_000).collect(),
            };
            let value: String = value
                .bytes()
                .map(|b| if b.is_ascii_alphanumeric() || b"-_.:,/".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
                .collect();
            if parameter.in_path {
                path = path.replace(&format!("{{{}}}", parameter.name), &value);
            } else {
                query.extend(std::iter::repeat_n(format!("{}={value}", parameter.name), if matches!(given, Given::Twice) { 2 } else { 1 }));
            }
        }
        // The head of a request has room for 16 KiB.
        let mut whole = format!("{path}?{}", query.join("&"));
        whole.truncate(15_000);
        (route, whole)
    }
}

impl Parameter {
    fn right(&self, session: SessionId) -> String {
        match self.name.as_str() {
            "session" => session.to_string(),
            "a" => format!("{session}/max/1"),
            "b" => format!("{session}/max/2"),
            "number" => "1".into(),
            "cursor" => "max~1".into(),
            _ if self.example != "null" => self.example.clone(),
            _ => match self.schema["enum"].as_array().and_then(|all| all.last()) {
                Some(word) => word.as_str().unwrap_or_default().to_owned(),
                None => "true".into(),
            },
        }
    }
}
