//! [`Leagues`] in memory.

use std::ops::Bound::{Excluded, Unbounded};

use async_trait::async_trait;
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{ActRow, Digest, Doc, Head, LeagueId, Revision, RevisionInfo, RevisionOf, StoredFacts, Text, Write, Written};

use super::MemoryResults;
use super::league::League;
use crate::league_rules::{check_asked, check_write, page};
use crate::{Leagues, StoreError};

impl MemoryResults {
    fn read_league<T: Default>(&self, tenant: &TenantId, league: &LeagueId, f: impl FnOnce(&League) -> T) -> Result<T, StoreError> {
        self.read_leagues(|all| all.get(&(*tenant, *league)).map(f).unwrap_or_default())
    }
}

#[async_trait]
impl Leagues for MemoryResults {
    async fn write(&self, write: &Write) -> Result<Written, StoreError> {
        check_write(write)?;
        self.change_leagues(|all| {
            let key = (write.tenant, write.league);
            let written = all.entry(key).or_default().write(write);
            // A league is made by its first act.
            if all[&key].acts.is_empty() {
                all.remove(&key);
            }
            written
        })
    }

    async fn answered(&self, tenant: &TenantId, league: &LeagueId, actor: &str, key: &str) -> Result<Option<(Digest, String)>, StoreError> {
        self.read_league(tenant, league, |l| l.answered(actor, key))
    }

    async fn head(&self, tenant: &TenantId, league: &LeagueId) -> Result<Option<Head>, StoreError> {
        self.read_league(tenant, league, |l| Some(l.head()))
    }

    async fn leagues(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<(LeagueId, Head)>, StoreError> {
        self.read_leagues(|all| {
            let of_tenant = all.iter().filter(|((t, league), _)| t == tenant && after.is_none_or(|after| league > after));
            page(of_tenant.map(|((_, league), l)| (*league, l.head())), limit, |_| 0)
        })
    }

    async fn of_all_tenants(&self, after: Option<&(TenantId, LeagueId)>, limit: u32) -> Result<Vec<(TenantId, LeagueId)>, StoreError> {
        self.read_leagues(|all| page(all.keys().filter(|key| after.is_none_or(|after| *key > after)).copied(), limit, |_| 0))
    }

    async fn traces(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<LeagueId>, StoreError> {
        Ok(self.leagues(tenant, after, limit).await?.into_iter().map(|(league, _)| league).collect())
    }

    async fn acts(&self, tenant: &TenantId, league: &LeagueId, after: u64, limit: u32) -> Result<Vec<ActRow>, StoreError> {
        self.read_league(tenant, league, |l| page(l.acts.iter().filter(|row| row.seq > after).cloned(), limit, |row| row.body.len()))
    }

    async fn doc(&self, tenant: &TenantId, league: &LeagueId, kind: &str, id: &str) -> Result<Option<Doc>, StoreError> {
        self.read_league(tenant, league, |l| l.docs.get(&(kind.to_owned(), id.to_owned())).cloned())
    }

    async fn docs(&self, tenant: &TenantId, league: &LeagueId, after: Option<(&str, &str)>, limit: u32) -> Result<Vec<Doc>, StoreError> {
        let from = after.map_or(Unbounded, |(kind, id)| Excluded((kind.to_owned(), id.to_owned())));
        self.read_league(tenant, league, |l| page(l.docs.range((from, Unbounded)).map(|(_, doc)| doc.clone()), limit, |doc| doc.body.len()))
    }

    async fn texts(&self, tenant: &TenantId, league: &LeagueId, ids: &[Digest]) -> Result<Vec<Text>, StoreError> {
        check_asked(ids)?;
        self.read_league(tenant, league, |l| l.texts.values().filter(|text| ids.contains(&text.id)).cloned().collect())
    }

    async fn texts_of(
        &self,
        tenant: &TenantId,
        league: &LeagueId,
        owner: Option<&str>,
        after: Option<(&Digest, &str)>,
        limit: u32,
    ) -> Result<Vec<Text>, StoreError> {
        let from = after.map_or(Unbounded, |(id, owner)| Excluded((*id, owner.to_owned())));
        self.read_league(tenant, league, |l| {
            let owned = l.texts.range((from, Unbounded)).map(|(_, text)| text).filter(|text| owner.is_none_or(|owner| text.owner == owner));
            page(owned.cloned(), limit, |text| text.text.len())
        })
    }

    async fn revisions(
        &self,
        tenant: &TenantId,
        league: &LeagueId,
        after: Option<(&RevisionOf, u32)>,
        limit: u32,
    ) -> Result<Vec<RevisionInfo>, StoreError> {
        let from = after.map_or(Unbounded, |(of, number)| Excluded((of.clone(), number)));
        self.read_league(tenant, league, |l| {
            page(l.revisions.range((from, Unbounded)).map(|(_, revision)| revision.info.clone()), limit, |info| info.difference.len())
        })
    }

    async fn revision(&self, tenant: &TenantId, league: &LeagueId, of: &RevisionOf, number: Option<u32>) -> Result<Option<Revision>, StoreError> {
        let numbers = number.map_or(1..=u32::MAX, |number| number..=number);
        let range = (of.clone(), *numbers.start())..=(of.clone(), *numbers.end());
        self.read_league(tenant, league, |l| l.revisions.range(range).next_back().map(|(_, revision)| revision.clone()))
    }

    async fn facts(&self, tenant: &TenantId, league: &LeagueId, digest: &Digest) -> Result<Option<StoredFacts>, StoreError> {
        self.read_league(tenant, league, |l| l.facts.get(digest).cloned())
    }
}
