//! `GET /api/v1/sessions/{session}/race-control`: formation, cautions, red flags, penalties (`control.caution`, `penalty.served`).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::EntryId;
use boxbox_schemas::results::{FlagChange, PitVisit, SessionStateChange};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::extract::{Path, SessionPath};
use crate::openapi::ShortId;
use crate::problem::Problem;
use crate::read;

/// Formation, cautions, red flags and penalties
#[utoipa::path(get, path = "/api/v1/sessions/{session}/race-control", tag = "timing", operation_id = "getRaceControl", params(SessionPath),
    responses((status = 200, description = "What race control did", body = RaceControl), (status = 422, description = "`session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn race_control(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<RaceControl>, Problem> {
    let (tenant, id) = (&reader.tenant, &path.session);
    let session = read::session(&app, tenant, id).await?;
    let rows = Rows {
        laps: read::all_laps(&app, tenant, id).await?,
        flags: read::rows_of::<FlagChange>(&app, tenant, id).await?,
        states: read::rows_of::<SessionStateChange>(&app, tenant, id).await?,
        pit_visits: read::rows_of::<PitVisit>(&app, tenant, id).await?,
        cars: app.stored(app.sessions()?.cars(tenant, id).await)?,
        ..Rows::default()
    };
    Ok(Json(RaceControl::of(SessionView::of(session).with(rows).race_control())))
}

/// What race control did in a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct RaceControl {
    /// How the race began; `null` if no client saw the field before the green flag, and if the session is no race.
    formation: Option<Formation>,
    /// Number of full-course cautions.
    cautions_count: u32,
    /// Laps of the leader under caution.
    caution_laps: u32,
    /// Full-course cautions of a race, by time.
    cautions: Vec<Caution>,
    /// Red flags, by time.
    red_flags: Vec<RedFlag>,
    /// Black flags, by time.
    penalties: Vec<Penalty>,
}

impl RaceControl {
    fn of(control: timing::RaceControl) -> Self {
        Self {
            formation: control.formation.map(|f| Formation { from_us: f.from_us, until_us: f.until_us }),
            cautions_count: u32::try_from(control.cautions.len()).unwrap_or(u32::MAX),
            caution_laps: control.caution_laps(),
            cautions: control.cautions.into_iter().map(Caution::of).collect(),
            red_flags: control.red_flags.into_iter().map(RedFlag::of).collect(),
            penalties: control.penalties.into_iter().map(Penalty::of).collect(),
        }
    }
}

/// The time before the green flag.
#[derive(Serialize, ToSchema)]
struct Formation {
    /// When the field set off for its parade laps; in a start without them, when the warm-up began; session time. `null` if no client was
    /// shown that.
    from_us: Option<i64>,
    /// When it turned green, session time; `null` while it has not.
    until_us: Option<i64>,
}

/// A full-course caution.
#[derive(Serialize, ToSchema)]
struct Caution {
    /// Its number, from 1.
    number: u32,
    /// When it came out, session time.
    from_us: i64,
    /// When it ended; `null` while it lasts.
    until_us: Option<i64>,
    /// The leader's lap when it came out.
    first_lap: u32,
    /// The leader's lap when it ended; its lap now, while it lasts.
    last_lap: u32,
    /// Laps of the leader under it, the first and the last one included.
    laps: u32,
}

impl Caution {
    fn of(caution: timing::Caution) -> Self {
        let timing::Caution { number, from_us, until_us, first_lap, last_lap } = caution;
        Self { number, from_us, until_us, first_lap, last_lap, laps: caution.laps() }
    }
}

/// A red flag.
#[derive(Serialize, ToSchema)]
struct RedFlag {
    /// Its number, from 1.
    number: u32,
    /// When it came out, session time.
    from_us: i64,
    /// When it ended; `null` while it is out.
    until_us: Option<i64>,
}

impl RedFlag {
    fn of(red: timing::RedFlag) -> Self {
        let timing::RedFlag { number, from_us, until_us } = red;
        Self { number, from_us, until_us }
    }
}

/// A black flag: a penalty to serve.
#[derive(Serialize, ToSchema)]
struct Penalty {
    /// The entry to which it was shown.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// When it was shown, session time.
    from_us: i64,
    /// When it was cleared; `null` while it is shown.
    until_us: Option<i64>,
    /// `open`, `drive_through`, `stop_and_go`, `withdrawn`, `disqualified`.
    #[schema(example = "drive_through")]
    outcome: &'static str,
    /// When the car came into the pits to serve it; `null` if it did not.
    served_us: Option<i64>,
}

impl Penalty {
    fn of(penalty: timing::Penalty) -> Self {
        let timing::Penalty { entry, from_us, until_us, outcome, served_us } = penalty;
        Self { entry, from_us, until_us, outcome: outcome.name(), served_us }
    }
}
