//! [`Leagues`]: what a league decided, and what is stored with it.

use async_trait::async_trait;
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{
    ActRow, Chain, ChainFault, Digest, Doc, Head, LeagueId, Revision, RevisionInfo, RevisionOf, StoredFacts, Text, Write, Written,
};

use crate::StoreError;

/// Decisions of leagues: one write, and reads of one league at a time.
///
/// Every read but [`of_all_tenants`](Leagues::of_all_tenants) is of one tenant. A read gives at most [`LEAGUE_PAGE_MAX_ROWS`](boxbox_schemas::limits::LEAGUE_PAGE_MAX_ROWS) rows, and no further row
/// once they have [`LEAGUE_PAGE_BYTES`](boxbox_schemas::limits::LEAGUE_PAGE_BYTES); it gives one row at least, if there is one. A list has
/// ended when a read gives no row. A league that does not exist has no rows.
#[async_trait]
pub trait Leagues: Send + Sync + 'static {
    /// Store all of `write`, or nothing (D1).
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a write that is not within the contract; [`StoreError::Unavailable`], after which the write may have
    /// happened: with its [key](Write::key) it can be repeated.
    async fn write(&self, write: &Write) -> Result<Written, StoreError>;
    /// The answer to an earlier request with this key, and the digest of that request.
    async fn answered(&self, tenant: &TenantId, league: &LeagueId, actor: &str, key: &str) -> Result<Option<(Digest, String)>, StoreError>;
    /// The last act of a league's ledger. One lookup in an index: it may be asked for at each request.
    async fn head(&self, tenant: &TenantId, league: &LeagueId) -> Result<Option<Head>, StoreError>;
    /// The leagues of a tenant in order of ids, those after `after`.
    async fn leagues(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<(LeagueId, Head)>, StoreError>;
    /// The leagues of all tenants in order of (tenant, id), those after `after`. For what a server does by itself, never for a request.
    async fn of_all_tenants(&self, after: Option<&(TenantId, LeagueId)>, limit: u32) -> Result<Vec<(TenantId, LeagueId)>, StoreError>;
    /// The leagues of a tenant of which anything is stored beside the head, in order of ids, those after `after`: also one whose head was
    /// removed by hand, which [`leagues`](Leagues::leagues) does not know. It reads much; it is for checks.
    async fn traces(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<LeagueId>, StoreError>;
    /// The acts of a league in order, those after number `after`.
    async fn acts(&self, tenant: &TenantId, league: &LeagueId, after: u64, limit: u32) -> Result<Vec<ActRow>, StoreError>;
    /// One projection.
    async fn doc(&self, tenant: &TenantId, league: &LeagueId, kind: &str, id: &str) -> Result<Option<Doc>, StoreError>;
    /// The projections of a league in order of (kind, id), those after `after`. The first page of a kind is after (kind, "").
    async fn docs(&self, tenant: &TenantId, league: &LeagueId, after: Option<(&str, &str)>, limit: u32) -> Result<Vec<Doc>, StoreError>;
    /// The texts with these ids that are there, in order of (id, owner). A text of several owners is given for each.
    async fn texts(&self, tenant: &TenantId, league: &LeagueId, ids: &[Digest]) -> Result<Vec<Text>, StoreError>;
    /// The texts of a league, or those of one owner, in order of (id, owner), those after `after`.
    async fn texts_of(
        &self,
        tenant: &TenantId,
        league: &LeagueId,
        owner: Option<&str>,
        after: Option<(&Digest, &str)>,
        limit: u32,
    ) -> Result<Vec<Text>, StoreError>;
    /// What is published of a league, in order of (what it is of, number), those after `after`. The first page of one result or table is after
    /// its number 0.
    async fn revisions(
        &self,
        tenant: &TenantId,
        league: &LeagueId,
        after: Option<(&RevisionOf, u32)>,
        limit: u32,
    ) -> Result<Vec<RevisionInfo>, StoreError>;
    /// One revision; without a number the newest.
    async fn revision(&self, tenant: &TenantId, league: &LeagueId, of: &RevisionOf, number: Option<u32>) -> Result<Option<Revision>, StoreError>;
    /// The facts with this digest.
    async fn facts(&self, tenant: &TenantId, league: &LeagueId, digest: &Digest) -> Result<Option<StoredFacts>, StoreError>;
}

/// Follow a league's ledger from its first act to its last. What is stored agrees with itself if there is no fault: no act was changed, removed
/// or put in another order since it was written, and the head is the last of them.
///
/// # Errors
/// Those of the store.
pub async fn check_ledger(store: &(impl Leagues + ?Sized), tenant: &TenantId, league: &LeagueId) -> Result<Result<Head, ChainFault>, StoreError> {
    let mut chain = Chain::new(*tenant, *league);
    loop {
        // The head first: acts may be added meanwhile, and a head is never older than the acts.
        let head = store.head(tenant, league).await?.unwrap_or_default();
        let rows = store.acts(tenant, league, chain.head().seq, u32::MAX).await?;
        if rows.is_empty() {
            return Ok(chain.ends_with(&head).map(|()| head));
        }
        if let Err(fault) = rows.iter().try_for_each(|row| chain.follow(row)) {
            return Ok(Err(fault));
        }
    }
}
