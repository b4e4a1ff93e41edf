//! [`League`]: what the acts of a league say, taken together.

use super::act::Act;
use super::doc::Doc;
use super::refusal::Refusal;

/// A league, as its acts made it. Acts that do not concern the same thing can come in any order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct League {
    head: u64,
}

impl League {
    /// A league of these acts, each with its number.
    pub fn of<'a>(acts: impl IntoIterator<Item = (u64, &'a Act)>) -> Self {
        let mut league = Self::default();
        acts.into_iter().for_each(|(seq, act)| drop(league.apply(seq, act)));
        league
    }

    /// The number of the last act; 0 without one.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Whether the act can be the next one. Of a list, each must be checked after those before it are applied.
    pub fn check(&self, act: &Act) -> Result<(), Refusal> {
        let _ = act;
        Ok(())
    }

    /// Take the act, number `seq`, which [`League::check`] allows. The docs that changed.
    pub fn apply(&mut self, seq: u64, act: &Act) -> Vec<Doc> {
        let _ = act;
        self.head = seq;
        vec![]
    }

    /// All docs, by kind and id.
    pub fn docs(&self) -> Vec<Doc> {
        vec![]
    }
}
