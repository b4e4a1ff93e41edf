//! [`Keep`]: the leagues that were asked for last, and one question for a head where many are asked at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use boxbox_schemas::TenantId;
use boxbox_schemas::league::{Head, LeagueId};
use parking_lot::Mutex;

use super::loaded::Loaded;
use crate::problem::Problem;

/// Leagues that are kept in memory.
const KEPT_MAX: usize = 32;
/// Bytes of facts, as they are stored, of all of them.
const FACTS_MAX_BYTES: usize = 256 << 20;

/// The leagues that were asked for last.
#[derive(Default)]
pub(super) struct Keep(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by: HashMap<(TenantId, LeagueId), OneKept>,
    clock: u64,
}

struct OneKept {
    used: u64,
    loaded: Arc<Loaded>,
    heads: Arc<Heads>,
}

impl Kept {
    fn facts_bytes(&self) -> usize {
        self.by.values().map(|of| of.loaded.facts_bytes()).sum()
    }
}

impl Keep {
    /// A league, if it is kept.
    pub(super) fn get(&self, tenant: &TenantId, id: &LeagueId) -> Option<Arc<Loaded>> {
        let mut kept = self.0.lock();
        kept.clock += 1;
        let now = kept.clock;
        kept.by.get_mut(&(*tenant, *id)).map(|of| {
            of.used = now;
            of.loaded.clone()
        })
    }

    /// Where the head of a kept league is asked for.
    pub(super) fn heads(&self, tenant: &TenantId, id: &LeagueId) -> Option<Arc<Heads>> {
        self.0.lock().by.get(&(*tenant, *id)).map(|of| of.heads.clone())
    }

    /// All that are kept.
    pub(super) fn known(&self) -> Vec<(TenantId, LeagueId)> {
        self.0.lock().by.keys().copied().collect()
    }

    /// Keep a league, and let go of what was not asked for for longest.
    pub(super) fn put(&self, tenant: &TenantId, loaded: Arc<Loaded>) {
        let mut kept = self.0.lock();
        kept.clock += 1;
        let (used, key) = (kept.clock, (*tenant, loaded.id));
        let heads = kept.by.get(&key).map(|of| of.heads.clone()).unwrap_or_default();
        kept.by.insert(key, OneKept { used, loaded, heads });
        while kept.by.len() > KEPT_MAX || (kept.by.len() > 1 && kept.facts_bytes() > FACTS_MAX_BYTES) {
            let Some(oldest) = kept.by.iter().min_by_key(|(_, of)| of.used).map(|(key, _)| *key) else { return };
            kept.by.remove(&oldest);
        }
    }
}

/// Questions for one head at the same time are asked once. A request that comes while a question is asked waits for the next question, which
/// begins after the request came, so that the request sees everything that was written before.
#[derive(Default)]
pub(super) struct Heads {
    begun: AtomicU64,
    /// The number of the last question that was answered, and the answer.
    last: tokio::sync::Mutex<(u64, Option<Head>)>,
}

impl Heads {
    /// The head as `ask` says it, or as it was said to another question that began since this call.
    pub(super) async fn ask(&self, ask: impl Future<Output = Result<Option<Head>, Problem>>) -> Result<Option<Head>, Problem> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 > before {
            return Ok(last.1);
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let head = ask.await?;
        *last = (number, head);
        Ok(head)
    }
}
