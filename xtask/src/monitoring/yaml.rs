//! The little of YAML that is written here.

/// A text as a scalar of YAML, in single quotes: nothing in it is special but the quote.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_text_stays_what_it_is() {
        assert_eq!(text(r#"a: {b="c\d"} # 'e'"#), r#"'a: {b="c\d"} # ''e'''"#);
    }
}
