//! JSON of which there is one text for one value, so that digests repeat. Points are texts (`33/2`), times whole µs: no value here has a
//! floating-point number.

use serde::Serialize;
use serde_json::Value;

use super::ids::Digest;

/// Canonical JSON, for texts that are kept and may be read by other programs: keys sorted, no spaces. A floating-point number would be written
/// as its text, never as a number.
pub fn canonical(value: &impl Serialize) -> String {
    // Types of this crate have text keys and no serializer that fails.
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    let mut out = String::new();
    write(&value, &mut out);
    out
}

/// JSON with keys in the order in which the types declare them, for digests of what is large and computed again and again: several times quicker
/// than sorting. A field that moves in its type changes digests, which a test sees.
pub(super) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// SHA-256 of [`compact`].
pub(super) fn digest(value: &impl Serialize) -> Digest {
    Digest::of(compact(value).as_bytes())
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            // Sorted here, because the order in a map is a feature of the library that another crate can switch.
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (at, (key, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(&Value::String(key.clone()), out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Number(number) if number.is_f64() => write(&Value::String(number.to_string()), out),
        other => out.push_str(&other.to_string()),
    }
}
