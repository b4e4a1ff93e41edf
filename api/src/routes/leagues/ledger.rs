//! `…/ledger`: every act of a league.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::paths::LeaguePath;
use crate::app::App;
use crate::extract::{Params, Path, rows};
use crate::leagues::Acting;
use crate::problem::Problem;

/// Largest number that JSON of any client keeps.
const AFTER_MAX: u64 = 9_007_199_254_740_991;

/// `?after=…&limit=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerParams {
    /// Acts behind this number; by default from the first
    #[param(minimum = 0, maximum = 9_007_199_254_740_991u64, example = 100)]
    after: Option<u64>,
    /// Rows at most; 100 by default
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
}

/// The ledger of a league: its acts in order, in a chain of hashes
///
/// For stewards and admins. There is no name and no free text in it. `boxbox ledger verify` checks it on the server.
#[utoipa::path(get, path = "/api/v1/leagues/{league}/ledger", tag = "leagues", operation_id = "listActs", params(LeaguePath, LedgerParams),
    responses((status = 200, description = "`acts` with number, time, actor, kind, body and hashes; `next` is `after` of the next page, `null` on the last", body = Value)))]
pub(crate) async fn list(
    acting: Acting,
    Path(path): Path<LeaguePath>,
    Params(params): Params<LedgerParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Value>, Problem> {
    acting.need_steward()?;
    let after = params.after.unwrap_or(0);
    if after > AFTER_MAX {
        return Err(Problem::bad_request("bad_query", format!("`after` is at most {AFTER_MAX}.")));
    }
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, &path.league).await?;
    let found = leagues.acts(&acting.tenant, &path.league, after, rows(params.limit)?).await?;
    let next = found.last().map(|row| row.seq).filter(|last| *last < loaded.head.seq);
    let acts: Vec<Value> = found
        .into_iter()
        .map(|row| {
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            json!({ "seq": row.seq, "at_us": row.at_us, "actor": row.actor, "kind": row.kind, "body": body, "previous": row.previous, "hash": row.hash })
        })
        .collect();
    Ok(Json(json!({ "acts": acts, "next": next })))
}
