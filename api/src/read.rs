//! Reads what several routes need of a session: the session itself, its laps, its rows of one type, its cars.

use std::collections::BTreeMap;

use boxbox_race::timing::competitor;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{AnyRow, FlagChange, IncidentStep, Lap, PitVisit, Row, SessionInfo, SessionStateChange};
use boxbox_schemas::{EntryId, SessionId, TenantId};
use boxbox_store::{LapFilter, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Problem;

/// Laps read from the store at once.
const AT_ONCE: u32 = 2_000;
/// Fewest laps read at once where most are left out: so that a short page of a long session is not read lap by lap.
const AT_ONCE_MIN: u32 = 500;
/// Rows of one kind from which something is computed at most: each stream tells its own, so these are a thousand from each of 50 clients.
const ROWS_MAX: usize = 50_000;
/// Laps of a session from which its results are computed at most: 128 cars for 24 hours at 110 s a lap.
const LAPS_MAX: usize = 100_000;

/// The session, or 404, also if it is another tenant's.
pub(crate) async fn session(app: &App, tenant: &TenantId, session: &SessionId) -> Result<SessionInfo, Problem> {
    let found = app.stored(app.sessions()?.session(tenant, session).await)?;
    found.ok_or_else(|| Problem::not_found("There is no such session."))
}

/// The laps after `after` that `filter` and `matches` accept; `most` of them at most.
pub(crate) async fn matching_laps(
    app: &App,
    of: (&TenantId, &SessionId),
    filter: &LapFilter,
    mut after: Option<(EntryId, u32)>,
    most: usize,
    matches: impl Fn(&Lap) -> bool,
) -> Result<Vec<Lap>, Problem> {
    let mut laps: Vec<Lap> = vec![];
    loop {
        let found = app.stored(app.sessions()?.laps(of.0, of.1, filter, after, AT_ONCE.min(AT_ONCE_MIN.max(most as u32))).await)?;
        let last = found.last().map(|l| (l.entry, l.number));
        laps.extend(found.into_iter().filter(&matches));
        if last.is_none() || laps.len() >= most {
            laps.truncate(most);
            return Ok(laps);
        }
        after = last;
    }
}

/// All laps of a session.
pub(crate) async fn all_laps(app: &App, tenant: &TenantId, session: &SessionId) -> Result<Vec<Lap>, Problem> {
    let laps = matching_laps(app, (tenant, session), &LapFilter::default(), None, LAPS_MAX + 1, |_| true).await?;
    if laps.len() <= LAPS_MAX {
        return Ok(laps);
    }
    Err(Problem::unprocessable("session_too_long", format!("This session has more than {LAPS_MAX} laps, the most from which this can be computed.")))
}

/// A session with all its rows.
pub(crate) async fn view(app: &App, tenant: &TenantId, info: SessionInfo) -> Result<SessionView, Problem> {
    let session = &info.id;
    let rows = Rows {
        laps: all_laps(app, tenant, session).await?,
        flags: rows_of::<FlagChange>(app, tenant, session).await?,
        states: rows_of::<SessionStateChange>(app, tenant, session).await?,
        cars: app.stored(app.sessions()?.cars(tenant, session).await)?,
        pit_visits: rows_of::<PitVisit>(app, tenant, session).await?,
        incidents: rows_of::<IncidentStep>(app, tenant, session).await?,
    };
    Ok(SessionView::of(info).with(rows))
}

/// A car, as the simulator lists it; `null` where the simulator gives no value.
#[derive(Serialize, ToSchema, Clone)]
pub(crate) struct Car {
    /// Its slot in the simulator (iRacing: CarIdx).
    #[schema(example = 3)]
    slot: u16,
    /// Its number, as on the car.
    #[schema(example = "044")]
    car_number: Option<String>,
    /// Its driver now.
    #[schema(example = "Max Muster")]
    pub(crate) driver_name: Option<String>,
    /// Its team.
    team_name: Option<String>,
    /// Its make or model.
    #[schema(example = "Dallara F3")]
    car_name: Option<String>,
    /// The simulator's id of its class; 0 if it is not known.
    class_id: u32,
    /// The name of its class.
    class_name: Option<String>,
}

impl Car {
    /// The car in `slot`.
    pub(crate) fn of(meta: Option<&SessionMeta>, slot: u16) -> Self {
        let entry = competitor(meta, slot);
        let text_of = |text_of: fn(&MetaEntry) -> &String| entry.and_then(|e| text(text_of(e)));
        Self {
            slot,
            car_number: text_of(|e| &e.number),
            driver_name: text_of(|e| &e.driver_name),
            team_name: text_of(|e| &e.team_name),
            car_name: text_of(|e| &e.car_name),
            class_id: entry.map_or(0, |e| e.class_id),
            class_name: text_of(|e| &e.class_name),
        }
    }

    /// Whether the car is of `class`, a name or an id.
    pub(crate) fn is_of_class(&self, class: &str) -> bool {
        self.class_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(class)) || self.class_id.to_string() == class
    }
}

/// The cars of a class; the class of each slot is looked up once.
pub(crate) struct Class<'a> {
    class: &'a str,
    slots: BTreeMap<u16, bool>,
}

impl<'a> Class<'a> {
    /// The cars that are of `class` according to `meta`.
    pub(crate) fn of(meta: Option<&SessionMeta>, class: &'a str) -> Self {
        let slots = meta.iter().flat_map(|m| &m.entries).map(|e| (e.slot, Car::of(meta, e.slot).is_of_class(class)));
        Self { class, slots: slots.collect() }
    }

    /// Whether the car in `slot` is of the class.
    pub(crate) fn has(&self, slot: u16) -> bool {
        self.slots.get(&slot).copied().unwrap_or(self.class == "0")
    }
}

/// In metadata empty means absent; in JSON absent is `null`. A version before may have stored texts as they came (`session.plain`).
pub(crate) fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| boxbox_schemas::text::plain(text).into_owned())
}

/// A session's rows of one type, without those that are superseded.
pub(crate) async fn rows_of<T: Row>(app: &App, tenant: &TenantId, session: &SessionId) -> Result<Vec<T>, Problem> {
    // One more than may be, to see that there are more.
    let rows = app.stored(app.sessions()?.first_rows(tenant, session, T::KIND, ROWS_MAX as u32 + 1).await)?;
    if rows.len() > ROWS_MAX {
        let why = format!("This session has more than {ROWS_MAX} rows of the kind `{}`, the most from which this can be computed.", T::KIND.as_str());
        return Err(Problem::unprocessable("session_too_long", why));
    }
    app.stored(AnyRow::read_all(&rows).map_err(|e| StoreError::Unreadable(e.to_string())))
}
