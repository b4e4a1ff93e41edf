//! [`LeagueService`]: reads leagues, keeps what was read, and writes what is decided.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use boxbox_race::league::{DocKind, Facts, Published, Scope};
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{self as stored, ActRow, Chain, Head, IdempotencyKey, LeagueId, Revision, RevisionInfo, Written};
use boxbox_schemas::limits::LEAGUE_ANSWER_MAX_BYTES;
use boxbox_store::{Leagues, StoreError};
use parking_lot::Mutex;
use serde_json::Value;

use super::draft::{Asked, Draft};
use super::incoming::random;
use super::loaded::{AllFacts, Loaded};
use super::names::Names;
use super::prepare::{Latest, Prepared, SALT_OWNER, Salt, follow, prepare, revision_of};
use super::rights::Acting;
use crate::metrics::ApiMetrics;
use crate::problem::Problem;
use crate::stored::stored;

/// Leagues that are kept in memory.
const KEPT_MAX: usize = 32;
/// How often a decision is made again because others were written meanwhile.
const ATTEMPTS: u32 = 12;
/// Rows read at once.
const AT_ONCE: u32 = 1_000;
/// Leagues that are loaded at once, by their hash: one that is large delays few others.
const LOADING: usize = 16;

/// Reads and writes leagues.
pub(crate) struct LeagueService {
    store: Arc<dyn Leagues>,
    metrics: ApiMetrics,
    kept: Mutex<Kept>,
    loading: [tokio::sync::Mutex<()>; LOADING],
}

#[derive(Default)]
struct Kept {
    by: HashMap<(TenantId, LeagueId), (u64, Arc<Loaded>)>,
    clock: u64,
}

impl LeagueService {
    pub(crate) fn new(store: Arc<dyn Leagues>, metrics: ApiMetrics) -> Self {
        Self { store, metrics, kept: Mutex::default(), loading: std::array::from_fn(|_| tokio::sync::Mutex::default()) }
    }

    fn stored<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        stored(&self.metrics, answer)
    }

    /// A league as it is now, or 404.
    pub(crate) async fn league(&self, tenant: &TenantId, id: &LeagueId) -> Result<Arc<Loaded>, Problem> {
        self.load(tenant, id).await?.ok_or_else(|| Problem::not_found("There is no such league."))
    }

    /// A league as it is now, if it is there.
    async fn load(&self, tenant: &TenantId, id: &LeagueId) -> Result<Option<Arc<Loaded>>, Problem> {
        let Some(head) = self.stored(self.store.head(tenant, id).await)? else { return Ok(None) };
        if let Some(kept) = self.kept(tenant, id).filter(|kept| kept.head == head) {
            return Ok(Some(kept));
        }
        let mut hasher = DefaultHasher::new();
        (tenant, id).hash(&mut hasher);
        let _one = self.loading[hasher.finish() as usize % LOADING].lock().await;
        let kept = self.kept(tenant, id);
        // Another request may have loaded it meanwhile. What is farther than the store is of before the store was put back to an earlier time.
        let Some(head) = self.stored(self.store.head(tenant, id).await)? else { return Ok(None) };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.head == head) {
            return Ok(Some(kept.clone()));
        }
        let kept = kept.filter(|kept| kept.head.seq < head.seq);
        let loaded = match kept {
            // Acts that came since follow the ones that are known; if they do not, the store was put back to an earlier time.
            Some(kept) => match self.read(tenant, id, Some(&kept)).await {
                Err(Unread::Broken(_)) => self.read(tenant, id, None).await,
                read => read,
            },
            None => self.read(tenant, id, None).await,
        };
        let loaded = Arc::new(loaded.map_err(Unread::problem)?);
        self.keep(tenant, loaded.clone());
        Ok(Some(loaded))
    }

    fn kept(&self, tenant: &TenantId, id: &LeagueId) -> Option<Arc<Loaded>> {
        let mut kept = self.kept.lock();
        kept.clock += 1;
        let now = kept.clock;
        kept.by.get_mut(&(*tenant, *id)).map(|(used, loaded)| {
            *used = now;
            loaded.clone()
        })
    }

    /// The leagues that are kept.
    pub(crate) fn known(&self) -> Vec<(TenantId, LeagueId)> {
        self.kept.lock().by.keys().copied().collect()
    }

    fn keep(&self, tenant: &TenantId, loaded: Arc<Loaded>) {
        let mut kept = self.kept.lock();
        kept.clock += 1;
        let now = kept.clock;
        kept.by.insert((*tenant, loaded.id), (now, loaded));
        while kept.by.len() > KEPT_MAX {
            let Some(oldest) = kept.by.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key) else { return };
            kept.by.remove(&oldest);
        }
    }

    /// A league from its rows, behind those of `before`.
    async fn read(&self, tenant: &TenantId, id: &LeagueId, before: Option<&Loaded>) -> Result<Loaded, Unread> {
        let mut league = before.map(|before| before.league.clone()).unwrap_or_default();
        let mut chain = Chain::behind(*tenant, *id, before.map(|before| before.head).unwrap_or_default());
        loop {
            let rows = self.stored(self.store.acts(tenant, id, chain.head().seq, AT_ONCE).await).map_err(Unread::Problem)?;
            if rows.is_empty() {
                break;
            }
            rows.iter().try_for_each(|row| chain.follow(row)).map_err(|fault| Unread::Broken(fault.to_string()))?;
            follow(&mut league, &rows).map_err(|(seq, refusal)| Unread::Broken(format!("act {seq} cannot be read: {refusal}")))?;
        }
        let salt = match before.and_then(|before| before.salt) {
            Some(salt) => Some(salt),
            None => {
                let found = self.stored(self.store.texts_of(tenant, id, Some(SALT_OWNER), None, 1).await).map_err(Unread::Problem)?;
                found.first().map(|text| text.salt)
            }
        };
        Ok(Loaded::new(*id, chain.head(), league, salt, before.and_then(Loaded::known_facts)))
    }

    /// The facts of all sessions of a league.
    pub(crate) async fn facts(&self, tenant: &TenantId, loaded: &Loaded) -> Result<Arc<AllFacts>, Problem> {
        let load = async {
            let mut all = loaded.facts_before.as_deref().cloned().unwrap_or_default();
            let mut changed = loaded.facts_before.is_none();
            let sessions = loaded.docs_of(DocKind::Session).filter_map(|(id, _)| id.parse().ok());
            for session in sessions.collect::<Vec<_>>() {
                let Some(digest) = loaded.league.facts_of(session) else { continue };
                if all.digests.get(&session) == Some(&digest) {
                    continue;
                }
                changed = true;
                let found = self.stored(self.store.facts(tenant, &loaded.id, &stored::Digest(digest.0)).await)?;
                let found = found.and_then(|found| serde_json::from_str::<Facts>(&found.body).ok()).filter(|facts| facts.digest() == digest);
                let Some(facts) = found else {
                    tracing::error!(league = %loaded.id, %session, %digest, "the facts of a session are missing or cannot be read");
                    return Err(Problem::unprocessable(
                        "facts_missing",
                        format!("The facts of session {session} are not in the store: send them again."),
                    ));
                };
                all.of.insert(session, facts);
                all.digests.insert(session, digest);
            }
            match (&loaded.facts_before, changed) {
                (Some(same), false) => Ok(same.clone()),
                _ => Ok(Arc::new(all)),
            }
        };
        loaded.facts.get_or_try_init(|| load).await.cloned()
    }

    /// The names of a league.
    pub(crate) async fn names(&self, tenant: &TenantId, loaded: &Loaded) -> Result<Arc<Names>, Problem> {
        let load = async {
            let (wanted, mut names) = (Names::wanted(loaded), Names::default());
            let ids: Vec<stored::Digest> = wanted.keys().copied().collect();
            for ids in ids.chunks(AT_ONCE as usize) {
                // A page may end earlier, by its bytes; names are short.
                for text in self.stored(self.store.texts(tenant, &loaded.id, ids).await)? {
                    wanted.get(&text.id).into_iter().flatten().for_each(|of| names.add(of, &text.text));
                }
            }
            Ok(Arc::new(names))
        };
        loaded.names.get_or_try_init(|| load).await.cloned()
    }

    /// One published revision.
    pub(crate) async fn revision(&self, tenant: &TenantId, id: &LeagueId, scope: Scope, number: Option<u32>) -> Result<Option<Revision>, Problem> {
        self.stored(self.store.revision(tenant, id, &revision_of(scope), number).await)
    }

    /// What is published of one result or table, the first first.
    pub(crate) async fn revisions(
        &self,
        tenant: &TenantId,
        id: &LeagueId,
        scope: Scope,
        after: u32,
        limit: u32,
    ) -> Result<Vec<RevisionInfo>, Problem> {
        let of = revision_of(scope);
        let mut found = self.stored(self.store.revisions(tenant, id, Some((&of, after)), limit).await)?;
        found.retain(|info| info.of == of);
        Ok(found)
    }

    /// Texts by their ids.
    pub(crate) async fn texts(&self, tenant: &TenantId, id: &LeagueId, ids: &[stored::Digest]) -> Result<BTreeMap<String, String>, Problem> {
        let found = self.stored(self.store.texts(tenant, id, ids).await)?;
        Ok(found.into_iter().map(|text| (text.id.to_string(), text.text)).collect())
    }

    /// Rows of the ledger.
    pub(crate) async fn acts(&self, tenant: &TenantId, id: &LeagueId, after: u64, limit: u32) -> Result<Vec<ActRow>, Problem> {
        self.stored(self.store.acts(tenant, id, after, limit).await)
    }

    /// The leagues of a tenant.
    pub(crate) async fn leagues(&self, tenant: &TenantId, after: Option<&LeagueId>, limit: u32) -> Result<Vec<(LeagueId, Head)>, Problem> {
        self.stored(self.store.leagues(tenant, after, limit).await)
    }

    /// Decide: `make` says what, from the league as it is and the salt of its accounts. Everything is written or nothing; if others wrote meanwhile
    /// it is made again.
    pub(crate) async fn act(
        &self,
        acting: &Acting,
        id: &LeagueId,
        asked: Option<Asked>,
        make: impl Fn(&Loaded, [u8; 16]) -> Result<Draft, Problem>,
    ) -> Result<Value, Problem> {
        let tenant = &acting.tenant;
        if let Some(asked) = &asked
            && let Some((request, answer)) = self.stored(self.store.answered(tenant, id, &acting.actor, &asked.key).await)?
        {
            return if request == asked.request { read_answer(&answer) } else { Err(key_reused()) };
        }
        let fresh = random();
        for _ in 0..ATTEMPTS {
            let loaded = self.load(tenant, id).await?.unwrap_or_else(|| Arc::new(Loaded::none(*id)));
            let salt = loaded.salt.unwrap_or(fresh);
            let draft = make(&loaded, salt)?;
            let mut prepared = self.prepare(acting, &loaded, draft, Salt { is_new: loaded.salt.is_none(), salt }).await?;
            if prepared.write.acts.is_empty() {
                if loaded.head.seq == 0 {
                    return Err(Problem::not_found("There is no such league."));
                }
                return Ok(prepared.answer);
            }
            if let Some(asked) = &asked {
                let answer = prepared.answer.to_string();
                if answer.len() <= LEAGUE_ANSWER_MAX_BYTES {
                    let (actor, key) = (acting.actor.clone(), asked.key.clone());
                    prepared.write.key = Some(IdempotencyKey { actor, key, request: asked.request, at_us: now_us(), answer });
                }
            }
            match self.stored(self.store.write(&prepared.write).await)? {
                Written::Now(head) => return Ok(self.written(tenant, id, head, prepared)),
                Written::Before(answer) => return read_answer(&answer),
                Written::KeyReused => return Err(key_reused()),
                // Others wrote meanwhile: what was computed is out of date.
                Written::Conflict(_) => {}
                Written::Forked => return Err(Problem::internal()),
            }
        }
        Err(Problem::unavailable("busy", "Others write to this league all the time: try again."))
    }

    /// Checks and computes, on a thread where that may take its time.
    async fn prepare(&self, acting: &Acting, loaded: &Arc<Loaded>, draft: Draft, salt: Salt) -> Result<Prepared, Problem> {
        let facts = if draft.can_change_results() { self.facts(&acting.tenant, loaded).await? } else { Arc::default() };
        let (at_us, mut latest) = (now_us(), Latest::new());
        let run = |latest: Latest| {
            let (loaded, acting, draft, facts) = (loaded.clone(), acting.clone(), draft.clone(), facts.clone());
            let salt = Salt { ..salt };
            tokio::task::spawn_blocking(move || prepare(&loaded, &acting, draft, &salt, &facts, &latest, at_us))
        };
        let first = run(latest.clone()).await.map_err(|_| Problem::internal())??;
        if first.revised.is_empty() {
            return Ok(first);
        }
        // Only now it is known which of all published revisions are needed to say what is different.
        for (scope, number) in &first.revised {
            let Some(published) = loaded.league.published(*scope).filter(|of| of.revision == *number) else { continue };
            if let Some(before) = self.revision(&acting.tenant, &loaded.id, *scope, Some(*number)).await? {
                latest.insert(*scope, (Published::clone(published), before.body));
            }
        }
        run(latest).await.map_err(|_| Problem::internal())?
    }

    /// Keeps what was written, so that it is seen at once.
    fn written(&self, tenant: &TenantId, id: &LeagueId, head: Head, prepared: Prepared) -> Value {
        for scope in &prepared.alerts {
            self.metrics.league_facts_changed.increment(1);
            tracing::warn!(league = %id, published = %scope, "the facts of a published result changed: there is a new provisional revision, look at it");
        }
        let Prepared { league, facts, salt, answer, .. } = prepared;
        let facts = Some(facts).filter(|facts| !facts.of.is_empty()).or_else(|| self.kept(tenant, id).and_then(|kept| kept.known_facts()));
        let loaded = Loaded::new(*id, head, league, salt, facts);
        self.keep(tenant, Arc::new(loaded));
        answer
    }
}

/// Why a league cannot be read.
enum Unread {
    Problem(Problem),
    Broken(String),
}

impl Unread {
    fn problem(self) -> Problem {
        match self {
            Unread::Problem(problem) => problem,
            Unread::Broken(why) => {
                tracing::error!(%why, "the ledger of a league is damaged, or was written by a newer version: see `boxbox ledger verify`");
                Problem::internal()
            }
        }
    }
}

fn read_answer(answer: &str) -> Result<Value, Problem> {
    serde_json::from_str(answer).map_err(|_| Problem::internal())
}

fn key_reused() -> Problem {
    Problem::unprocessable("key_reused", "Another request was made with this Idempotency-Key: choose a new one for each request.")
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
