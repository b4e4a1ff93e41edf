//! A store written by the version before `rows`: incident steps, pit visits and flags are in separate tables.

use boxbox_schemas::results::{AnyRow, FlagChange, IncidentStep, PitVisit, Row, SessionInfo};
use fastrand::Rng;

use super::samples::*;
use crate::sql::{Sql, all, write};
use crate::{Sessions, Step, Steps, rows_of};

/// Rows of one session, no two with one key.
pub(crate) struct Before {
    home: SessionInfo,
    incidents: Vec<IncidentStep>,
    pit_visits: Vec<PitVisit>,
    flags: Vec<FlagChange>,
}

/// The rows of a kind, the first of each key.
fn of_kind<T: Row>(all: &[AnyRow], home: &SessionInfo) -> Vec<T> {
    let mut rows: Vec<T> = AnyRow::read_all(all.iter().filter(|row| row.head.session == home.id)).unwrap();
    rows.sort_by_key(|row| row.head().key);
    rows.dedup_by_key(|row| row.head().key);
    rows
}

impl Before {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let tenants = [tenant("a")];
        let rows: Vec<AnyRow> = (1..=40).flat_map(|offset| random_step(rng, offset, &tenants).rows).collect();
        let home = session(tenant("a"), 1);
        let before = Self { incidents: of_kind(&rows, &home), pit_visits: of_kind(&rows, &home), flags: of_kind(&rows, &home), home };
        assert!(!before.incidents.is_empty() && !before.pit_visits.is_empty() && !before.flags.is_empty());
        before
    }

    /// Put them into the tables of then, which are there and empty.
    pub(crate) async fn put(&self, c: &mut dyn Sql) {
        let home = [&self.home];
        let partition = [(log(), checkpoint(1))];
        let head = "INSERT INTO partitions (log, part, epoch, log_offset, crc) ";
        write(c, head, &partition, |(log, at)| values![&log.0, at.partition, 1i64, at.offset as i64, at.crc], "").await.unwrap();
        let head =
            "INSERT INTO sessions (id, tenant, log, part, sim, source_id, session_num, opened_at_us, updated_at_us, sim_time_us, closed, retired) ";
        let (source_id, log) = (self.home.source.id.to_be_bytes(), log());
        write(
            c,
            head,
            &home,
            |s| {
                values![
                    &s.id,
                    &s.tenant,
                    &log.0,
                    3u32,
                    s.source.sim.0,
                    &source_id[..],
                    s.source.session_num,
                    s.opened_at_us,
                    s.updated_at_us,
                    s.sim_time_us,
                    s.closed,
                    s.retired,
                ]
            },
            "",
        )
        .await
        .unwrap();
        let head = "INSERT INTO incidents (session, driver, run, timeline, tick, entry, sim_time_us, count_from, count_to, superseded, late) ";
        write(
            c,
            head,
            &self.incidents,
            |i| values![&i.session, &i.driver, &i.run, i.timeline, i.tick, &i.entry, i.sim_time_us, i.from, i.to, i.superseded, i.late],
            "",
        )
        .await
        .unwrap();
        let head = "INSERT INTO flags (session, driver, run, timeline, tick, entry, sim_time_us, flags_from, flags_to, superseded, late) ";
        write(
            c,
            head,
            &self.flags,
            |f| values![&f.session, &f.driver, &f.run, f.timeline, f.tick, &f.entry, f.sim_time_us, f.from.0, f.to.0, f.superseded, f.late],
            "",
        )
        .await
        .unwrap();
        let visits: Vec<(&PitVisit, String)> = self.pit_visits.iter().map(|v| (v, body_of_then(v))).collect();
        let head = "INSERT INTO pit_visits (session, driver, run, slot, timeline, tick, entry, enter_us, superseded, body) ";
        write(
            c,
            head,
            &visits,
            |(v, body)| values![&v.session, &v.driver, &v.run, v.slot, v.timeline, v.tick, &v.entry, v.enter_us, v.superseded, body],
            "",
        )
        .await
        .unwrap();
    }

    /// What the store gives of them, migrated since.
    pub(crate) async fn check(&self, store: &(impl Steps + Sessions)) {
        let lease = store.acquire(&log(), 3).await.unwrap();
        let state = store.load(&lease).await.unwrap();
        assert_eq!(state.checkpoint, Some(checkpoint(1)));
        assert_eq!(of_kind::<IncidentStep>(&state.rows, &self.home), self.incidents);
        assert_eq!(of_kind::<PitVisit>(&state.rows, &self.home), self.pit_visits);
        assert_eq!(of_kind::<FlagChange>(&state.rows, &self.home), self.flags);
        assert_eq!(state.rows.len(), self.incidents.len() + self.pit_visits.len() + self.flags.len());
        for row in &state.rows {
            // What the columns say is what the row itself says.
            let head = match row.kind {
                IncidentStep::KIND => row.read::<IncidentStep>().unwrap().head(),
                FlagChange::KIND => row.read::<FlagChange>().unwrap().head(),
                _ => row.read::<PitVisit>().unwrap().head(),
            };
            assert_eq!(row.head, head);
        }
        let shown = self.pit_visits.iter().filter(|v| !v.superseded).count();
        assert_eq!(rows_of::<PitVisit>(store, &self.home.tenant, &self.home.id).await.unwrap().len(), shown);
        // The store continues from there: a row that is written again replaces what was migrated.
        let again = PitVisit { speeding: !self.pit_visits[0].speeding, superseded: false, ..self.pit_visits[0].clone() };
        store.commit(&lease, &Step { rows: rows(std::slice::from_ref(&again)), ..empty_step(2) }).await.unwrap();
        assert!(rows_of::<PitVisit>(store, &self.home.tenant, &self.home.id).await.unwrap().contains(&again));
        assert_eq!(store.load(&lease).await.unwrap().rows.len(), state.rows.len());
    }

    /// What people find by SQL is what they found before: tables are views of the same columns.
    pub(crate) async fn check_views(&self, c: &mut dyn Sql) {
        let sql = "SELECT tick, entry, sim_time_us, count_from, count_to, superseded, late FROM incidents ORDER BY driver, run, timeline, tick";
        let found = all(c, sql, &[], |row| {
            let numbers = (row.int("tick")?, row.int("sim_time_us")?, row.int("count_from")?, row.int("count_to")?);
            Ok((row.text("entry")?.to_owned(), numbers, row.bool("superseded")?, row.bool("late")?))
        });
        let expected = self
            .incidents
            .iter()
            .map(|i| (i.entry.to_string(), (i64::from(i.tick), i.sim_time_us, i64::from(i.from), i64::from(i.to)), i.superseded, i.late));
        assert_eq!(found.await.unwrap(), expected.collect::<Vec<_>>());
        let sql = "SELECT sim_time_us, flags_from, flags_to FROM flags ORDER BY driver, run, timeline, tick";
        let found = all(c, sql, &[], |row| Ok((row.int("sim_time_us")?, row.int("flags_from")?, row.int("flags_to")?)));
        let expected = self.flags.iter().map(|f| (f.sim_time_us, i64::from(f.from.0), i64::from(f.to.0)));
        assert_eq!(found.await.unwrap(), expected.collect::<Vec<_>>());
        let sql =
            "SELECT seen_as, kind, lap, enter_us, exit_us, stationary_us, service_us FROM pit_visits ORDER BY driver, run, timeline, slot, tick";
        let found = all(c, sql, &[], |row| {
            let seen_as = row.maybe_text("seen_as")?.map(str::to_owned);
            Ok((
                seen_as,
                row.int("kind")?,
                row.int("lap")?,
                row.int("enter_us")?,
                row.maybe_int("exit_us")?,
                row.int("stationary_us")?,
                row.maybe_int("service_us")?,
            ))
        });
        let expected = self
            .pit_visits
            .iter()
            .map(|v| (v.seen_as.map(|e| e.to_string()), i64::from(v.kind.0), i64::from(v.lap), v.enter_us, v.exit_us, v.stationary_us, v.service_us));
        assert_eq!(found.await.unwrap(), expected.collect::<Vec<_>>());
    }
}

/// A visit as earlier code wrote it: without the fields that came later, where they say nothing.
fn body_of_then(visit: &PitVisit) -> String {
    let mut body = serde_json::to_value(visit).unwrap();
    let fields = body.as_object_mut().unwrap();
    for (name, nothing) in [("seen_as", serde_json::Value::Null), ("late", false.into())] {
        if fields.get(name) == Some(&nothing) {
            fields.remove(name);
        }
    }
    body.to_string()
}
