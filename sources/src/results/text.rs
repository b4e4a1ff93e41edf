//! The bytes of a result file as text: UTF-8, or UTF-16 with or without a byte order mark (Competizione writes it without one).

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The text; none if the bytes are neither.
pub(super) fn decoded(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or_else(|| (guessed(bytes), 0));
    encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..])
}

/// JSON begins with two ASCII characters, so UTF-16 has a zero byte among the first two.
fn guessed(bytes: &[u8]) -> &'static Encoding {
    match bytes {
        [0, second, ..] if *second != 0 => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        _ => UTF_8,
    }
}
