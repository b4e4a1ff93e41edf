//! Published results and tables as documents: with names, with or without explanations.

use boxbox_race::league::Digest;
use bytes::Bytes;
use serde_json::{Value, json};

use super::loaded::Rendered;
use super::names::Names;

/// What is shown, beside its rows.
pub(crate) struct Title {
    /// `result` or `table`.
    pub(crate) what: &'static str,
    /// The number of the revision; none: it is not published.
    pub(crate) revision: Option<u32>,
    pub(crate) state: String,
    pub(crate) digest: String,
    /// Act, time, reason, difference to the revision before.
    pub(crate) more: Value,
}

/// A document and its entity tag.
pub(crate) type Shown = Rendered;

/// The document of a result or a table. `why`: with explanations.
pub(crate) fn shown(title: Title, mut body: Value, why: bool, names: &Names) -> Shown {
    if !why {
        without_why(&mut body);
    }
    let Title { what, revision, state, digest, more } = title;
    let names = names.mentioned_in(&[&body, &more]);
    let mut document = json!({ "revision": revision, "state": state, "digest": digest, "names": names });
    if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
        document.insert(what.to_owned(), body);
        document.extend(more.clone());
    }
    let body = document.to_string();
    // Names may change when the rows do not.
    let of_all = Digest::of(body.as_bytes()).to_string();
    Rendered { etag: format!("\"{digest}.{}\"", &of_all[..8]).into(), body: Bytes::from(body) }
}

fn without_why(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_why),
        Value::Object(fields) => {
            fields.remove("why");
            fields.values_mut().for_each(without_why);
        }
        _ => {}
    }
}
