//! [`Leagues`] of an SQL store.

mod read;
mod rows;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{ActRow, Digest, Doc, Head, LeagueId, Revision, RevisionInfo, RevisionOf, StoredFacts, Text, Write, Written};

use self::read::Of;
use super::store::SqlStore;
use crate::crash::crash_point;
use crate::league_rules::{check_asked, check_write};
use crate::{Leagues, StoreError};

#[cfg(test)]
pub(crate) use read::STATEMENTS;

#[async_trait]
impl<S: SqlStore> Leagues for S {
    async fn write(&self, write: &Write) -> Result<Written, StoreError> {
        check_write(write)?;
        let (key, erases, write) = ((write.tenant, write.league), !write.erased.is_empty(), Arc::new(write.clone()));
        let written = self.write_league(&key, move |c| Box::pin(async move { write::write(c, &write).await })).await?;
        crash_point("league-committed");
        if erases {
            self.after_erasure().await?;
        }
        Ok(written)
    }

    async fn answered(&self, tenant: &TenantId, league: &LeagueId, actor: &str, key: &str) -> Result<Option<(Digest, String)>, StoreError> {
        let (of, actor, key) = (Of { tenant: *tenant, league: *league }, actor.to_owned(), key.to_owned());
        self.read(move |c| Box::pin(async move { of.answered(c, &actor, &key).await })).await
    }

    async fn head(&self, tenant: &TenantId, league: &LeagueId) -> Result<Option<Head>, StoreError> {
        let of = Of { tenant: *tenant, league: *league };
        self.read(move |c| Box::pin(async move { of.head(c).await })).await
    }

    async fn leagues(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<(LeagueId, Head)>, StoreError> {
        let (tenant, after) = (*tenant, after.copied());
        let ask = self.read(move |c| Box::pin(async move { read::leagues(c, &tenant, after.as_ref().map_or("", LeagueId::as_str), limit).await }));
        ask.await
    }

    async fn of_all_tenants(&self, after: Option<&(TenantId, LeagueId)>, limit: u32) -> Result<Vec<(TenantId, LeagueId)>, StoreError> {
        let after = after.copied();
        let ask = self.read(move |c| {
            Box::pin(async move {
                let (tenant, league) = after.as_ref().map_or(("", ""), |(tenant, league)| (tenant.as_str(), league.as_str()));
                read::of_all_tenants(c, tenant, league, limit).await
            })
        });
        ask.await
    }

    async fn traces(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<LeagueId>, StoreError> {
        let (tenant, after) = (*tenant, after.copied());
        let ask = self.read(move |c| Box::pin(async move { read::traces(c, &tenant, after.as_ref().map_or("", LeagueId::as_str), limit).await }));
        ask.await
    }

    async fn acts(&self, tenant: &TenantId, league: &LeagueId, after: u64, limit: u32) -> Result<Vec<ActRow>, StoreError> {
        let of = Of { tenant: *tenant, league: *league };
        self.read(move |c| Box::pin(async move { of.acts(c, after, limit).await })).await
    }

    async fn doc(&self, tenant: &TenantId, league: &LeagueId, kind: &str, id: &str) -> Result<Option<Doc>, StoreError> {
        let (of, kind, id) = (Of { tenant: *tenant, league: *league }, kind.to_owned(), id.to_owned());
        self.read(move |c| Box::pin(async move { of.doc(c, &kind, &id).await })).await
    }

    async fn docs(&self, tenant: &TenantId, league: &LeagueId, after: Option<(&str, &str)>, limit: u32) -> Result<Vec<Doc>, StoreError> {
        let (of, (kind, id)) = (Of { tenant: *tenant, league: *league }, after.unwrap_or_default());
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.read(move |c| Box::pin(async move { of.docs(c, (&kind, &id), limit).await })).await
    }

    async fn texts(&self, tenant: &TenantId, league: &LeagueId, ids: &[Digest]) -> Result<Vec<Text>, StoreError> {
        check_asked(ids)?;
        let (of, ids) = (Of { tenant: *tenant, league: *league }, ids.to_vec());
        self.read(move |c| Box::pin(async move { of.texts(c, &ids).await })).await
    }

    async fn texts_of(
        &self,
        tenant: &TenantId,
        league: &LeagueId,
        owner: Option<&str>,
        after: Option<(&Digest, &str)>,
        limit: u32,
    ) -> Result<Vec<Text>, StoreError> {
        let (of, owner) = (Of { tenant: *tenant, league: *league }, owner.map(str::to_owned));
        let (id, owner_after) = after.map_or((vec![], String::new()), |(id, owner)| (id.0.to_vec(), owner.to_owned()));
        self.read(move |c| Box::pin(async move { of.texts_of(c, owner.as_deref(), (&id, &owner_after), limit).await })).await
    }

    async fn revisions(
        &self,
        tenant: &TenantId,
        league: &LeagueId,
        after: Option<(&RevisionOf, u32)>,
        limit: u32,
    ) -> Result<Vec<RevisionInfo>, StoreError> {
        let of = Of { tenant: *tenant, league: *league };
        let (kind, id, number) = after.map_or_else(Default::default, |(of, number)| (of.kind.clone(), of.id.clone(), number));
        self.read(move |c| Box::pin(async move { of.revisions(c, (&kind, &id, number), limit).await })).await
    }

    async fn revision(&self, tenant: &TenantId, league: &LeagueId, of: &RevisionOf, number: Option<u32>) -> Result<Option<Revision>, StoreError> {
        let (league, of) = (Of { tenant: *tenant, league: *league }, of.clone());
        self.read(move |c| Box::pin(async move { league.revision(c, &of, number).await })).await
    }

    async fn facts(&self, tenant: &TenantId, league: &LeagueId, digest: &Digest) -> Result<Option<StoredFacts>, StoreError> {
        let (of, digest) = (Of { tenant: *tenant, league: *league }, *digest);
        self.read(move |c| Box::pin(async move { of.facts(c, &digest).await })).await
    }
}
