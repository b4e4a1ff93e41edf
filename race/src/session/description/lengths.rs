//! [`Lengths`]: by which length of the lap the laps that a driver's client tells are judged (`lap.impossible`).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::DriverId;

use super::voice::{Told, differing, voices};

/// The length of the lap for each driver's reports, m; 0 if unknown. See the [module](self).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Lengths {
    of: BTreeMap<DriverId, f64>,
    others: f64,
}

impl Lengths {
    /// As the newest descriptions of all drivers tell it: the driver's own, unless two others at least, and more than tell the same as the
    /// driver, tell one other. `None` if no client describes the session.
    pub fn told<'a>(clients: impl Iterator<Item = Told<'a>>) -> Option<Self> {
        let voices = voices(clients);
        if voices.is_empty() {
            return None;
        }
        let told: Vec<(DriverId, f64)> = voices.iter().filter_map(|voice| Some((voice.driver, voice.meta.known_length_m()?))).collect();
        let count = |length_m: f64| told.iter().filter(|(_, other)| *other == length_m).count();
        // Of equally many none is agreed.
        let most = told.iter().map(|(_, length_m)| (count(*length_m), *length_m)).max_by_key(|(count, _)| *count);
        let tied = |(most, length_m): (usize, f64)| told.iter().any(|(_, other)| *other != length_m && count(*other) == most);
        let agreed = most.filter(|most| most.0 >= 2 && !tied(*most)).map(|(_, length_m)| length_m);
        let of = told.iter().map(|(driver, own)| (*driver, agreed.unwrap_or(*own))).collect();
        Some(Self { of, others: agreed.unwrap_or(0.0) })
    }

    /// One length for all.
    pub fn all(length_m: f64) -> Self {
        Self { of: BTreeMap::new(), others: length_m }
    }

    /// By which the driver's reports are judged, m; 0 if unknown.
    pub(in crate::session) fn of(&self, driver: DriverId) -> f64 {
        self.of.get(&driver).copied().unwrap_or(self.others)
    }

    /// For whose reports `after` says another length; `None`: for everybody's.
    pub(in crate::session) fn changed(&self, after: &Self) -> Option<BTreeSet<DriverId>> {
        if self.others != after.others {
            return None;
        }
        // Who tells no length is judged as others are.
        let drivers = differing(&self.of, &after.of).into_iter();
        Some(drivers.filter(|driver| self.of(**driver) != after.of(**driver)).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boxbox_schemas::RunId;
    use boxbox_schemas::meta::SessionMeta;

    use super::*;
    use crate::session::Described;

    fn lengths(told: &[f64]) -> Vec<f64> {
        let driver = |n: usize| DriverId::new(&format!("driver-{n}")).unwrap();
        let described: Vec<Described> = told
            .iter()
            .map(|m| Described { rev: 1, at_us: Some(1), meta: Arc::new(SessionMeta { track_length_m: *m, ..SessionMeta::default() }) })
            .collect();
        let clients = described.iter().enumerate();
        let clients = clients.map(|(n, described)| Told { driver: driver(n), run: RunId([1; 16]), described, until_us: 5 });
        let lengths = Lengths::told(clients).unwrap();
        (0..=told.len()).map(|n| lengths.of(driver(n))).collect()
    }

    /// The last one is a driver who tells none.
    #[test]
    fn one_client_decides_about_its_own_laps_only_and_not_against_two() {
        assert_eq!(lengths(&[1_000.0]), [1_000.0, 0.0]);
        assert_eq!(lengths(&[1_000.0, 90_000.0]), [1_000.0, 90_000.0, 0.0], "one against one");
        assert_eq!(lengths(&[1_000.0, 1.0, 1_000.0]), [1_000.0; 4], "two agree");
        assert_eq!(lengths(&[1_000.0, 7.0, 8.0, 9.0]), [1_000.0, 7.0, 8.0, 9.0, 0.0], "no two agree");
        assert_eq!(lengths(&[1_000.0, 1_000.0, 7.0, 7.0]), [1_000.0, 1_000.0, 7.0, 7.0, 0.0], "two against two");
        assert_eq!(lengths(&[1_000.0, 0.0, -1.0]), [1_000.0, 0.0, 0.0, 0.0], "what is no length");
    }

    #[test]
    fn whose_length_has_changed() {
        let of = |told: &[f64]| {
            let lengths = lengths(told);
            let driver = |n: usize| DriverId::new(&format!("driver-{n}")).unwrap();
            Lengths { of: lengths[..told.len()].iter().enumerate().map(|(n, m)| (driver(n), *m)).collect(), others: lengths[told.len()] }
        };
        let before = of(&[1.0, 2.0]);
        assert_eq!(before.changed(&before.clone()), Some(BTreeSet::new()));
        assert_eq!(before.changed(&of(&[1.0, 3.0])).map(|changed| changed.len()), Some(1));
        assert_eq!(before.changed(&of(&[2.0, 2.0])), None);
    }
}
