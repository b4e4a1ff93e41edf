//! Parts of one line of the session text: its indent, its key and value.

/// How far white space, and a dash in it, indents. A tab stands for two spaces: tools that rewrite texts put it there.
pub(super) fn columns(indent: &str) -> usize {
    indent.chars().map(|c| if c == '\t' { 2 } else { 1 }).sum()
}

/// `key: value` or `key:`. Keys are identifiers, so that a colon in stray text makes no key.
pub(super) fn pair(text: &str) -> Option<(&str, &str)> {
    let end = text.find(':')?;
    let (key, value) = (&text[..end], &text[end + 1..]);
    let sound = !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.' | b' ') || b >= 0x80)
        && !key.starts_with([' ', '-']);
    (sound && (value.is_empty() || value.starts_with([' ', '\t']))).then(|| (key, value.trim()))
}
