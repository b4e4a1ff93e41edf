//! [`Whose`]: who a car is said to be, and [`Agreed`]: on which of it the descriptions of all clients agree (`entry.claim`).

use std::collections::HashMap;

use boxbox_race::session::Told;
use boxbox_schemas::EntryId;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::About;

/// Who a car is said to be, by the simulator's ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Team(u64),
    User(u64),
}

impl Whose {
    pub(super) fn of(seen_as: EntryId) -> Option<Self> {
        let (kind, id) = seen_as.as_str().split_once(':')?;
        match kind {
            "t" => id.parse().ok().map(Self::Team),
            "u" => id.parse().ok().map(Self::User),
            _ => None,
        }
    }

    /// Whether it is the id of anyone: 0 says nothing.
    fn is_told(self) -> bool {
        !matches!(self, Self::Team(0) | Self::User(0))
    }

    pub(super) fn about(self) -> About {
        match self {
            Self::Team(_) => About::Team,
            Self::User(_) => About::Car,
        }
    }

    /// Whether a description says that this is the car in `slot`; `None` if it says nothing of either.
    pub(super) fn agrees(self, meta: &SessionMeta, slot: u16) -> Option<bool> {
        let (of, this): (fn(&MetaEntry) -> u64, u64) = match self {
            Self::Team(id) => (|e| e.team_id, id),
            Self::User(id) => (|e| e.user_id, id),
        };
        match meta.entries.iter().find(|e| e.slot == slot) {
            Some(car) if of(car) != 0 => Some(of(car) == this),
            _ => meta.entries.iter().any(|e| of(e) == this).then_some(false),
        }
    }
}

/// Where the descriptions of all clients agree: who is in which slot. Made in one pass over the descriptions, because asking each of them about
/// each claim takes their number squared.
#[derive(Default)]
pub(super) struct Agreed {
    /// Who is in a slot; `None` if it is told differently.
    of_slot: HashMap<(About, u16), Option<Whose>>,
    /// In which slot a team or person is; `None` if it is told differently.
    slot_of: HashMap<Whose, Option<u16>>,
}

impl Agreed {
    pub(super) fn of(newest: &[Told<'_>]) -> Self {
        let (mut agreed, mut listed) = (Self::default(), HashMap::<u16, usize>::new());
        for (n, told) in newest.iter().enumerate() {
            for car in &told.described.meta.entries {
                // Of several cars in a slot a description is asked about the first only, so the others are not agreed on.
                let again = listed.insert(car.slot, n) == Some(n);
                for whose in [Whose::Team(car.team_id), Whose::User(car.user_id)].into_iter().filter(|whose| whose.is_told()) {
                    let known = agreed.of_slot.entry((whose.about(), car.slot)).or_insert(Some(whose));
                    *known = known.filter(|known| *known == whose && !again);
                    let known = agreed.slot_of.entry(whose).or_insert(Some(car.slot));
                    *known = known.filter(|known| *known == car.slot && !again);
                }
            }
        }
        agreed
    }

    /// Whether no description says that another is in this slot, or that this one is elsewhere.
    pub(super) fn on(&self, whose: Whose, slot: u16) -> bool {
        let here = self.of_slot.get(&(whose.about(), slot)).is_none_or(|told| *told == Some(whose));
        here && self.slot_of.get(&whose).is_none_or(|told| *told == Some(slot))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boxbox_race::session::Described;
    use boxbox_schemas::{DriverId, RunId};
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<MetaEntry>> {
        let entry = (0u16..4, 0u64..4, 0u64..4).prop_map(|(slot, team_id, user_id)| MetaEntry { slot, team_id, user_id, ..MetaEntry::default() });
        proptest::collection::vec(entry, 0..5)
    }

    proptest! {
        /// Where all agree, no description that is asked contradicts; and what all tell alike is agreed on.
        #[test]
        fn where_all_agree_none_contradicts(told in proptest::collection::vec(entries(), 0..4), slot in 0u16..4, id in 1u64..4, team: bool) {
            let whose = if team { Whose::Team(id) } else { Whose::User(id) };
            let described: Vec<Described> =
                told.into_iter().map(|entries| Described { rev: 1, at_us: None, meta: Arc::new(SessionMeta { entries, ..SessionMeta::default() }) }).collect();
            let clients = described.iter().enumerate();
            let told: Vec<Told<'_>> = clients
                .map(|(n, described)| Told { driver: DriverId::new(&format!("driver-{n}")).unwrap(), run: RunId([1; 16]), described, until_us: 0 })
                .collect();
            if Agreed::of(&told).on(whose, slot) {
                prop_assert!(told.iter().all(|told| whose.agrees(&told.described.meta, slot) != Some(false)));
            }
            prop_assert!(told.is_empty() || !told.iter().all(|told| told.described.meta.entries.is_empty()) || Agreed::of(&told).on(whose, slot));
        }
    }

    #[test]
    fn one_car_that_all_tell_alike_is_agreed_on() {
        let described = Described {
            rev: 1,
            at_us: None,
            meta: Arc::new(SessionMeta { entries: vec![MetaEntry { slot: 2, user_id: 7, ..MetaEntry::default() }], ..SessionMeta::default() }),
        };
        let told = |driver: &str| Told { driver: DriverId::new(driver).unwrap(), run: RunId([1; 16]), described: &described, until_us: 0 };
        let agreed = Agreed::of(&[told("a"), told("b")]);
        assert!(agreed.on(Whose::User(7), 2) && !agreed.on(Whose::User(7), 3) && !agreed.on(Whose::User(8), 2));
    }
}
