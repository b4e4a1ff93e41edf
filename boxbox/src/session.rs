//! `boxbox session exclude` and `reinstate`: ask an API, which writes the record into its log (E9e, `session.exclude`).

use boxbox_schemas::event::Judging;
use boxbox_schemas::{DriverId, RunId, SessionId};

use crate::http::Api;
use crate::show::report;
use crate::show::stderr::note;

/// Whom to exclude from a session, or to reinstate.
#[derive(Clone, Debug)]
pub struct JudgeOptions {
    /// Which of both.
    pub code: Judging,
    /// Of which session.
    pub session: SessionId,
    /// Whom.
    pub driver: DriverId,
    /// One run only.
    pub run: Option<RunId>,
    /// Whom to ask.
    pub api: Api,
}

/// `session exclude`, `session reinstate`
pub async fn judge(options: &JudgeOptions) -> anyhow::Result<()> {
    let JudgeOptions { code, session, driver, run, api } = options;
    let what = if *code == Judging::EXCLUDED { "exclude" } else { "reinstate" };
    let run_param = run.map(|run| format!("&run={run}")).unwrap_or_default();
    // An id holds nothing that a URL reads otherwise.
    let told = api.done("POST", &format!("/api/v1/sessions/{session}/{what}?driver={driver}{run_param}"), "application/json", b"").await?;
    let of = run.map_or_else(String::new, |run| format!(", run {run}"));
    if told["in_session"] == false {
        let ids = "the ids of its drivers are those of its entries: GET /api/v1/sessions/SESSION/entries";
        note(&format!("boxbox: nothing of {driver}{of} is in session {session} so far: is the id right? ({ids})"));
    }
    report::line(&format!("{driver}{of} is {} session {session}: the results follow when the processor has read it", done(*code)));
    Ok(())
}

fn done(code: Judging) -> &'static str {
    if code == Judging::EXCLUDED { "excluded from" } else { "reinstated in" }
}
