//! [`Sessions`] of an SQL store: its queries.

use async_trait::async_trait;
use boxbox_schemas::results::{AnyRow, CarNow, Lap, Ledger, RowKind, SessionInfo};
use boxbox_schemas::{EntryId, SessionId, TenantId};

use super::found::{self, Found, body, json};
use super::store::SqlStore;
use super::{Dialect, Value, all};
use crate::{BestLaps, LapFilter, Readers, SessionCursor, Sessions, StoreError};

const SESSION: &str = concat!(session_select!(), " WHERE s.tenant = $1 AND s.id = $2");
const NEWEST: &str = concat!(session_select!(), " WHERE s.tenant = $1 ORDER BY s.opened_at_us DESC, s.id LIMIT $2");
const NEWEST_AFTER: &str = concat!(
    session_select!(),
    " WHERE s.tenant = $1 AND s.opened_at_us <= $2 AND (s.opened_at_us < $2 OR s.id > $3) ORDER BY s.opened_at_us DESC, s.id LIMIT $4"
);
const LAP: &str = "SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session \
                   WHERE s.tenant = $1 AND l.session = $2 AND l.entry = $3 AND l.number = $4 AND NOT l.superseded";
const ROWS: &str = "SELECT r.* FROM rows r JOIN sessions s ON s.id = r.session \
                    WHERE s.tenant = $1 AND r.session = $2 AND r.kind = $3 AND NOT r.superseded \
                    ORDER BY r.entry, r.sim_time_us, r.driver, r.run, r.slot, r.timeline, r.tick LIMIT $4";
/// A stream's own car first, then the cars that it sees; the entry is only in the body.
const CARS: &str = "SELECT t.now, t.driver AS driver, t.run AS run, -1 AS slot FROM streams t JOIN sessions s ON s.id = t.session \
                    WHERE s.tenant = $1 AND t.session = $2 AND t.now IS NOT NULL \
                    UNION ALL SELECT f.now, f.driver, f.run, f.slot FROM field f JOIN sessions s ON s.id = f.session \
                    WHERE s.tenant = $1 AND f.session = $2 AND f.now IS NOT NULL ORDER BY driver, run, slot";
const LEDGERS: &str = "SELECT t.ledger FROM streams t JOIN sessions s ON s.id = t.session WHERE s.tenant = $1 AND t.session = $2 \
                       ORDER BY t.driver, t.run";

#[async_trait]
impl<S: SqlStore> Sessions for S {
    fn readers(&self) -> Option<Readers> {
        Some(self.open_readers())
    }

    async fn sessions(&self, tenant: &TenantId, after: Option<SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError> {
        let tenant = *tenant;
        let ask = self.read(move |c| {
            Box::pin(async move {
                match after {
                    None => all(c, NEWEST, &values![&tenant, limit], found::session).await,
                    Some(after) => all(c, NEWEST_AFTER, &values![&tenant, after.opened_at_us, &after.id, limit], found::session).await,
                }
            })
        });
        ask.await
    }

    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError> {
        Ok(of_session(self, tenant, session, SESSION, found::session).await?.pop())
    }

    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError> {
        let (tenant, session, filter) = (*tenant, *session, filter.clone());
        let ask = self.read(move |c| {
            Box::pin(async move {
                match laps_query(&tenant, &session, &filter, after.as_ref(), limit) {
                    Some((sql, parameters)) => all(c, &sql, &parameters, body).await,
                    None => Ok(vec![]),
                }
            })
        });
        ask.await
    }

    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError> {
        moment(self, tenant, session, at_us, |dialect| dialect.laps_at).await
    }

    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, of: BestLaps) -> Result<Vec<Lap>, StoreError> {
        let (tenant, session) = (*tenant, *session);
        let ask = self.read(move |c| {
            Box::pin(async move {
                let sql = c.dialect().best_laps;
                all(c, sql, &values![&tenant, &session, of.ended_by_us, of.begun_before_us, of.from_number], body).await
            })
        });
        ask.await
    }

    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError> {
        let (tenant, session, entry) = (*tenant, *session, *entry);
        let ask = self.read(move |c| Box::pin(async move { all(c, LAP, &values![&tenant, &session, &entry, number], body).await }));
        Ok(ask.await?.pop())
    }

    async fn rows(&self, tenant: &TenantId, session: &SessionId, kind: RowKind) -> Result<Vec<AnyRow>, StoreError> {
        self.first_rows(tenant, session, kind, u32::MAX).await
    }

    async fn first_rows(&self, tenant: &TenantId, session: &SessionId, kind: RowKind, limit: u32) -> Result<Vec<AnyRow>, StoreError> {
        let (tenant, session) = (*tenant, *session);
        let ask = self.read(move |c| Box::pin(async move { all(c, ROWS, &values![&tenant, &session, kind.as_str(), limit], found::any_row).await }));
        ask.await
    }

    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        let mut cars: Vec<CarNow> = of_session(self, tenant, session, CARS, |row| json(row, "now")).await?;
        cars.sort_by_key(|car| (car.entry, car.driver, car.run, car.slot));
        Ok(cars)
    }

    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError> {
        of_session(self, tenant, session, LEDGERS, |row| json(row, "ledger")).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.answers().await
    }
}

/// The rows that `sql` finds; $1 is the tenant and $2 the session.
async fn of_session<T: Send + 'static>(
    store: &impl SqlStore,
    tenant: &TenantId,
    session: &SessionId,
    sql: &'static str,
    one: fn(&dyn Found) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let (tenant, session) = (*tenant, *session);
    store.read(move |c| Box::pin(async move { all(c, sql, &values![&tenant, &session], one).await })).await
}

/// The laps that a query for a moment finds.
async fn moment(
    store: &impl SqlStore,
    tenant: &TenantId,
    session: &SessionId,
    at_us: i64,
    sql: fn(&Dialect) -> &'static str,
) -> Result<Vec<Lap>, StoreError> {
    let (tenant, session) = (*tenant, *session);
    let ask = store.read(move |c| {
        Box::pin(async move {
            let sql = sql(c.dialect());
            all(c, sql, &values![&tenant, &session, at_us], body).await
        })
    });
    ask.await
}

/// A query for the laps that the filter selects, with its parameters; `None` if there can be none.
///
/// The text has only the conditions that are needed, so that each text has a plan that begins at its first row:
/// by number for one entry, by (entry, number) for all.
pub(crate) fn laps_query<'a>(
    tenant: &'a TenantId,
    session: &'a SessionId,
    filter: &'a LapFilter,
    after: Option<&'a (EntryId, u32)>,
    limit: u32,
) -> Option<(String, Vec<Value<'a>>)> {
    let mut sql =
        "SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session WHERE NOT l.superseded AND s.tenant = $1 AND l.session = $2".to_owned();
    let mut parameters = values![tenant, session].to_vec();
    // The text so far, followed by the placeholder of `value`.
    let mut with = |sql: &mut String, text: &str, value: Value<'a>| {
        parameters.push(value);
        *sql += &format!("{text}${}", parameters.len());
    };
    let mut from = filter.from_number.unwrap_or(0);
    match (&filter.entry, after) {
        (None, None) => {}
        (None, Some((entry, number))) => {
            with(&mut sql, " AND (l.entry, l.number) > (", entry.into());
            with(&mut sql, ", ", (*number).into());
            sql.push(')');
        }
        (Some(entry), after) => {
            with(&mut sql, " AND l.entry = ", entry.into());
            match after {
                Some((last, _)) if last > entry => return None,
                Some((last, number)) if last == entry => from = from.max(number.checked_add(1)?),
                _ => {}
            }
        }
    }
    if from > 0 {
        with(&mut sql, " AND l.number >= ", from.into());
    }
    if let Some(to) = filter.to_number {
        with(&mut sql, " AND l.number <= ", to.into());
    }
    if let Some(driver) = &filter.driver {
        with(&mut sql, " AND l.driver = ", driver.into());
    }
    if let Some(valid) = filter.valid {
        sql += if valid { " AND l.reasons = 0" } else { " AND l.reasons <> 0" };
    }
    with(&mut sql, " ORDER BY l.entry, l.number LIMIT ", limit.into());
    Some((sql, parameters))
}
