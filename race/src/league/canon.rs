//! Canonical JSON: one text for one value, so that digests repeat. Keys sorted, no spaces, whole numbers only.

use serde::Serialize;
use serde_json::Value;

use super::ids::Digest;

/// The canonical text of a value. Points are texts (`33/2`), times whole µs: a value of this crate has no floating-point number. One that
/// had one would be written as its text, never as a number.
pub fn canonical(value: &impl Serialize) -> String {
    // Types of this crate have text keys and no serializer that fails.
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    let mut out = String::new();
    write(&value, &mut out);
    out
}

/// SHA-256 of the canonical text.
pub fn digest(value: &impl Serialize) -> Digest {
    Digest::of(canonical(value).as_bytes())
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
