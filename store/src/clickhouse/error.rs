//! The meaning of ClickHouse's errors for the caller.

use clickhouse::error::Error;

use crate::StoreError;

/// Characters of an error's text that are kept: the text of a query that failed late contained a megabyte of zeros.
const TEXT_MAX_CHARS: usize = 500;

/// Maps the result of a first login: a refused login stays refused until a person changes something.
pub(super) fn at_login<T>(outcome: Result<T, StoreError>) -> Result<T, StoreError> {
    outcome.map_err(|e| match e {
        StoreError::Unavailable(what) if is_for_a_person(&what) => StoreError::Refused(what),
        e => e,
    })
}

pub(super) fn from_clickhouse(e: Error) -> StoreError {
    match e {
        Error::BadResponse(text) => from_answer(&text),
        // An incomplete answer means a broken connection.
        e @ (Error::Network(_) | Error::TimedOut | Error::Decompression(_) | Error::NotEnoughData | Error::Other(_)) => {
            StoreError::Unavailable(readable(&with_sources(&e)))
        }
        e @ (Error::SchemaMismatch(_)
        | Error::InvalidColumnsHeader(_)
        | Error::DataFormat(_)
        | Error::InvalidUtf8Encoding(_)
        | Error::RowNotFound) => StoreError::Unreadable(readable(&e.to_string())),
        e => StoreError::Refused(readable(&e.to_string())),
    }
}

/// By the code of <https://clickhouse.com/docs/operations/system-tables/errors>, which begins the text.
fn from_answer(text: &str) -> StoreError {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let code = text.find("Code: ").map(|at| &text[at + 6..]).and_then(|rest| rest[..digits(rest)].parse::<u32>().ok());
    let what = readable(text);
    match code {
        // Tables, columns or the database are not as this program makes them.
        Some(8 | 10 | 16 | 47 | 60 | 81) => StoreError::Unreadable(format!("its tables are others: run `boxbox migrate` ({what})")),
        // Damage.
        Some(40 | 226 | 246 | 271 | 354 | 432) => StoreError::Unreadable(what),
        // What this program sent, or asked, was wrong.
        Some(6 | 20 | 27 | 36 | 42 | 43 | 44 | 46 | 53 | 62 | 70 | 115 | 117 | 125) => StoreError::Refused(what),
        // Every other error can be temporary: memory, disks, replicas, too many parts, rights that a person can grant. An answer
        // without a code does not come from ClickHouse, but from a proxy in front of it.
        _ => StoreError::Unavailable(what),
    }
}

/// Whether a login failed for a reason that a person must remove.
pub(super) fn is_for_a_person(what: &str) -> bool {
    ["invalid peer certificate", "Code: 516.", "Code: 497.", "Code: 192.", "Code: 193.", "Code: 194."].iter().any(|code| what.contains(code))
}

fn with_sources(e: &dyn std::error::Error) -> String {
    let deeper = std::iter::successors(e.source(), |e| e.source()).map(|e| format!(": {e}"));
    // Some repeat their source's text.
    deeper.fold(e.to_string(), |text, more| if text.contains(&more) { text } else { text + &more })
}

/// The beginning of `text`, without control characters.
fn readable(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control() || c.is_whitespace()).map(|c| if c.is_whitespace() { ' ' } else { c }) {
        if kept.len() >= TEXT_MAX_CHARS {
            return kept + "…";
        }
        if c != ' ' || !kept.ends_with(' ') {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_whether_trying_again_helps() {
        let of = |code: u32| from_answer(&format!("Code: {code}. DB::Exception: text (version 26.9.2.1)"));
        for code in [159, 202, 209, 210, 241, 242, 243, 252, 285, 286, 319, 497, 516, 999] {
            assert!(of(code).is_retryable(), "{code}");
        }
        for code in [16, 60, 81, 40] {
            assert!(matches!(of(code), StoreError::Unreadable(_)), "{code}");
        }
        assert!(matches!(of(62), StoreError::Refused(_)));
        assert!(from_answer("502 Bad Gateway").is_retryable());
        assert!(is_for_a_person(&of(516).to_string()) && !is_for_a_person(&of(241).to_string()));
    }

    #[test]
    fn long_and_binary_texts_are_cut() {
        let e = from_answer(&format!("Code: 241. {}memory\n\n  limit {}", "\0".repeat(1 << 20), "x".repeat(2_000)));
        let text = e.to_string();
        assert!(text.contains("memory limit xxx") && text.len() < 700 && text.ends_with('…'), "{text}");
    }
}
