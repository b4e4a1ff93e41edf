//! The OpenAPI 3.1 document: each route describes itself, and this adds what is common to all of them.

use std::borrow::Cow;

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder, Schema};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use crate::paths::OPEN;
use crate::problem;

const GRANT: &str = "grant";

/// The document without its routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "Ok, Box Box", description = "Laps, order, traces and results of sim racing sessions. \
        Times are integers of microseconds and end in `_us`: session times of the simulator unless said otherwise. \
        Other units are in the names too. Reasons, tags and kinds are lower-case words; new ones may come. \
        Ids are opaque text. Errors are `application/problem+json` (RFC 9457) with a `code` for programs.\n\n\
        Lists that can grow come in pages: send `next_cursor` as `cursor`, with the same other parameters, until it is `null`.\n\n\
        On a loopback address people of that machine need no grant, and pages of other addresses get nothing; elsewhere every request except the probes and this document \
        needs `Authorization: Bearer GRANT` (`boxbox grant create --read` prints one), and reads one tenant's data."),
    components(schemas(problem::Body)),
    tags(
        (name = "sessions", description = "Sessions, and closing and reopening them"),
        (name = "laps", description = "Timed laps, and what was driven in them"),
        (name = "timing", description = "Order, gaps, results, stints, pit stops, flags"),
        (name = "leagues", description = "Leagues: entries, decisions, results, championships"),
        (name = "accounts", description = "Incident counters, and where every frame went"),
        (name = "operations", description = "For orchestrators and operators"),
    )
)]
pub(crate) struct Base;

/// Answers that every route may give, beside its own: status and description.
const COMMON: [(&str, &str); 8] = [
    ("400", "A parameter is not as described: `bad_path`, `bad_query`, `bad_limit`, `bad_cursor`, …"),
    ("401", "No grant, or a grant that is not valid"),
    ("403", "The grant does not allow it, or the request does not come from this machine: `not_localhost`, `cross_site`, …"),
    ("405", "The route does not have this method"),
    ("413", "The request has a body and the route takes none, or the body is too large"),
    ("429", "Too many requests, connections or unread answers of this driver, tenant or address: let some end, then try again"),
    ("500", "A bug of the server; its log has the details"),
    ("503", "A store, the log or the list of revoked grants does not answer, or the answer took too long: try again after `Retry-After` seconds"),
];

/// Adds to `document` the answers that every route may give, and which grant a route needs.
pub(crate) fn complete(mut document: Document) -> Document {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("PASETO v4.public").description(Some("A grant to read")).build();
    document.components.get_or_insert_default().add_security_scheme(GRANT, SecurityScheme::Http(scheme));
    for (path, item) in &mut document.paths.paths {
        let open = OPEN.contains(&path.as_str());
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            answers(operation, open, path.contains('{'));
        }
    }
    document
}

/// The schemas of what leagues decide, by name. The types are those of `race`, which knows nothing of this document; a test compares the two.
const ACTS: &str = include_str!("leagues/acts.json");

/// The document as it is sent: with the schemas of acts, and which bodies have them.
pub(crate) fn text(document: &Document) -> String {
    use serde_json::{Map, Value, json};
    // It holds numbers and texts only, and the schemas are JSON, which a test sees to.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let acts: Map<String, Value> = serde_json::from_str(ACTS).unwrap_or_default();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(acts);
    }
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let several = json!({ "oneOf": [of("Act"), { "type": "array", "items": of("Act"), "minItems": 1, "maxItems": crate::leagues::ACTS_MAX }] });
    for (path, schema) in [("acts", several), ("penalties", of("PenaltyGiven"))] {
        document["paths"][format!("/api/v1/leagues/{{league}}/{path}")]["post"]["requestBody"]["content"]["application/json"]["schema"] = schema;
    }
    document.to_string()
}

fn answers(operation: &mut Operation, open: bool, in_path: bool) {
    let known = in_path.then_some(("404", "It does not exist, or it is another tenant's"));
    for (status, when) in COMMON.into_iter().chain(known) {
        if !(open && matches!(status, "400" | "401" | "403" | "429")) {
            operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(of_problem(when)));
        }
    }
    if !open {
        let grant = SecurityRequirement::new(GRANT, Vec::<String>::new());
        // The empty requirement: on a loopback address no grant is needed.
        operation.security = Some(vec![grant, SecurityRequirement::default()]);
    }
}

fn of_problem(when: &str) -> utoipa::openapi::Response {
    let schema = Ref::from_schema_name(problem::Body::name());
    ResponseBuilder::new().description(when).content("application/problem+json", Content::new(Some(schema))).build()
}

/// Schemas of ids in JSON. These types have no values.
macro_rules! text_schema {
    ($(#[doc = $doc:literal])* $name:ident, $pattern:expr, $example:expr) => {
        $(#[doc = $doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).pattern(Some($pattern));
                text.description(Some(concat!($($doc),*).trim())).examples([$example]).into()
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

text_schema! {
    /// 32 hexadecimal digits.
    HexId, "^[0-9a-fA-F]{32}$", "8c2f6a0d4b7e91538c2f6a0d4b7e9153"
}
text_schema! {
    /// 1 to 40 characters of a-z, A-Z, 0-9, `-`, `_`, `.` and `:`.
    ShortId, "^[A-Za-z0-9_.:-]{1,40}$", "max"
}
text_schema! {
    /// Opaque text: send it as `cursor` to get the next page.
    Cursor, "^[A-Za-z0-9_.:~-]{1,200}$", "max~7"
}
