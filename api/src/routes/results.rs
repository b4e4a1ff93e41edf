//! `GET /api/v1/sessions/{session}/results`: the classification (`race.rank`, `best.lap`), and a digest of all results.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing;
use boxbox_race::view::SessionResult;
use boxbox_schemas::results::SessionInfo;
use boxbox_schemas::{DriverId, EntryId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::extract::{Path, SessionPath};
use crate::openapi::ShortId;
use crate::problem::Problem;
use crate::read::{self, Car};

/// The classification
#[utoipa::path(get, path = "/api/v1/sessions/{session}/results", tag = "timing", operation_id = "getResults", params(SessionPath),
    responses((status = 200, description = "The classification", body = ResultList), (status = 422, description = "`session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn results(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<ResultList>, Problem> {
    let tenant = &reader.tenant;
    let session = read::session(&app, tenant, &path.session).await?;
    let SessionResult { finish, classified, digest } = read::view(&app, tenant, session.clone()).await?.result();
    let results = classified.into_iter().map(|c| Row::of(c, &session)).collect();
    Ok(Json(ResultList {
        r#final: session.closed,
        rules: session.rules,
        end_us: finish.map(|f| f.end_us),
        decided_by: finish.map(|f| f.decided_by.name()),
        ended_without_a_crossing: finish.is_some_and(|f| f.ended_without_a_crossing),
        digest,
        results,
    }))
}

/// The classification of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = Results)]
pub(crate) struct ResultList {
    /// The session is closed: the results do not change unless it is opened again, by a person, or by itself if silence has closed it and
    /// frames come after all.
    r#final: bool,
    /// The version of the rules by which laps and other facts were computed.
    #[schema(example = 2)]
    rules: u32,
    /// When the session ended, session time: laps that begin then or later do not count. In a race the winner's crossing, or, where no
    /// client saw it, the moment that tells the end. `null` while it has not ended.
    end_us: Option<i64>,
    /// What decided that: `state` (the session state that more than half of the clients show), `flag` (the chequered flag likewise),
    /// `lap_limit`, `time_limit`; `null` while it has not ended.
    #[schema(value_type = Option<String>, example = "state")]
    decided_by: Option<&'static str>,
    /// The race was stopped, and no car crossed the line to end it: the laps completed by then stand.
    ended_without_a_crossing: bool,
    /// SHA-256 of all results (classification, laps, pit visits, incidents), 64 hexadecimal digits: equal for equal results,
    /// in whatever order their frames came.
    digest: String,
    /// In order of position.
    results: Vec<Row>,
}

/// One entry in the classification.
#[derive(Serialize, ToSchema)]
#[schema(as = Classified)]
struct Row {
    /// Position overall, 1-based.
    position: u32,
    /// Position in its class, 1-based.
    class_position: u32,
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The drivers of the laps that count, in order of their first laps; without a lap, the drivers whose clients were in the car.
    #[schema(value_type = Vec<ShortId>)]
    drivers: Vec<DriverId>,
    /// Its car.
    #[serde(flatten)]
    car: Car,
    /// Entries whose drivers claim this car, where there are several, this entry among them; else empty.
    #[schema(value_type = Vec<ShortId>)]
    claimed_by: Vec<EntryId>,
    /// Number of laps that count.
    laps: u32,
    /// What became of it: `running`, `finished`, `retired`, `not_started`, `not_classified`, `disqualified`.
    #[schema(value_type = String, example = "finished")]
    status: &'static str,
    /// Why: `took_the_flag`, `race_stopped`, `set_a_time`, `no_time`, `left_the_car`, `in_the_pits`, `stopped`, `not_seen`,
    /// `did_not_take_the_flag`, `no_lap_begun`, `disqualify_flag`; `null` while it runs.
    #[schema(value_type = Option<String>, example = "took_the_flag")]
    why: Option<&'static str>,
    /// In a race, its status is `finished`.
    finished: bool,
    /// What decides its place (the last crossing; in practice and qualifying the best lap) is equal to that of another entry; who set it
    /// first is ahead.
    tied: bool,
    /// When it last crossed the line in a lap that counts, session time; `null` without a lap.
    finish_us: Option<i64>,
    /// Races: time from the light to `finish_us`.
    total_us: Option<i64>,
    /// Laps behind the winner.
    laps_down: u32,
    /// Time behind the winner; `null` if it is a lap or more behind. In practice and qualifying: by best laps.
    gap_us: Option<i64>,
    /// Time of its best valid lap that counts: the simulator's own where it reported one. Lap 1 of a race of several laps is none.
    best_lap_us: Option<i64>,
    /// Number of that lap.
    best_lap: Option<u32>,
}

/// `seen.dispute`: who claims the entry's car, if several do.
fn claimed_by(session: &SessionInfo, entry: EntryId) -> Vec<EntryId> {
    let disputes = session.disputes.iter().filter(|dispute| dispute.entries.contains(&entry));
    let claims: BTreeSet<EntryId> = disputes.flat_map(|dispute| dispute.entries.iter().copied()).collect();
    claims.into_iter().collect()
}

impl Row {
    fn of(row: timing::Classified, session: &SessionInfo) -> Self {
        Self {
            position: row.position,
            class_position: row.class_position,
            entry: row.entry,
            drivers: row.drivers,
            car: Car::of(session.meta.as_ref(), row.slot),
            claimed_by: claimed_by(session, row.entry),
            laps: row.laps,
            status: row.status.name(),
            why: row.why.map(timing::Why::name),
            finished: row.finished,
            tied: row.tied,
            finish_us: row.finish_us,
            total_us: row.total_us,
            laps_down: row.laps_down,
            gap_us: row.gap_us,
            best_lap_us: row.best_lap_us,
            best_lap: row.best_lap,
        }
    }
}
