//! Cursors of lists that come in pages. To clients a cursor is opaque text. It holds the last row's sort key: the values by which
//! the list is ordered. So rows that are added or removed before it change nothing.

use std::fmt::Display;
use std::str::FromStr;

use boxbox_schemas::SessionId;
use boxbox_schemas::results::SessionInfo;
use boxbox_store::SessionCursor;

use crate::problem::Problem;

/// Separates the values of a key: no id contains it, and a URL need not escape it.
const BETWEEN: char = '~';

/// The values by which a list is ordered.
pub(crate) trait SortKey: Ord + Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! sort_key {
    ($($part:ident $at:tt),*) => {
        impl<$($part: Display + FromStr + Ord),*> SortKey for ($($part,)*) {
            fn to_text(&self) -> String {
                [$(self.$at.to_string()),*].join(&BETWEEN.to_string())
            }
            fn from_text(text: &str) -> Option<Self> {
                let mut parts = text.split(BETWEEN);
                let read = ($(parts.next()?.parse::<$part>().ok()?,)*);
                parts.next().is_none().then_some(read)
            }
        }
    };
}
sort_key!(A 0);
sort_key!(A 0, B 1);
sort_key!(A 0, B 1, C 2);
sort_key!(A 0, B 1, C 2, D 3, E 4);

/// The sort key in a cursor that a client sent.
pub(crate) fn read<K: SortKey>(text: Option<&str>) -> Result<Option<K>, Problem> {
    text.map(|text| K::from_text(text).ok_or_else(bad)).transpose()
}

/// The rows of a list after `cursor`, `limit` at most, and the next cursor if there are more.
pub(crate) fn page<T, K: SortKey>(
    mut rows: Vec<T>,
    cursor: Option<&str>,
    limit: u32,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<T>, Option<String>), Problem> {
    if let Some(after) = read::<K>(cursor)? {
        rows.retain(|row| key(row) > after);
    }
    rows.sort_by_key(&key);
    Ok(cut(rows, limit, key))
}

/// The first `limit` of `rows`, which are in order, and the next cursor if there are more.
pub(crate) fn cut<T, K: SortKey>(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> (Vec<T>, Option<String>) {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| key(row).to_text());
    (rows, next)
}

/// `<opened_at_us>~<id>`; sessions are ordered by the time they were opened, newest first.
pub(crate) fn of_session(last: &SessionInfo) -> String {
    (last.opened_at_us, last.id).to_text()
}

pub(crate) fn session(text: Option<&str>) -> Result<Option<SessionCursor>, Problem> {
    let key = read::<(i64, SessionId)>(text)?;
    Ok(key.map(|(opened_at_us, id)| SessionCursor { opened_at_us, id }))
}

fn bad() -> Problem {
    Problem::bad_request("bad_cursor", "This is no cursor of this list: send `next_cursor` as you received it, or none to start from the first page.")
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::EntryId;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cursors_come_back_as_they_were() {
        let key = session(Some("-5~00112233445566778899aabbccddeeff")).unwrap().unwrap();
        assert_eq!((key.opened_at_us, key.id.to_string().as_str()), (-5, "00112233445566778899aabbccddeeff"));
        assert_eq!(read(Some("t:1.2~7")).unwrap(), Some((EntryId::new("t:1.2").unwrap(), 7u32)));
        for text in ["", "~", "7", "7~", "~7", "a~x", "a~-1", "ä~7", "a~99999999999", "a~7~", "a~7~8"] {
            assert!(read::<(EntryId, u32)>(Some(text)).is_err() && session(Some(text)).is_err(), "{text}");
        }
    }

    proptest! {
        /// All pages together are the whole list, also while rows are added before, between and behind.
        #[test]
        fn pages_are_stable_under_inserts(
            rows in proptest::collection::btree_set((0i64..50, 0u32..5), 0..40),
            come in proptest::collection::vec((0i64..50, 0u32..5), 0..20),
            limit in 1u32..7,
        ) {
            let (mut now, mut cursor, mut walked) = (rows.clone(), None, vec![]);
            let mut come = come.into_iter();
            loop {
                let (page, next) = page(now.iter().copied().collect(), cursor.as_deref(), limit, |r| *r).unwrap();
                prop_assert!(page.len() <= limit as usize);
                walked.extend(page);
                now.extend(come.next());
                match next { Some(_) => cursor = next, None => break }
            }
            prop_assert!(walked.windows(2).all(|w| w[0] < w[1]), "in order, each once");
            prop_assert!(rows.iter().all(|r| walked.contains(r)), "nothing that was there from the start is left out");
        }
    }
}
