//! What a [`LeagueService`] reads beside the ledger: names and texts, revisions, lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use boxbox_race::league::Scope;
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{self as stored, ActRow, Head, LeagueId, Revision, RevisionInfo};

use super::loaded::Loaded;
use super::names::Names;
use super::prepare::revision_of;
use super::service::{AT_ONCE, LeagueService};
use crate::problem::Problem;

impl LeagueService {
    /// The names of a league.
    pub(crate) async fn names(&self, tenant: &TenantId, loaded: &Loaded) -> Result<Arc<Names>, Problem> {
        let load = async {
            let (wanted, mut names) = (loaded.names_wanted(), Names::default());
            let ids: Vec<stored::Digest> = wanted.keys().copied().collect();
            for ids in ids.chunks(AT_ONCE as usize) {
                // A page may end earlier, by its bytes; names are short.
                for text in whole(&loaded.id, self.stored(self.store.texts(tenant, &loaded.id, ids).await)?) {
                    wanted.get(&text.id).into_iter().flatten().for_each(|of| names.add(of, &text.text));
                }
            }
            Ok(Arc::new(names))
        };
        loaded.names.get_or_try_init(|| load).await.cloned()
    }

    /// One published revision.
    pub(crate) async fn revision(&self, tenant: &TenantId, id: &LeagueId, scope: Scope, number: Option<u32>) -> Result<Option<Revision>, Problem> {
        self.stored(self.store.revision(tenant, id, &revision_of(scope), number).await)
    }

    /// The revisions of one result or table, in the order of their numbers.
    pub(crate) async fn revisions(
        &self,
        tenant: &TenantId,
        id: &LeagueId,
        scope: Scope,
        after: u32,
        limit: u32,
    ) -> Result<Vec<RevisionInfo>, Problem> {
        let of = revision_of(scope);
        let mut found = self.stored(self.store.revisions(tenant, id, Some((&of, after)), limit).await)?;
        found.retain(|info| info.of == of);
        Ok(found)
    }

    /// Texts by their ids.
    pub(crate) async fn texts(&self, tenant: &TenantId, id: &LeagueId, ids: &[stored::Digest]) -> Result<BTreeMap<String, String>, Problem> {
        let found = self.stored(self.store.texts(tenant, id, ids).await)?;
        Ok(whole(id, found).map(|text| (text.id.to_string(), text.text)).collect())
    }

    /// Rows of the ledger.
    pub(crate) async fn acts(&self, tenant: &TenantId, id: &LeagueId, after: u64, limit: u32) -> Result<Vec<ActRow>, Problem> {
        self.stored(self.store.acts(tenant, id, after, limit).await)
    }

    /// The leagues of a tenant.
    pub(crate) async fn leagues(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<(LeagueId, Head)>, Problem> {
        self.stored(self.store.leagues(tenant, after, limit).await)
    }

    /// The leagues of all tenants: for what the server does by itself.
    pub(crate) async fn of_all_tenants(&self, after: Option<&(TenantId, LeagueId)>, limit: u32) -> Result<Vec<(TenantId, LeagueId)>, Problem> {
        self.stored(self.store.of_all_tenants(after, limit).await)
    }
}

/// The texts that are as they were written. A text that was changed by hand is left out, because it is not what a person said.
fn whole(league: &LeagueId, texts: Vec<stored::Text>) -> impl Iterator<Item = stored::Text> {
    texts.into_iter().filter(move |text| {
        if !text.is_whole() {
            tracing::error!(%league, text = %text.id, "a text of a league was changed in the store and is not shown: see `boxbox ledger verify`");
        }
        text.is_whole()
    })
}
