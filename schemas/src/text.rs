//! Text that people read: names and what a session says of itself. It comes from any player of a lobby.

use std::borrow::Cow;

/// `text` without characters that do something to a terminal or to the text around it instead of being shown (`session.plain`): control
/// characters (ESC, BEL, …), marks that turn the direction of writing, invisible ones. A tab or the end of a line becomes a space.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(' '),
        c => (!is_hidden(c)).then_some(c),
    };
    Cow::Owned(text.chars().filter_map(shown).collect())
}

/// Whether a character does something instead of being shown. Letters that join others (U+200C, U+200D) do not: scripts and emoji need them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_left_out() {
        for (text, expected) in [
            ("Max Müller-Łódź 🏁 ماكس", "Max Müller-Łódź 🏁 ماكس"),
            ("\u{1b}[31mMax\u{7}", "[31mMax"),
            ("\u{202e}xaM\u{202c}", "xaM"),
            ("a\nb\tc\r", "a b c "),
            ("\u{9b}2J\u{200f}\u{2066}x\u{2069}\u{feff}\u{200b}", "2Jx"),
            ("👩\u{200d}🚀", "👩\u{200d}🚀"),
            ("", ""),
        ] {
            assert_eq!(plain(text), expected);
            assert!(matches!(plain(&plain(text)), Cow::Borrowed(_)));
        }
        for c in (0..0x11_0000).filter_map(char::from_u32).filter(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c)) {
            assert!(!plain(&format!("a{c}b")).contains(c));
        }
    }
}
