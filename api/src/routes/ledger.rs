//! `GET /api/v1/sessions/{session}/ledger`: where every frame of a session went (E1).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::{DriverId, RunId, results};
use serde::Serialize;

use super::sessions;
use crate::access::Reader;
use crate::app::App;
use crate::extract::{Path, SessionPath};
use crate::problem::Problem;

/// Each stream's account, by driver, then run.
pub(crate) async fn list(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<LedgerList>, Problem> {
    let ledgers = app.stored(app.results.ledgers(&reader.tenant, &path.session).await)?;
    if ledgers.is_empty() {
        sessions::find(&app, &reader.tenant, &path.session).await?;
    }
    Ok(Json(LedgerList { streams: ledgers.into_iter().map(Stream::of).collect() }))
}

#[derive(Serialize)]
pub(crate) struct LedgerList {
    streams: Vec<Stream>,
}

/// Sequence numbers count frames; other records take one each, a gap what it replaces.
#[derive(Serialize)]
struct Stream {
    driver: DriverId,
    run: RunId,
    /// Every sequence number below it is accounted for: `admitted`, `void`, `gap` and `hole` add up to it.
    expected: u64,
    admitted: u64,
    /// Of those, frames of the client's own car.
    car_frames: u64,
    /// Came again and were dropped.
    duplicate: u64,
    /// Came before earlier ones and were dropped; they come again.
    early: u64,
    /// Admitted after the session was closed.
    late: u64,
    /// Refused by an edge, by reason.
    void: BTreeMap<String, u64>,
    /// Given up by the client.
    gap: u64,
    /// Acked and not in the log: it must not happen.
    hole: u64,
    /// Records among the admitted that nobody could read.
    unreadable: u64,
    /// The client said that it is done.
    ended: bool,
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
