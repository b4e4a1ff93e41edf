//! Watches the telemetry of results that are published: if their facts change, a provisional revision is published and an operator is told
//! (`result.revision`).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use boxbox_race::league::{DocKind, Scope, SessionSlug};
use boxbox_schemas::league::LeagueId;
use boxbox_schemas::{SessionId, TenantId};

use super::facts::of_telemetry;
use crate::app::App;
use crate::leagues::{Acting, Draft, Loaded, session_set};
use crate::problem::Problem;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(30);
/// Who it is in the ledger.
const ACTOR: &str = "server";

/// Leagues that it looks at each time beside those that were asked for last.
const FURTHER: u32 = 8;
/// Most sessions of which is known when they were written.
const WRITTEN_MAX: usize = 10_000;

/// Looks for as long as it runs: each time at the leagues that were asked for last, and at some of all others in turn.
pub(crate) async fn watch(app: &App) {
    let mut seen = Seen::default();
    loop {
        tokio::time::sleep(EVERY).await;
        look(app, &mut seen).await;
    }
}

/// What was looked at.
#[derive(Default)]
pub(crate) struct Seen {
    /// When each session of the telemetry was last written, as far as its league knows.
    written: HashMap<(TenantId, SessionId), i64>,
    /// The last of all leagues that was looked at in turn.
    last: Option<(TenantId, LeagueId)>,
}

/// Looks once.
pub(crate) async fn look(app: &App, seen: &mut Seen) {
    let Ok(leagues) = app.leagues() else { return };
    // What goes wrong was logged, and is tried again.
    let further = leagues.of_all_tenants(seen.last.as_ref(), FURTHER).await.unwrap_or_default();
    seen.last = further.last().copied();
    if seen.written.len() > WRITTEN_MAX {
        // Those that are open are looked at once more, which changes nothing.
        seen.written.clear();
    }
    let all: BTreeSet<(TenantId, LeagueId)> = leagues.known().into_iter().chain(further).collect();
    for (tenant, id) in all {
        let Ok(loaded) = leagues.league(&tenant, &id).await else { continue };
        let sessions: Vec<SessionSlug> = loaded.docs_of(DocKind::Session).filter_map(|(id, _)| id.parse().ok()).collect();
        for session in sessions.into_iter().filter(|session| loaded.league.published(Scope::Session(*session)).is_some()) {
            let _ = one(app, &tenant, &loaded, session, seen).await;
        }
    }
}

async fn one(app: &App, tenant: &TenantId, loaded: &Loaded, session: SessionSlug, seen: &mut Seen) -> Result<(), Problem> {
    let Some(set) = session_set(loaded, session) else { return Ok(()) };
    let mut written = vec![];
    for id in &set.telemetry {
        if let Some(info) = app.stored(app.sessions()?.session(tenant, id).await)? {
            written.push(((*tenant, *id), info.updated_at_us));
        }
    }
    if written.iter().all(|(id, at_us)| seen.written.get(id) == Some(at_us)) {
        return Ok(());
    }
    if let Some(facts) = of_telemetry(app, tenant, loaded, session).await?
        && loaded.league.facts_of(session) != Some(facts.digest())
    {
        let acting = Acting { tenant: *tenant, actor: ACTOR.into(), stewards: true, manages: true };
        let make = |_: &Loaded, _| Ok(Draft { facts: vec![(session, facts.clone())], ..Draft::default() });
        app.leagues()?.act(&acting, &loaded.id, None, make).await?;
    }
    seen.written.extend(written);
    Ok(())
}
