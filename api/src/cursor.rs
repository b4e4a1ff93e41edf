//! Where a list goes on. To readers a cursor is opaque text; inside it is the last row's place.

use boxbox_schemas::results::{Lap, SessionInfo};
use boxbox_schemas::{EntryId, SessionId};
use boxbox_store::SessionCursor;

use crate::problem::Problem;

/// `<opened_at_us>.<id>`
pub(crate) fn of_session(last: &SessionInfo) -> String {
    format!("{}.{}", last.opened_at_us, last.id)
}

pub(crate) fn session(text: &str) -> Result<SessionCursor, Problem> {
    let parts = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.parse::<SessionId>().ok()?)));
    parts.map(|(opened_at_us, id)| SessionCursor { opened_at_us, id }).ok_or_else(bad)
}

/// `<number>.<entry>`
pub(crate) fn of_lap(last: &Lap) -> String {
    format!("{}.{}", last.number, last.entry)
}

pub(crate) fn lap(text: &str) -> Result<(EntryId, u32), Problem> {
    let parts = text.split_once('.').and_then(|(number, entry)| Some((EntryId::new(entry).ok()?, number.parse().ok()?)));
    parts.ok_or_else(bad)
}

fn bad() -> Problem {
    Problem::bad_request("bad_cursor", "This is no cursor of this list: give back `next_cursor` as it came, or none to begin anew.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_were() {
        let place = session("-5.00112233445566778899aabbccddeeff").unwrap();
        assert_eq!((place.opened_at_us, place.id.to_string().as_str()), (-5, "00112233445566778899aabbccddeeff"));
        assert_eq!(lap("7.t:1.2").unwrap(), (EntryId::new("t:1.2").unwrap(), 7));
        for text in ["", ".", "7", "7.", "x.a", "-1.a", "7.ä", "99999999999.a"] {
            assert!(lap(text).is_err() && session(text).is_err(), "{text}");
        }
    }
}
