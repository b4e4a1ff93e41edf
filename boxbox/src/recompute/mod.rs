//! `recompute`: stored sessions are computed again from the archive, with the rules of this version, and compared with what is stored.
//!
//! With `--apply` the new results replace the stored ones in one step of their partition, under a new lease: a processor that runs
//! meanwhile is fenced (E5a), and reads the state again when it next takes the partition. The embedded profile has one owner of the data
//! folder, so there nothing else may run. A session whose archive is not whole is left as it is.

mod differences;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use boxbox_processor::recompute::{Reached, recompute};
use boxbox_race::RULES_VERSION;
use boxbox_schemas::results::{Checkpoint, SessionInfo, Step};
use boxbox_schemas::{SessionId, TenantId};
use boxbox_store::{SessionCursor, StoreError, StoredSession};

use self::differences::differences;
use crate::data::DataFolder;
use crate::node::stores::{self, Opened, StoreOptions};
use crate::show::report;

/// Sessions listed at once.
const SESSIONS_AT_ONCE: u32 = 100;
/// How often the partition may be taken by a processor between the lease and the commit.
const ATTEMPTS: u32 = 5;

/// What `recompute` does.
pub struct RecomputeOptions {
    /// Which sessions.
    pub which: Which,
    /// Write the new results.
    pub apply: bool,
    /// Whose sessions.
    pub tenant: TenantId,
    /// The data folder.
    pub data: PathBuf,
    /// The stores.
    pub stores: StoreOptions,
}

/// Which sessions are computed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// This one.
    One(SessionId),
    /// Every one of the tenant.
    All,
}

/// `recompute`
pub async fn run(options: RecomputeOptions) -> anyhow::Result<()> {
    // Files have one owner; servers are shared, with a lock of this command's own.
    let role = match options.stores {
        StoreOptions::Files => {
            ensure!(
                options.data.join("results.db").exists(),
                "there are no results in {}: choose another folder with --data",
                options.data.display()
            );
            None
        }
        StoreOptions::Servers(_) => Some("recompute"),
    };
    let folder = DataFolder::open(&options.data, role)?;
    let opened = stores::open(&options.stores, &folder).await?;
    let sessions = match options.which {
        Which::One(session) => vec![session],
        Which::All => all(&opened, &options.tenant).await?,
    };
    let (mut failed, total) = (0, sessions.len());
    for session in sessions {
        if let Err(error) = one(&opened, &options, session).await {
            failed += 1;
            report::line(&format!("session {session}: not computed again: {error:#}"));
        }
    }
    ensure!(failed == 0, "{failed} of {total} sessions were not computed again");
    Ok(())
}

async fn all(opened: &Opened, tenant: &TenantId) -> anyhow::Result<Vec<SessionId>> {
    let (mut sessions, mut after) = (vec![], None);
    loop {
        let page = opened.sessions.sessions(tenant, after, SESSIONS_AT_ONCE).await.context("cannot list the sessions")?;
        let Some(last) = page.last() else { return Ok(sessions) };
        after = Some(SessionCursor { opened_at_us: last.opened_at_us, id: last.id });
        sessions.extend(page.into_iter().map(|info| info.id));
    }
}

async fn one(opened: &Opened, options: &RecomputeOptions, session: SessionId) -> anyhow::Result<()> {
    let stored = opened.steps.stored(&session).await?.filter(|stored| stored.info.tenant == options.tenant);
    let stored = stored.with_context(|| format!("tenant {} has no such session", options.tenant))?;
    let reached: Reached = stored.ledgers.iter().map(|l| ((l.stream.driver, l.stream.run), l.expected)).collect();
    let computed = recompute(&*opened.archive, options.tenant, session, &reached).await?;
    if let Err(missing) = computed.complete(&stored.info, &stored.ledgers) {
        bail!("its archive is not whole: {missing}");
    }
    let step = replacement(&stored, computed.step);
    let different = differences(&stored, &step);
    let rules = match stored.info.rules {
        RULES_VERSION => format!("rules {RULES_VERSION}"),
        before => format!("rules {before}, now {RULES_VERSION}"),
    };
    let count = match different.len() {
        0 => "no difference".to_owned(),
        1 => "1 difference".to_owned(),
        n => format!("{n} differences"),
    };
    report::line(&format!("session {session}: {rules}: {count}"));
    differences::table(&different).iter().for_each(|line| report::line(line));
    if options.apply {
        apply(opened, &stored, step).await?;
        report::line(&format!("session {session}: the new results are stored"));
    }
    Ok(())
}

/// The step that replaces what is stored of the session.
fn replacement(stored: &StoredSession, computed: Step) -> Step {
    let kept = |info: SessionInfo| SessionInfo { opened_at_us: stored.info.opened_at_us, updated_at_us: stored.info.updated_at_us, ..info };
    let gone = stored.laps.iter().filter(|lap| !computed.laps.iter().any(|new| (new.entry, new.number) == (lap.entry, lap.number)));
    Step {
        checkpoint: stored.checkpoint.clone(),
        replaced: vec![stored.info.id],
        withdrawn: gone.map(|lap| (lap.session, lap.entry, lap.number)).collect(),
        sessions: computed.sessions.into_iter().map(kept).collect(),
        // What it could not process is in the quarantine already, by its place in the log.
        quarantine: vec![],
        ..computed
    }
}

/// Commit `step`, if nothing has come to the session since it was compared.
async fn apply(opened: &Opened, compared: &StoredSession, step: Step) -> anyhow::Result<()> {
    let steps = &opened.steps;
    let Checkpoint { log, partition, .. } = &compared.checkpoint;
    for _ in 0..ATTEMPTS {
        let lease = steps.acquire(log, *partition).await?;
        let now = steps.stored(&compared.info.id).await?;
        let now = now.context("the session is gone")?;
        ensure!(now.ledgers == compared.ledgers && now.info == compared.info, "records of it came meanwhile: try again, or when it is closed");
        let outcome = steps.commit(&lease, &Step { checkpoint: now.checkpoint, ..step.clone() }).await;
        steps.release(&lease).await?;
        match outcome {
            // A processor has taken the partition in between.
            Err(StoreError::Fenced { .. }) => {}
            outcome => return Ok(outcome?),
        }
    }
    bail!("its partition is taken again and again: stop the processors, or try again");
}
