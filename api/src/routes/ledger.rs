//! `GET /api/v1/sessions/{session}/ledger`: where every frame of a session went (E1).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::{DriverId, RunId, results};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, HexId, ShortId};
use crate::problem::Problem;
use crate::read;

/// Where every frame of a session went: each stream's account, by driver, then run
#[utoipa::path(get, path = "/api/v1/sessions/{session}/ledger", tag = "accounts", operation_id = "listLedgers", params(SessionPath, LedgerParams),
    responses((status = 200, description = "A page of the list", body = LedgerList)))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(params): Params<LedgerParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<LedgerList>, Problem> {
    let mut ledgers = app.stored(app.sessions()?.ledgers(&reader.tenant, &path.session).await)?;
    if ledgers.is_empty() {
        read::session(&app, &reader.tenant, &path.session).await?;
    }
    ledgers.retain(|l| params.driver.is_none_or(|d| l.stream.driver == d) && params.run.is_none_or(|r| l.stream.run == r));
    let (ledgers, next_cursor) = cursor::page(ledgers, params.cursor.as_deref(), rows(params.limit)?, |l| (l.stream.driver, l.stream.run))?;
    Ok(Json(LedgerList { streams: ledgers.into_iter().map(Stream::of).collect(), next_cursor }))
}

/// `?driver=…&run=…&cursor=…&limit=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerParams {
    /// Streams of this driver only
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9_.:-]{1,40}$", example = "max")]
    driver: Option<DriverId>,
    /// Streams of this run only
    #[param(value_type = Option<String>, pattern = "^[0-9a-fA-F]{32}$", example = "07070707070707070707070707070707")]
    run: Option<RunId>,
    /// `next_cursor` of the page before; by default the first page
    cursor: Option<String>,
    /// Rows at most; 100 by default
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerList {
    /// By driver, then run.
    streams: Vec<Stream>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// The account of one stream.
///
/// Each frame takes one sequence number, any other record takes one, and a gap takes the range that it replaces.
#[derive(Serialize, ToSchema)]
struct Stream {
    /// The driver whose stream it is.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The run of the stream.
    #[schema(value_type = HexId)]
    run: RunId,
    /// Every sequence number below it is accounted for: `admitted`, `void`, `gap` and `hole` add up to it.
    expected: u64,
    /// Sequence numbers that were processed.
    admitted: u64,
    /// How many of them are frames of the client's own car.
    car_frames: u64,
    /// Received again, and dropped.
    duplicate: u64,
    /// Received before earlier ones, and dropped; the client sends them again.
    early: u64,
    /// Admitted after the session was closed.
    late: u64,
    /// Refused by an edge, by reason.
    void: BTreeMap<String, u64>,
    /// Given up by the client.
    gap: u64,
    /// Acked but not in the log, which must not happen.
    hole: u64,
    /// Admitted records that could not be read.
    unreadable: u64,
    /// The client has ended the stream.
    ended: bool,
    /// Whether every sequence number below `expected` is accounted for.
    balances: bool,
}

impl Stream {
    fn of(ledger: results::Ledger) -> Self {
        Self {
            balances: ledger.balances(),
            driver: ledger.stream.driver,
            run: ledger.stream.run,
            expected: ledger.expected,
            admitted: ledger.admitted,
            car_frames: ledger.car_frames,
            duplicate: ledger.duplicate,
            early: ledger.early,
            late: ledger.late,
            void: ledger.void.into_iter().collect(),
            gap: ledger.gap,
            hole: ledger.hole,
            unreadable: ledger.unreadable,
            ended: ledger.ended,
        }
    }
}
