//! The OpenAPI document: that it is one, misses no route, and says what every route may answer.

use std::collections::BTreeSet;

use super::*;
use crate::paths::{DESCRIBED, label};

#[tokio::test]
async fn the_document_has_every_route_and_every_route_is_in_it() {
    let server = Server::start().await;
    let document = server.get("/api/v1/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(paths, BTreeSet::from(DESCRIBED), "DESCRIBED names the metrics' labels");
    for path in DESCRIBED {
        assert_eq!(label(Some(path)), path);
    }
    assert_eq!(label(Some("/secret")), "none");

    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap_or_else(|| panic!("{at} has no id")).to_owned()),
                "{at}: its id is another's"
            );
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at}");
            assert!(operation["summary"].as_str().is_some_and(|s| s.len() > 5), "{at}");
            parameters(&at, path, operation);
            answers(&at, path, operation);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        described(&document, name, schema);
    }
}

fn parameters(at: &str, path: &str, operation: &Value) {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
    assert_eq!(in_path, path.matches('{').count(), "{at}");
    for parameter in &parameters {
        let (name, schema) = (&parameter["name"], &parameter["schema"]);
        assert!(parameter["description"].as_str().is_some_and(|d| d.len() > 5), "{at} {name}");
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        if matches!(kind, Some("integer" | "number")) {
            assert!(schema["minimum"].is_number() && schema["maximum"].is_number(), "{at} {name} has no bounds: {schema}");
        }
    }
}

fn answers(at: &str, path: &str, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    let open = ["/livez", "/readyz"].contains(&path);
    let wanted: &[&str] = if open { &["405", "413", "500", "503"] } else { &["400", "401", "403", "405", "413", "429", "500", "503"] };
    assert!(wanted.iter().all(|status| responses.contains_key(*status)), "{at}: {:?}", responses.keys());
    assert!(responses.keys().any(|status| status.starts_with('2')), "{at}");
    assert!(!path.contains('{') || responses.contains_key("404"), "{at}");
    for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
        let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem", "{at} {status}");
    }
    assert_eq!(operation["security"].is_array(), !open, "{at}");
}

/// Every field says what it is, and every reference leads somewhere.
fn described(document: &Value, name: &str, schema: &Value) {
    // What is flattened into a schema must not bring a name that is there already: one would hide the other.
    let mut names = BTreeSet::new();
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for part in &parts {
        let part = match part["$ref"].as_str() {
            Some(of) => &document["components"]["schemas"][of.rsplit('/').next().unwrap()],
            None => part,
        };
        for (field, what) in part["properties"].as_object().into_iter().flatten() {
            let says = |v: &Value| v["description"].as_str().or_else(|| v["oneOf"][0]["description"].as_str()).is_some_and(|d| d.len() > 3);
            assert!(names.insert(field), "{name}.{field} is there twice");
            assert!(says(what), "{name}.{field} says nothing: {what}");
        }
    }
    let text = schema.to_string();
    for found in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let target = found.split('"').next().unwrap();
        assert!(document["components"]["schemas"][target].is_object(), "{name} refers to {target}, which is not there");
    }
}

#[tokio::test]
async fn the_reader_loads_nothing_from_elsewhere() {
    let server = Server::start().await;
    let moved = server.get("/api/docs").await;
    assert_eq!((moved.status, moved.header("location")), (303, Some("/api/docs/")));
    for file in ["/api/docs/", "/api/docs/index.html", "/api/docs/swagger-initializer.js", "/api/docs/index.css"] {
        let answer = server.get(file).await;
        assert_eq!(answer.status, 200, "{file}");
        for elsewhere in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "@import"] {
            assert!(!answer.body.contains(elsewhere), "{file}: {elsewhere}");
        }
    }
    assert!(server.get("/api/docs/swagger-initializer.js").await.body.contains("/api/v1/openapi.json"));
}
