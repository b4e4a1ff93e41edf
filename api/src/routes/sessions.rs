//! `GET /api/v1/sessions` and `GET /api/v1/sessions/{session}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{self, About, Conflict, FlagChange, Limited, SessionInfo, SessionStateChange};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId};
use boxbox_store::SessionCursor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, HexId, ShortId};
use crate::problem::Problem;
use crate::read::{self, text};

/// The tenant's sessions, newest first
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", operation_id = "listSessions", params(PageParams),
    responses((status = 200, description = "A page of the list", body = SessionList)))]
pub(crate) async fn list(reader: Reader, Params(page): Params<PageParams>, State(app): State<Arc<App>>) -> Result<Json<SessionList>, Problem> {
    let limit = rows(page.limit)?;
    let after = cursor::session(page.cursor.as_deref())?;
    let (mut sessions, mut next_cursor, mut more) = (vec![], None, after);
    // One more than is shown, to see that there are more.
    let mut left = limit + 1;
    while left > 0 {
        let wanted = left.min(AT_ONCE);
        let found = app.stored(app.sessions()?.sessions(&reader.tenant, more, wanted).await)?;
        left -= found.len() as u32;
        let whole = found.len() == wanted as usize;
        for info in found {
            if sessions.len() == limit as usize {
                return Ok(Json(SessionList { sessions, next_cursor }));
            }
            more = Some(SessionCursor { opened_at_us: info.opened_at_us, id: info.id });
            next_cursor = Some(cursor::of_session(&info));
            sessions.push(Session::of(info));
        }
        if !whole {
            break;
        }
    }
    Ok(Json(SessionList { sessions, next_cursor: None }))
}

/// Sessions read at once: the description of each has up to 32 KiB as a record, and some times that in memory.
const AT_ONCE: u32 = 25;

/// One session, with the cars in it
#[utoipa::path(get, path = "/api/v1/sessions/{session}", tag = "sessions", operation_id = "getSession", params(SessionPath),
    responses((status = 200, description = "The session", body = SessionPage)))]
pub(crate) async fn one(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<SessionPage>, Problem> {
    let info = read::session(&app, &reader.tenant, &path.session).await?;
    let tenant = &reader.tenant;
    let view = SessionView::of(info.clone()).with(Rows {
        flags: read::rows_of::<FlagChange>(&app, tenant, &path.session).await?,
        states: read::rows_of::<SessionStateChange>(&app, tenant, &path.session).await?,
        cars: app.stored(app.sessions()?.cars(tenant, &path.session).await)?,
        ..Rows::default()
    });
    let cars_claimed = info.disputes.iter().map(Dispute::of_car);
    let disputes = info.conflicts.iter().chain(&view.unheard()).map(Dispute::of).chain(cars_claimed).collect();
    let excluded = info.excluded.iter().map(|e| Excluded { driver: e.driver, run: e.run }).collect();
    let entries = info.meta.iter().flat_map(|meta| &meta.entries).map(Entry::of).collect();
    Ok(Json(SessionPage { session: Session::of(info), excluded, disputes, entries }))
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// Newest first.
    sessions: Vec<Session>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// A session with its cars.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionPage {
    #[serde(flatten)]
    session: Session,
    /// Whom a person has excluded: nothing that their clients reported counts.
    excluded: Vec<Excluded>,
    /// What clients told against each other, and what does not count of it: at most a few hundred. Honest clients may differ too.
    disputes: Vec<Dispute>,
    /// Cars, as the simulator lists them.
    entries: Vec<Entry>,
}

/// Somebody who was excluded from a session.
#[derive(Serialize, ToSchema)]
struct Excluded {
    /// The driver.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The run of the driver's client; `null`: all runs.
    #[schema(value_type = Option<HexId>)]
    run: Option<RunId>,
}

/// What some clients told of a session that others contradict (`session.disputes`).
#[derive(Serialize, ToSchema)]
struct Dispute {
    /// `description` (a value of the session), `slot` (who is in it), `car` (whose it is), `team` (who is in it), `lap`, `state`, `flag`.
    #[schema(example = "description")]
    about: &'static str,
    /// Which value: `session_type`, `t:12`, `checkered`; for laps and cars, whose.
    #[schema(example = "session_type")]
    what: String,
    /// Which slot, if one is meant.
    slot: Option<u16>,
    /// Whose clients told it, and it does not count; the first eight.
    #[schema(value_type = Vec<ShortId>)]
    told_by: Vec<DriverId>,
    /// Whose clients told otherwise; the first eight. Of laps it is not said.
    #[schema(value_type = Vec<ShortId>)]
    against: Vec<DriverId>,
    /// For a car: the entries that it is claimed for.
    #[schema(value_type = Vec<ShortId>)]
    claimed_for: Vec<EntryId>,
    /// How many laps, where laps are meant; else how many drivers told it.
    count: u32,
}

impl Dispute {
    fn of(conflict: &Conflict) -> Self {
        let Conflict { what, slot, by, against, count, .. } = conflict.clone();
        Self { about: conflict.about.name(), what, slot, told_by: by, against, claimed_for: vec![], count }
    }

    fn of_car(car: &results::Dispute) -> Self {
        let (about, count) = (About::Car.name(), u32::try_from(car.entries.len()).unwrap_or(u32::MAX));
        Self { about, what: car.seen_as.to_string(), slot: None, told_by: vec![], against: vec![], claimed_for: car.entries.clone(), count }
    }
}

/// One session of one lobby of one simulator.
#[derive(Serialize, ToSchema)]
struct Session {
    /// Its id.
    #[schema(value_type = HexId)]
    id: SessionId,
    /// `iracing`, `synthetic`, …
    #[schema(example = "iracing")]
    sim: &'static str,
    /// The simulator's id of the lobby, 32 hexadecimal digits.
    source_id: String,
    /// Practice, qualifying and race of one lobby have different numbers.
    session_num: u32,
    /// When its first record was received, Unix time.
    opened_at_us: i64,
    /// When its last record was received, Unix time.
    updated_at_us: i64,
    /// The simulator's session time so far.
    sim_time_us: i64,
    /// Its results are final; frames that come later are kept and change nothing unless the session is opened again.
    closed: bool,
    /// The version of the rules by which its results were computed; `boxbox recompute` computes an old session again.
    #[schema(example = 2)]
    rules: u32,
    /// It is closed because no client has sent for a while: it opens again by itself when frames of it come.
    closed_by_silence: bool,
    /// `practice`, `qualify`, `race`, …, as the simulator names it.
    session_type: Option<String>,
    /// `road`, `oval`, …
    category: Option<String>,
    /// Number of laps of a race, if laps limit it.
    laps_limit: Option<u32>,
    /// Time limit, if time limits it.
    time_limit_us: Option<i64>,
    /// Whether teams compete, with several drivers to a car.
    team_racing: Option<bool>,
    /// The track; `null` until a client has described the session.
    track: Option<Track>,
    /// What was refused because a driver exceeded a bound of what one driver may make a server keep and work; empty in every honest session.
    limited: Vec<Refused>,
}

/// What was refused of one driver, because of one bound.
#[derive(Serialize, ToSchema)]
struct Refused {
    /// The driver.
    driver: String,
    /// `sessions`, `runs`, `laps`, `rows`, `meta` or `kept`; `work`: streams that make no more laps.
    #[schema(example = "runs")]
    bound: String,
    /// How many records, laps, rows, descriptions or streams.
    refused: u64,
}

/// A track.
#[derive(Serialize, ToSchema)]
struct Track {
    /// The simulator's id of it.
    id: u32,
    /// Its name.
    #[schema(example = "Phillip Island Circuit")]
    name: Option<String>,
    /// Its configuration.
    config: Option<String>,
    /// Length of the lap.
    #[schema(example = 4406.9)]
    length_m: Option<f64>,
    /// Where sectors start, as fractions of the lap.
    sector_starts: Vec<f64>,
    /// Speed limit of the pit lane.
    pit_limit_mps: Option<f32>,
}

/// A car of the session, as the simulator lists it. A lap refers to it by `slot`.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedCar)]
struct Entry {
    /// Its slot; it is reused after a driver has left.
    slot: u16,
    /// Its number, as on the car.
    number: Option<String>,
    /// Its driver now.
    driver_name: Option<String>,
    /// Its team.
    team_name: Option<String>,
    /// Its make or model.
    car_name: Option<String>,
    /// Its class.
    class_name: Option<String>,
    /// `car`, `pace_car`, `spectator` or `ai`.
    kind: &'static str,
}

impl Session {
    fn of(info: SessionInfo) -> Self {
        let meta = info.meta.as_ref();
        Self {
            id: info.id,
            sim: info.source.sim.name(),
            source_id: format!("{:032x}", info.source.id),
            session_num: info.source.session_num,
            opened_at_us: info.opened_at_us,
            updated_at_us: info.updated_at_us,
            sim_time_us: info.sim_time_us,
            closed: info.closed,
            rules: info.rules,
            closed_by_silence: info.provisional,
            session_type: meta.and_then(|m| text(&m.session_type)),
            category: meta.and_then(|m| text(&m.category)),
            laps_limit: meta.map(|m| m.laps_limit).filter(|laps| *laps > 0),
            time_limit_us: meta.map(|m| m.time_limit_us).filter(|limit| *limit > 0),
            team_racing: meta.map(|m| m.team_racing == 1),
            track: meta.map(Track::of),
            limited: info.limited.iter().map(Refused::of).collect(),
        }
    }
}

impl Refused {
    fn of(limited: &Limited) -> Self {
        Self { driver: limited.driver.to_string(), bound: limited.bound.clone(), refused: limited.refused }
    }
}

impl Track {
    fn of(meta: &SessionMeta) -> Self {
        Self {
            id: meta.track_id,
            name: text(&meta.track_name),
            config: text(&meta.track_config),
            length_m: Some(meta.track_length_m).filter(|m| *m > 0.0),
            sector_starts: meta.sector_starts.clone(),
            pit_limit_mps: Some(meta.pit_limit_mps).filter(|v| *v > 0.0),
        }
    }
}

impl Entry {
    fn of(entry: &MetaEntry) -> Self {
        Self {
            slot: entry.slot,
            number: text(&entry.number),
            driver_name: text(&entry.driver_name),
            team_name: text(&entry.team_name),
            car_name: text(&entry.car_name),
            class_name: text(&entry.class_name),
            kind: match entry.special {
                1 => "pace_car",
                2 => "spectator",
                3 => "ai",
                _ => "car",
            },
        }
    }
}
