//! The acts of a ledger, for checks.

use anyhow::{Context, ensure};
use boxbox_race::league::Act;
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{Head, LeagueId};
use boxbox_store::Leagues;

use super::AT_ONCE;

/// An act, and what its row says about it.
pub struct ReadAct {
    /// Its number.
    pub seq: u64,
    /// When it was done, Unix µs.
    pub at_us: i64,
    /// What was decided.
    pub act: Act,
}

/// All acts up to `head`.
pub async fn acts(store: &dyn Leagues, tenant: &TenantId, id: &LeagueId, head: Head, found: &mut Vec<String>) -> anyhow::Result<Vec<ReadAct>> {
    let mut acts: Vec<ReadAct> = vec![];
    while acts.last().map_or(0, |last| last.seq) < head.seq {
        let rows = store.acts(tenant, id, acts.last().map_or(0, |last| last.seq), AT_ONCE).await?;
        ensure!(!rows.is_empty(), "the ledger became shorter while it was read");
        for row in rows {
            let act = Act::parse(&row.body).with_context(|| format!("act {} cannot be read by this version", row.seq))?;
            if act.kind() != row.kind {
                found.push(format!("act {}: its kind is {}, and its body says {}", row.seq, row.kind, act.kind()));
            }
            acts.push(ReadAct { seq: row.seq, at_us: row.at_us, act });
        }
    }
    Ok(acts)
}
