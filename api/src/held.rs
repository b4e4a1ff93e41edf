//! [`Held`]: bytes of clients in memory, counted by whose they are.

use std::collections::HashMap;
use std::sync::Arc;

use boxbox_schemas::places::Group;
use parking_lot::Mutex;

use crate::who::Who;

/// How many bytes there may be at once.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Of everybody.
    pub(crate) all: usize,
    /// Of these, for one driver or one address.
    pub(crate) one: usize,
    /// Of these, for one tenant or one network of several addresses.
    pub(crate) tenant: usize,
    /// Of all, for those without a grant.
    pub(crate) unnamed: usize,
}

/// Bytes in memory.
pub(crate) struct Held {
    bounds: Bounds,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    unnamed: usize,
    by: HashMap<Group, usize>,
}

impl Held {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, counts: Mutex::default() })
    }

    /// Count `bytes` more; `None`: there are too many of this client already, or of all.
    pub(crate) fn take(self: &Arc<Self>, who: &Who, bytes: usize) -> Option<Owed> {
        let mut owed = Owed { of: self.clone(), groups: who.groups().collect(), is_unnamed: who.holder.is_none(), bytes: 0 };
        owed.add(bytes).then_some(owed)
    }
}

/// Bytes that are counted until it is dropped.
pub(crate) struct Owed {
    of: Arc<Held>,
    groups: Vec<Group>,
    is_unnamed: bool,
    bytes: usize,
}

impl Owed {
    /// Count `bytes` more, if there is room for all of them.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let bounds = self.of.bounds;
        let counts = &mut *self.of.counts.lock();
        let fits = |group: &Group| {
            let most = match group {
                Group::V6 { bits: ..56, .. } | Group::Tenant(_) => bounds.tenant,
                _ => bounds.one,
            };
            counts.by.get(group).copied().unwrap_or(0) + bytes <= most
        };
        let unnamed = if self.is_unnamed { bytes } else { 0 };
        if counts.all + bytes > bounds.all || counts.unnamed + unnamed > bounds.unnamed || !self.groups.iter().all(fits) {
            return false;
        }
        counts.all += bytes;
        counts.unnamed += unnamed;
        self.groups.iter().for_each(|group| *counts.by.entry(*group).or_default() += bytes);
        self.bytes += bytes;
        true
    }

    /// Count `bytes` of them no more.
    pub(crate) fn pay(&mut self, bytes: usize) {
        let counts = &mut *self.of.counts.lock();
        self.bytes -= bytes;
        counts.all -= bytes;
        if self.is_unnamed {
            counts.unnamed -= bytes;
        }
        for group in &self.groups {
            if let Some(of_group) = counts.by.get_mut(group) {
                *of_group -= bytes;
                if *of_group == 0 {
                    counts.by.remove(group);
                }
            }
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.pay(self.bytes);
    }
}
