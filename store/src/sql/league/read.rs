//! The reads of leagues. Lists end after so many rows, or after so many bytes; every list follows the primary key of its table.

use boxbox_schemas::TenantId;
use boxbox_schemas::league::{ActRow, Digest, Doc, Head, LeagueId, Revision, RevisionInfo, RevisionOf, StoredFacts, Text};
use boxbox_schemas::limits::LEAGUE_PAGE_BYTES;

use super::rows;
use crate::StoreError;
use crate::league_rules::rows_of_page;
use crate::sql::rows::signed;
use crate::sql::{Found, Sql, Value, all};

/// A page of a table: $1 tenant, $2 league, $3 most rows, $4 so many bytes of `$body` end it. How many rows that are is counted first, from
/// their lengths alone.
macro_rules! page {
    ($columns:literal from $table:literal where $condition:literal order by $order:literal, bytes of $body:literal) => {
        concat!(
            "SELECT ",
            $columns,
            rows_from!($table, $condition, $order),
            "(SELECT COUNT(*) FROM (SELECT SUM(length_here) OVER (ORDER BY ",
            $order,
            ") - length_here AS bytes_before FROM (SELECT ",
            $order,
            ", octet_length(",
            $body,
            ") AS length_here",
            rows_from!($table, $condition, $order),
            "$3) AS first_rows) AS summed WHERE bytes_before < $4)"
        )
    };
}

macro_rules! rows_from {
    ($table:literal, $condition:literal, $order:literal) => {
        concat!(" FROM ", $table, " WHERE tenant = $1 AND league = $2 AND ", $condition, " ORDER BY ", $order, " LIMIT ")
    };
}

/// The number of the newest revision is what the next one follows.
pub(super) const NEWEST_NUMBER: &str =
    "SELECT kind, id, number FROM league_revisions WHERE tenant = $1 AND league = $2 AND kind = $3 AND id = $4 ORDER BY number DESC LIMIT 1";
pub(super) const HEAD: &str = "SELECT seq, hash FROM league_heads WHERE tenant = $1 AND league = $2";
const LEAGUES: &str = "SELECT league, seq, hash FROM league_heads WHERE tenant = $1 AND league > $2 ORDER BY league LIMIT $3";
const OF_ALL_TENANTS: &str = "SELECT tenant, league FROM league_heads WHERE (tenant, league) > ($1, $2) ORDER BY tenant, league LIMIT $3";
const TRACES: &str = concat!(
    "SELECT league FROM (SELECT league FROM league_ledger WHERE tenant = $1 AND league > $2",
    " UNION SELECT league FROM league_docs WHERE tenant = $1 AND league > $2",
    " UNION SELECT league FROM league_texts WHERE tenant = $1 AND league > $2",
    " UNION SELECT league FROM league_revisions WHERE tenant = $1 AND league > $2",
    " UNION SELECT league FROM league_facts WHERE tenant = $1 AND league > $2) AS found ORDER BY league LIMIT $3",
);
pub(super) const ANSWERED: &str = "SELECT request, answer FROM league_keys WHERE tenant = $1 AND league = $2 AND actor = $3 AND key = $4";
const ACTS: &str = page!("seq, at_us, actor, kind, body, previous, hash" from "league_ledger" where "seq > $5" order by "seq", bytes of "body");
const DOC: &str = "SELECT kind, id, seq, body FROM league_docs WHERE tenant = $1 AND league = $2 AND kind = $3 AND id = $4";
const DOCS: &str = page!("kind, id, seq, body" from "league_docs" where "(kind, id) > ($5, $6)" order by "kind, id", bytes of "body");
macro_rules! some_texts {
    () => {
        "SELECT id, owner, salt, text FROM league_texts WHERE tenant = $1 AND league = $2 AND id IN ("
    };
}
const ALL_TEXTS: &str = page!("id, owner, salt, text" from "league_texts" where "(id, owner) > ($5, $6)" order by "id, owner", bytes of "text");
const OWNED_TEXTS: &str =
    page!("id, owner, salt, text" from "league_texts" where "(id, owner) > ($5, $6) AND owner = $7" order by "id, owner", bytes of "text");
const REVISIONS: &str = page!("kind, id, number, state, seq, at_us, digest, facts, rules, reason, difference" from "league_revisions"
    where "(kind, id, number) > ($5, $6, $7)" order by "kind, id, number", bytes of "difference");
const REVISION: &str = "SELECT * FROM league_revisions WHERE tenant = $1 AND league = $2 AND kind = $3 AND id = $4 AND number = $5";
const NEWEST_REVISION: &str =
    "SELECT * FROM league_revisions WHERE tenant = $1 AND league = $2 AND kind = $3 AND id = $4 ORDER BY number DESC LIMIT 1";
pub(super) const HAS_FACTS: &str = "SELECT digest FROM league_facts WHERE tenant = $1 AND league = $2 AND digest = $3";
const FACTS: &str = "SELECT digest, body FROM league_facts WHERE tenant = $1 AND league = $2 AND digest = $3";

/// Most texts that one statement finds.
const TEXTS_AT_ONCE: usize = 50;

/// Finds `count` texts by their ids.
fn texts_query(count: usize) -> String {
    let places: Vec<String> = (3..3 + count).map(|n| format!("${n}")).collect();
    format!("{}{})", some_texts!(), places.join(", "))
}

/// Every statement that reads leagues, with values for its parameters: tests look at their plans.
#[cfg(test)]
pub(crate) const STATEMENTS: [(&str, &[Value<'static>]); 15] = {
    const TENANT: Value<'static> = Value::Text(Some("a"));
    const LEAGUE: Value<'static> = Value::Text(Some("l-1"));
    const SOME: Value<'static> = Value::Text(Some("x"));
    const ID: Value<'static> = Value::Bytes(&[7; 32]);
    const N: Value<'static> = Value::Int(Some(100));
    const TWO_TEXTS: &str = concat!(some_texts!(), "$3, $4)");
    [
        (HEAD, &[TENANT, LEAGUE]),
        (LEAGUES, &[TENANT, LEAGUE, N]),
        (OF_ALL_TENANTS, &[TENANT, LEAGUE, N]),
        (TRACES, &[TENANT, LEAGUE, N]),
        (ANSWERED, &[TENANT, LEAGUE, SOME, SOME]),
        (ACTS, &[TENANT, LEAGUE, N, N, N]),
        (DOC, &[TENANT, LEAGUE, SOME, SOME]),
        (DOCS, &[TENANT, LEAGUE, N, N, SOME, SOME]),
        (ALL_TEXTS, &[TENANT, LEAGUE, N, N, ID, SOME]),
        (OWNED_TEXTS, &[TENANT, LEAGUE, N, N, ID, SOME, SOME]),
        (REVISIONS, &[TENANT, LEAGUE, N, N, SOME, SOME, N]),
        (REVISION, &[TENANT, LEAGUE, SOME, SOME, N]),
        (NEWEST_REVISION, &[TENANT, LEAGUE, SOME, SOME]),
        (FACTS, &[TENANT, LEAGUE, ID]),
        (TWO_TEXTS, &[TENANT, LEAGUE, ID, ID]),
    ]
};

/// A league of a tenant.
#[derive(Clone, Copy)]
pub(super) struct Of {
    pub(super) tenant: TenantId,
    pub(super) league: LeagueId,
}

impl Of {
    pub(super) async fn all<T: Send>(
        &self,
        c: &mut dyn Sql,
        sql: &str,
        more: &[Value<'_>],
        one: fn(&dyn Found) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let parameters = [&values![&self.tenant, &self.league][..], more].concat();
        all(c, sql, &parameters, one).await
    }

    async fn page<T: Send>(
        &self,
        c: &mut dyn Sql,
        sql: &str,
        limit: u32,
        after: &[Value<'_>],
        one: fn(&dyn Found) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let ends = values![rows_of_page(limit), LEAGUE_PAGE_BYTES as i64];
        self.all(c, sql, &[&ends[..], after].concat(), one).await
    }

    pub(super) async fn answered(&self, c: &mut dyn Sql, actor: &str, key: &str) -> Result<Option<(Digest, String)>, StoreError> {
        Ok(self.all(c, ANSWERED, &values![actor, key], rows::answer).await?.pop())
    }

    pub(super) async fn head(&self, c: &mut dyn Sql) -> Result<Option<Head>, StoreError> {
        Ok(self.all(c, HEAD, &[], rows::head).await?.pop())
    }

    pub(super) async fn acts(&self, c: &mut dyn Sql, after: u64, limit: u32) -> Result<Vec<ActRow>, StoreError> {
        self.page(c, ACTS, limit, &values![signed(after)?], rows::act).await
    }

    pub(super) async fn doc(&self, c: &mut dyn Sql, kind: &str, id: &str) -> Result<Option<Doc>, StoreError> {
        Ok(self.all(c, DOC, &values![kind, id], rows::doc).await?.pop())
    }

    pub(super) async fn docs(&self, c: &mut dyn Sql, after: (&str, &str), limit: u32) -> Result<Vec<Doc>, StoreError> {
        self.page(c, DOCS, limit, &values![after.0, after.1], rows::doc).await
    }

    pub(super) async fn texts(&self, c: &mut dyn Sql, ids: &[Digest]) -> Result<Vec<Text>, StoreError> {
        let mut found: Vec<Text> = vec![];
        // A list of values of one length, so that there are two texts of the statement.
        for some in ids.chunks(TEXTS_AT_ONCE) {
            let most = if some.len() == 1 { 1 } else { TEXTS_AT_ONCE };
            let padded: Vec<Value<'_>> = some.iter().chain(std::iter::repeat(&some[0])).take(most).map(Value::from).collect();
            found.extend(self.all(c, &texts_query(most), &padded, rows::a_text).await?);
        }
        found.sort_by(|a, b| (a.id, &a.owner).cmp(&(b.id, &b.owner)));
        found.dedup();
        Ok(found)
    }

    pub(super) async fn texts_of(&self, c: &mut dyn Sql, owner: Option<&str>, after: (&[u8], &str), limit: u32) -> Result<Vec<Text>, StoreError> {
        match owner {
            None => self.page(c, ALL_TEXTS, limit, &values![after.0, after.1], rows::a_text).await,
            Some(owner) => self.page(c, OWNED_TEXTS, limit, &values![after.0, after.1, owner], rows::a_text).await,
        }
    }

    pub(super) async fn revisions(&self, c: &mut dyn Sql, after: (&str, &str, u32), limit: u32) -> Result<Vec<RevisionInfo>, StoreError> {
        self.page(c, REVISIONS, limit, &values![after.0, after.1, after.2], rows::revision_info).await
    }

    pub(super) async fn revision(&self, c: &mut dyn Sql, of: &RevisionOf, number: Option<u32>) -> Result<Option<Revision>, StoreError> {
        let found = match number {
            None => self.all(c, NEWEST_REVISION, &values![&of.kind, &of.id], rows::revision).await?,
            Some(number) => self.all(c, REVISION, &values![&of.kind, &of.id, number], rows::revision).await?,
        };
        Ok(found.into_iter().next())
    }

    pub(super) async fn facts(&self, c: &mut dyn Sql, digest: &Digest) -> Result<Option<StoredFacts>, StoreError> {
        Ok(self.all(c, FACTS, &values![digest], rows::facts).await?.pop())
    }
}

/// The leagues of a tenant behind `after`.
pub(super) async fn leagues(c: &mut dyn Sql, tenant: &TenantId, after: &str, limit: u32) -> Result<Vec<(LeagueId, Head)>, StoreError> {
    all(c, LEAGUES, &values![tenant, after, rows_of_page(limit)], rows::league).await
}

/// The leagues of all tenants behind a league of a tenant.
pub(super) async fn of_all_tenants(c: &mut dyn Sql, tenant: &str, league: &str, limit: u32) -> Result<Vec<(TenantId, LeagueId)>, StoreError> {
    all(c, OF_ALL_TENANTS, &values![tenant, league, rows_of_page(limit)], rows::tenant_and_league).await
}

/// The leagues of a tenant behind `after` of which any row is stored.
pub(super) async fn traces(c: &mut dyn Sql, tenant: &TenantId, after: &str, limit: u32) -> Result<Vec<LeagueId>, StoreError> {
    all(c, TRACES, &values![tenant, after, rows_of_page(limit)], rows::league_id).await
}
