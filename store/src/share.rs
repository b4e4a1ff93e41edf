//! [`turn`]: which partitions a processor takes and which it gives back when it beats (E5b). Pure, and the same for every
//! backend that several processors share.
//!
//! A member that beats sees all partitions at once, and no other beat changes them in the meantime. It takes partitions without an
//! owner up to its fair share, and gives back those that others lack: after a few beats every member has the same number, or one more.

use std::collections::{BTreeMap, BTreeSet};

/// A partition and its owner, as a beat sees them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PartitionOwner {
    /// The partition's number.
    pub(crate) number: u32,
    /// The owner's name; an owner that is not among the live members does not count.
    pub(crate) owner: Option<String>,
    /// Whether its owner is to give it back.
    pub(crate) leaving: bool,
}

/// What a member that beats must do.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Turn {
    /// Partitions to take, rising.
    pub(crate) take: Vec<u32>,
    /// Partitions to give back that are not leaving yet, falling.
    pub(crate) give_back: Vec<u32>,
}

/// What `me`, one of `members`, must do.
pub(crate) fn turn(partitions: &[PartitionOwner], members: &BTreeSet<String>, me: &str) -> Turn {
    let owner = |partition: &PartitionOwner| partition.owner.as_deref().filter(|name| members.contains(*name)).map(str::to_owned);
    let (all, people) = (partitions.len(), members.len().max(1));
    let (floor, extras) = (all / people, all % people);
    let mut staying: BTreeMap<&str, usize> = members.iter().map(|m| (m.as_str(), 0)).collect();
    let (mut free, mut leaving) = (vec![], 0);
    for partition in partitions {
        match owner(partition) {
            None => free.push(partition.number),
            Some(_) if partition.leaving => leaving += 1,
            Some(name) => *staying.entry(members.get(&name).map_or("", String::as_str)).or_default() += 1,
        }
    }
    let mine = staying.get(me).copied().unwrap_or(0);
    let others = || staying.iter().filter(|(name, _)| **name != me).map(|(_, count)| *count);
    let lacking: usize = others().map(|count| floor.saturating_sub(count)).sum();
    let extras_taken: usize = others().map(|count| count.saturating_sub(floor)).sum();

    free.sort_unstable();
    let mut wanted = floor.saturating_sub(mine);
    // Take one more than the others, as long as a partition is free and no other member lacks it.
    if mine + wanted == floor && extras_taken < extras && free.len() + leaving > wanted + lacking {
        wanted += 1;
    }
    free.truncate(wanted);

    let most = floor + usize::from(extras_taken < extras);
    let there = partitions.iter().filter(|partition| owner(partition).is_none()).count() + leaving;
    let surplus = mine.saturating_sub(most).max(lacking.saturating_sub(there).min(mine.saturating_sub(floor)));
    let mut held: Vec<u32> = partitions.iter().filter(|s| !s.leaving && owner(s).as_deref() == Some(me)).map(|s| s.number).collect();
    held.sort_unstable_by(|a, b| b.cmp(a));
    held.truncate(surplus);
    Turn { take: free, give_back: held }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Partitions and members.
    struct Group {
        partitions: Vec<PartitionOwner>,
        members: BTreeSet<String>,
    }

    impl Group {
        fn new(partitions: u32) -> Self {
            Self {
                partitions: (0..partitions).map(|number| PartitionOwner { number, owner: None, leaving: false }).collect(),
                members: BTreeSet::new(),
            }
        }

        /// One beat; if `prompt`, the partitions that were leaving before are given back first.
        fn beat(&mut self, me: &str, prompt: bool) {
            if prompt {
                for partition in self.partitions.iter_mut().filter(|s| s.leaving && s.owner.as_deref() == Some(me)) {
                    (partition.owner, partition.leaving) = (None, false);
                }
            }
            let turn = turn(&self.partitions, &self.members, me);
            for partition in &mut self.partitions {
                if turn.take.contains(&partition.number) {
                    let taken = partition.owner.as_ref().is_some_and(|owner| self.members.contains(owner));
                    assert!(!taken, "what somebody has is not taken");
                    (partition.owner, partition.leaving) = (Some(me.to_owned()), false);
                }
                if turn.give_back.contains(&partition.number) {
                    assert_eq!(partition.owner.as_deref(), Some(me));
                    partition.leaving = true;
                }
            }
        }

        fn counts(&self) -> Vec<usize> {
            self.members.iter().map(|m| self.partitions.iter().filter(|s| !s.leaving && s.owner.as_ref() == Some(m)).count()).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whichever members start, leave or die, and in whatever order they beat: soon all partitions are owned, evenly, and stay so.
        #[test]
        fn all_is_soon_owned_evenly_and_then_stays(
            partitions in 1u32..40,
            turns in prop::collection::vec((0usize..6, 0u8..8, any::<bool>()), 0..120),
        ) {
            let mut group = Group::new(partitions);
            for (who, what, prompt) in turns {
                let name = format!("m{who}");
                match what {
                    // The member dies; its partitions have no owner then.
                    0 => _ = group.members.remove(&name),
                    _ => {
                        group.members.insert(name.clone());
                        group.beat(&name, prompt);
                    }
                }
            }
            group.members.insert("m0".into());
            let everyone: Vec<String> = group.members.iter().cloned().collect();
            for _ in 0..6 {
                everyone.iter().for_each(|m| group.beat(m, true));
            }
            let counts = group.counts();
            prop_assert_eq!(counts.iter().sum::<usize>(), partitions as usize, "{:?}", counts);
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
            let before = group.partitions.clone();
            everyone.iter().for_each(|m| group.beat(m, true));
            prop_assert_eq!(group.partitions, before);
        }
    }

    #[test]
    fn one_alone_takes_everything_at_once() {
        let mut group = Group::new(8);
        group.members.insert("a".into());
        group.beat("a", true);
        assert_eq!(group.counts(), [8]);
        group.members.insert("b".into());
        group.beat("b", true);
        group.beat("a", true);
        assert_eq!(group.counts(), [4, 0], "what is in use is given back first");
        group.beat("a", true);
        group.beat("b", true);
        assert_eq!(group.counts(), [4, 4]);
    }
}
