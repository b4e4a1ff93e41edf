//! [`Row`]: a kind of row, with a head that all kinds have. Code can carry and store a row by its head, without knowing its kind.
//!
//! A kind of row is a type that implements [`Row`]. All code between the race logic, which emits it, and the reader uses [`AnyRow`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::{DriverId, EntryId, RunId, SessionId, ShortId};

/// A kind of row, by its name: lower-case words joined by `_`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowKind(pub ShortId);

impl RowKind {
    /// Sorts before all other kinds.
    pub const FIRST: RowKind = RowKind::known("");
    /// Sorts behind all other kinds.
    pub const LAST: RowKind = RowKind::known("~");

    /// The kind called `name`, 1 to 40 characters.
    pub(super) const fn known(name: &'static str) -> Self {
        Self(ShortId::known(name))
    }
    /// Its name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The key of a row among those of its kind within its session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowKey {
    /// The stream's driver.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The stream's timeline.
    pub timeline: u32,
    /// The car's slot; 0 for kinds that exist only for the client's own car.
    pub slot: u16,
    /// The tick at which it begins.
    pub tick: u32,
}

/// The values that all kinds of rows have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowHead {
    /// The session.
    pub session: SessionId,
    /// The row's key.
    pub key: RowKey,
    /// The entry.
    pub entry: EntryId,
    /// The entry under which another client sees the car, if it differs from `entry`, which is then that of the car's owner (E3b).
    pub seen_as: Option<EntryId>,
    /// Another client sees the car; false for the car's own client.
    pub field: bool,
    /// When it begins, session time, µs.
    pub sim_time_us: i64,
    /// When it ends, µs; for a moment, its time. `None`: it is under way, or its end was not seen.
    pub until_us: Option<i64>,
    /// A rewind went back to before its end (E4). The row is kept but does not count.
    pub superseded: bool,
    /// A record after the session's close changes `superseded`, but only when the session is opened again (E9b): until then a row that
    /// came late is superseded, and a row that was superseded late is not.
    pub late: bool,
}

/// A kind of row. It must be possible to write its fields as JSON; keys of maps must be texts.
pub trait Row: Clone + PartialEq + Serialize + DeserializeOwned {
    /// The kind's name.
    const KIND: RowKind;
    /// The row's head.
    fn head(&self) -> RowHead;
    /// Replace the head: the session decides later which entry a row counts for, and whether it counts.
    fn set_head(&mut self, head: &RowHead);
}

/// Implements [`Row`] for a row that has a moment instead of a duration, and that only a car's own client reports.
macro_rules! row_of_a_moment {
    ($Row:ty, $kind:literal) => {
        impl $crate::results::Row for $Row {
            const KIND: $crate::results::RowKind = $crate::results::RowKind::known($kind);

            fn head(&self) -> $crate::results::RowHead {
                $crate::results::RowHead {
                    session: self.session,
                    key: $crate::results::RowKey { driver: self.driver, run: self.run, timeline: self.timeline, slot: 0, tick: self.tick },
                    entry: self.entry,
                    seen_as: None,
                    field: false,
                    sim_time_us: self.sim_time_us,
                    until_us: Some(self.sim_time_us),
                    superseded: self.superseded,
                    late: self.late,
                }
            }

            fn set_head(&mut self, head: &$crate::results::RowHead) {
                let $crate::results::RowKey { driver, run, timeline, slot: _, tick } = head.key;
                (self.session, self.driver, self.run, self.timeline, self.tick) = (head.session, driver, run, timeline, tick);
                (self.entry, self.sim_time_us, self.superseded, self.late) = (head.entry, head.sim_time_us, head.superseded, head.late);
            }
        }
    };
}
pub(super) use row_of_a_moment;

/// A row of any kind. A row of an unknown kind, from a newer version, is carried and stored unchanged.
#[derive(Clone, PartialEq, Debug)]
pub struct AnyRow {
    /// Its kind.
    pub kind: RowKind,
    /// The head. If the body differs, the head is right.
    pub head: RowHead,
    /// The whole row as JSON.
    pub body: Box<str>,
}

/// The row's body does not match the kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a row of kind {kind} cannot be read: {why}")]
pub struct UnreadableRow {
    /// The kind that was expected.
    pub kind: String,
    /// What is wrong.
    pub why: String,
}

impl AnyRow {
    /// `row`, in the form to carry and store.
    pub fn of<T: Row>(row: &T) -> Self {
        // A `Row` can always be written as JSON. If it could not, its body would be empty, and reading it would fail.
        let body = serde_json::to_string(row).unwrap_or_default();
        Self { kind: T::KIND, head: row.head(), body: body.into() }
    }

    /// The row itself.
    ///
    /// # Errors
    /// [`UnreadableRow`] for a row of another kind or of a newer version.
    pub fn read<T: Row>(&self) -> Result<T, UnreadableRow> {
        let unreadable = |why: String| UnreadableRow { kind: T::KIND.as_str().to_owned(), why };
        if self.kind != T::KIND {
            return Err(unreadable(format!("it is of kind {}", self.kind.as_str())));
        }
        let mut row: T = serde_json::from_str(&self.body).map_err(|e| unreadable(e.to_string()))?;
        row.set_head(&self.head);
        Ok(row)
    }

    /// The rows of this kind, in their order.
    ///
    /// # Errors
    /// [`UnreadableRow`] for a row of a newer version.
    pub fn read_all<'a, T: Row>(rows: impl IntoIterator<Item = &'a AnyRow>) -> Result<Vec<T>, UnreadableRow> {
        rows.into_iter().filter(|row| row.kind == T::KIND).map(AnyRow::read).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::frame::{Flags, SessionState};
    use crate::results::{FlagChange, IncidentStep, PitKind, PitVisit, SessionStateChange};

    fn head(n: u8) -> RowHead {
        let id = ShortId::new(&format!("id-{n}")).unwrap();
        RowHead {
            session: SessionId([n; 16]),
            key: RowKey { driver: DriverId(id), run: RunId([n; 16]), timeline: n.into(), slot: n.into(), tick: n.into() },
            entry: EntryId(id),
            seen_as: Some(EntryId(id)),
            field: n == 1,
            sim_time_us: n.into(),
            until_us: Some(i64::from(n) + 5),
            superseded: n == 1,
            late: n == 1,
        }
    }

    /// The values of a head that `T` can keep.
    type Own = fn(RowHead) -> RowHead;

    fn is_a_row<T: Row + Debug>(blank: T, own: Own) {
        let mut row = blank;
        row.set_head(&own(head(1)));
        assert_eq!(row.head(), own(head(1)), "it keeps all values of the head that it has");
        let mut any = AnyRow::of(&row);
        assert_eq!((any.kind, any.head), (T::KIND, row.head()));
        assert_eq!(any.read::<T>().unwrap(), row);
        // The session changes the head later, so the head is right.
        any.head = own(head(2));
        assert_eq!(any.read::<T>().unwrap().head(), own(head(2)));
        any.body = any.body.replacen('{', r#"{"colour": "blue", "#, 1).into();
        assert!(any.read::<T>().is_ok(), "a newer version's field");
        assert!(AnyRow { body: "{}".into(), ..any.clone() }.read::<T>().is_err());
        let other = AnyRow { kind: RowKind::known("other"), ..any };
        assert!(other.read::<T>().is_err());
        assert_eq!(AnyRow::read_all::<T>([&other]).unwrap(), []);
    }

    #[test]
    fn every_kind_is_a_row() {
        let RowHead { session, key: RowKey { driver, run, timeline, slot, tick }, entry, .. } = head(0);
        let (superseded, late) = (false, false);
        let moment: Own =
            |head| RowHead { key: RowKey { slot: 0, ..head.key }, seen_as: None, field: false, until_us: Some(head.sim_time_us), ..head };
        is_a_row(IncidentStep { session, entry, driver, run, timeline, tick, sim_time_us: 0, from: 1, to: u16::MAX, superseded, late }, moment);
        let (from, to) = (Flags::GREEN, Flags(u32::MAX));
        is_a_row(FlagChange { session, entry, driver, run, timeline, tick, sim_time_us: 0, from, to, superseded, late }, moment);
        let (from, to) = (SessionState::RACING, SessionState(u8::MAX));
        is_a_row(SessionStateChange { session, entry, driver, run, timeline, tick, sim_time_us: 0, from, to, superseded, late }, moment);
        let visit = PitVisit {
            session,
            entry,
            seen_as: None,
            driver,
            run,
            slot,
            timeline,
            tick,
            field: false,
            kind: PitKind::STOP,
            lap: 3,
            enter_us: 0,
            exit_us: None,
            stationary_us: i64::MAX,
            service_us: Some(i64::MIN),
            fuel_added_l: Some(f32::MIN_POSITIVE),
            tyres_changed: Some(true),
            speed_max_mps: 16.6,
            speeding: true,
            superseded,
            late,
            ends: Default::default(),
        };
        is_a_row(visit, |head| head);
    }
}
