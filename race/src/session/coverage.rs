//! [`Coverage`]: when a client showed its own car drive, and when it showed other cars.

use serde::{Deserialize, Serialize};

/// Frames of an own car this far apart leave a stretch that is not covered, µs (`lap.missing`).
const DROVE_JOIN_US: i64 = 1_000_000;
/// The same for frames of other cars, which come about four times a second.
const SAW_JOIN_US: i64 = 5_000_000;
/// Most stretches that are kept of each kind. More are joined to the last one.
const SPANS_MAX: usize = 8;
/// The version of the stored form.
const VERSION: u8 = 1;

/// When a client showed what: stretches of session time, µs, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Its own car, with a position.
    drove: Spans,
    /// Other cars.
    saw: Spans,
}

/// Stretches in order, first and last µs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Spans(Vec<(i64, i64)>);

impl Spans {
    fn extend(&mut self, from_us: i64, until_us: i64, join_us: i64) {
        let full = self.0.len() == SPANS_MAX;
        match self.0.last_mut() {
            Some((_, until)) if full || from_us <= until.saturating_add(join_us) => *until = until_us.max(*until),
            _ => self.0.push((from_us.min(until_us), until_us)),
        }
    }

    fn has(&self, from_us: i64, until_us: i64) -> bool {
        self.0.iter().any(|(from, until)| *from <= from_us && until_us <= *until)
    }

    /// From when to when it has grown since `before`, which is the same with a shorter end.
    fn grown(&self, before: &Self) -> Option<(i64, i64)> {
        let first = self.0.iter().zip(before.0.iter().map(Some).chain(std::iter::repeat(None))).find(|(now, was)| Some(*now) != *was);
        let from = first.map(|(now, was)| was.map_or(now.0, |was| was.1.min(now.1)))?;
        Some((from, self.0.last()?.1))
    }
}

impl Coverage {
    /// The own car was shown from `from_us` to `until_us`.
    pub fn drive(&mut self, from_us: i64, until_us: i64) {
        self.drove.extend(from_us, until_us, DROVE_JOIN_US);
    }

    /// Other cars were shown from `from_us` to `until_us`.
    pub fn see(&mut self, from_us: i64, until_us: i64) {
        self.saw.extend(from_us, until_us, SAW_JOIN_US);
    }

    /// The simulator went back: what the own car drove later is undone. What others were seen to do is told again.
    pub fn rewind(&mut self, to_us: i64) {
        self.drove.0.retain(|(from, _)| *from < to_us);
        if let Some((_, until)) = self.drove.0.last_mut() {
            *until = to_us.min(*until);
        }
    }

    /// Whether the own car was shown all the time.
    pub(super) fn drove(&self, from_us: i64, until_us: i64) -> bool {
        self.drove.has(from_us, until_us)
    }

    /// Whether other cars were shown all the time.
    pub(super) fn saw(&self, from_us: i64, until_us: i64) -> bool {
        self.saw.has(from_us, until_us)
    }

    /// From when to when it covers more than `before` did, µs.
    pub(super) fn grown(&self, before: &Self) -> Option<(i64, i64)> {
        let kinds = [self.drove.grown(&before.drove), self.saw.grown(&before.saw)];
        kinds.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Whether the own car drove less than in `before`.
    pub(super) fn shrunk(&self, before: &Self) -> bool {
        let end = |of: &Spans| of.0.last().map(|(_, until)| *until);
        self.drove.0.len() < before.drove.0.len() || end(&self.drove) < end(&before.drove)
    }

    /// As it is stored; empty where nothing is covered.
    pub fn store(&self) -> Vec<u8> {
        if *self == Self::default() {
            return vec![];
        }
        let mut bytes = vec![VERSION];
        // Writing numbers into memory does not fail.
        let _ = rmp_serde::encode::write(&mut bytes, self);
        bytes
    }

    /// A stored one; the error says what cannot be read.
    pub fn restore(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            None => Ok(Self::default()),
            Some((&VERSION, rest)) => rmp_serde::from_slice(rest).map_err(|e| e.to_string()),
            Some((version, _)) => Err(format!("it has version {version}; this build reads {VERSION}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_join_and_come_back_as_stored() {
        let mut coverage = Coverage::default();
        assert_eq!(Coverage::restore(&coverage.store()), Ok(coverage.clone()));
        for n in 0..20i64 {
            let before = coverage.clone();
            coverage.drive(n * 10_000_000, n * 10_000_000 + 4_000_000);
            let grown = if n < SPANS_MAX as i64 { n * 10_000_000 } else { (n - 1) * 10_000_000 + 4_950_000 };
            assert_eq!(coverage.grown(&before).map(|(from, _)| from), Some(grown));
            coverage.drive(n * 10_000_000 + 4_900_000, n * 10_000_000 + 4_950_000);
        }
        assert!(coverage.drove(1, 4_940_000) && !coverage.drove(1, 11_000_000) && coverage.drove(70_000_000, 194_000_000));
        assert!(!coverage.saw(1, 2));
        let before = coverage.clone();
        coverage.rewind(21_000_000);
        assert!(coverage.shrunk(&before) && coverage.drove(20_000_000, 21_000_000) && !coverage.drove(20_000_000, 21_000_001));
        assert_eq!(Coverage::restore(&coverage.store()), Ok(coverage));
        assert!(Coverage::restore(&[9, 1]).is_err());
    }
}
