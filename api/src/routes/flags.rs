//! `GET /api/v1/sessions/{session}/flags`: the flags that were shown, each with its time span (`flag.course`, `flag.car`).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::EntryId;
use boxbox_schemas::results::{FlagChange, SessionStateChange};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, ShortId};
use crate::problem::Problem;
use crate::read;

/// Flags with their time spans, by time
#[utoipa::path(get, path = "/api/v1/sessions/{session}/flags", tag = "timing", operation_id = "listFlags", params(SessionPath, PageParams),
    responses((status = 200, description = "A page of the list", body = FlagList)))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(page): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<FlagList>, Problem> {
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let flags = read::rows_of::<FlagChange>(&app, &reader.tenant, &path.session).await?;
    let states = read::rows_of::<SessionStateChange>(&app, &reader.tenant, &path.session).await?;
    let cars = app.stored(app.sessions()?.cars(&reader.tenant, &path.session).await)?;
    // No entry becomes empty text, which sorts before every entry.
    let sort_key = |s: &timing::FlagSpan| (s.from_us, s.flag.0, s.entry.map_or(String::new(), |e| e.to_string()));
    let spans = SessionView::of(session).with(Rows { flags, states, cars, ..Rows::default() }).flag_spans();
    let (spans, next_cursor) = cursor::page(spans, page.cursor.as_deref(), rows(page.limit)?, sort_key)?;
    Ok(Json(FlagList { flags: spans.into_iter().map(Flag::of).collect(), next_cursor }))
}

/// A page of flags.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlagList {
    /// By the time they were first shown.
    flags: Vec<Flag>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// One flag and its time span.
#[derive(Serialize, ToSchema)]
#[schema(as = FlagSpan)]
struct Flag {
    /// `green`, `yellow`, `blue`, `checkered`, …
    #[schema(example = "yellow")]
    flag: String,
    /// The entry to which it was shown; `null`: to all.
    #[schema(value_type = Option<ShortId>)]
    entry: Option<EntryId>,
    /// When it was first shown, session time.
    from_us: i64,
    /// When it was last shown, session time; `null` while it is shown.
    until_us: Option<i64>,
}

impl Flag {
    fn of(span: timing::FlagSpan) -> Self {
        Self { flag: span.flag.names().join("+"), entry: span.entry, from_us: span.from_us, until_us: span.until_us }
    }
}
