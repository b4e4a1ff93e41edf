//! Watches the telemetry of results that are published: if their facts change, a provisional revision is published and an operator is told
//! (`result.revision`).

use std::collections::HashMap;
use std::time::Duration;

use boxbox_race::league::{DocKind, Scope, SessionSlug};
use boxbox_schemas::{SessionId, TenantId};

use super::facts::of_telemetry;
use crate::app::App;
use crate::leagues::{Acting, Draft, Loaded, session_set};
use crate::problem::Problem;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(30);
/// Who it is in the ledger.
const ACTOR: &str = "server";

/// Looks for as long as it runs, at the leagues that somebody asked for since this process started.
pub(crate) async fn watch(app: &App) {
    let mut seen = Seen::new();
    loop {
        tokio::time::sleep(EVERY).await;
        look(app, &mut seen).await;
    }
}

/// When each session of the telemetry was last written, as far as its league knows.
pub(crate) type Seen = HashMap<(TenantId, SessionId), i64>;

/// Looks once.
pub(crate) async fn look(app: &App, seen: &mut Seen) {
    let Ok(leagues) = app.leagues() else { return };
    let known = leagues.known();
    seen.retain(|(tenant, _), _| known.iter().any(|(of, _)| of == tenant));
    for (tenant, id) in known {
        let Ok(loaded) = leagues.league(&tenant, &id).await else { continue };
        let sessions: Vec<SessionSlug> = loaded.docs_of(DocKind::Session).filter_map(|(id, _)| id.parse().ok()).collect();
        for session in sessions.into_iter().filter(|session| loaded.league.published(Scope::Session(*session)).is_some()) {
            // What goes wrong was logged, and is tried again.
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
    if written.iter().all(|(id, at_us)| seen.get(id) == Some(at_us)) {
        return Ok(());
    }
    if let Some(facts) = of_telemetry(app, tenant, loaded, session).await?
        && loaded.league.facts_of(session) != Some(facts.digest())
    {
        let acting = Acting { tenant: *tenant, actor: ACTOR.into(), stewards: true, manages: true };
        let make = |_: &Loaded, _| Ok(Draft { facts: vec![(session, facts.clone())], ..Draft::default() });
        app.leagues()?.act(&acting, &loaded.id, None, make).await?;
    }
    seen.extend(written);
    Ok(())
}
