//! [`LeagueService`]: reads leagues, keeps what was read, and writes what is decided.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use boxbox_race::league::{DocKind, Facts, Published};
use boxbox_schemas::TenantId;
use boxbox_schemas::league::{self as stored, Chain, Head, IdempotencyKey, LeagueId, Written};
use boxbox_schemas::limits::LEAGUE_ANSWER_MAX_BYTES;
use boxbox_store::{Leagues, StoreError};
use serde_json::Value;

use super::draft::{Asked, Draft};
use super::incoming::random;
use super::keep::Keep;
use super::loaded::{AllFacts, Loaded};
use super::prepare::{Latest, Prepared, SALT_OWNER, Salt, follow, prepare};
use super::rights::Acting;
use crate::metrics::ApiMetrics;
use crate::problem::Problem;
use crate::stored::stored;

/// Bytes of facts, as they are stored, of one league; those of a race of 60 cars and 50 laps have some 250 kB.
const FACTS_MAX_BYTES: usize = 128 << 20;
/// How often a decision is made again because others were written meanwhile.
const ATTEMPTS: u32 = 12;
/// Rows read at once.
pub(super) const AT_ONCE: u32 = 1_000;
/// Leagues that are loaded at once, by their hash: one that is large delays few others.
const LOADING: usize = 16;

/// Reads and writes leagues.
pub(crate) struct LeagueService {
    pub(super) store: Arc<dyn Leagues>,
    metrics: ApiMetrics,
    kept: Keep,
    loading: [tokio::sync::Mutex<()>; LOADING],
}

impl LeagueService {
    pub(crate) fn new(store: Arc<dyn Leagues>, metrics: ApiMetrics) -> Self {
        Self { store, metrics, kept: Keep::default(), loading: std::array::from_fn(|_| tokio::sync::Mutex::default()) }
    }

    pub(super) fn stored<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        stored(&self.metrics, answer)
    }

    /// A league as it is now, or 404.
    pub(crate) async fn league(&self, tenant: &TenantId, id: &LeagueId) -> Result<Arc<Loaded>, Problem> {
        self.load(tenant, id).await?.ok_or_else(|| Problem::not_found("There is no such league."))
    }

    /// A league as it is now, if it is there.
    async fn load(&self, tenant: &TenantId, id: &LeagueId) -> Result<Option<Arc<Loaded>>, Problem> {
        let Some(head) = self.head(tenant, id).await? else { return Ok(None) };
        if let Some(kept) = self.kept(tenant, id).filter(|kept| kept.head == head) {
            return Ok(Some(kept));
        }
        let mut hasher = DefaultHasher::new();
        (tenant, id).hash(&mut hasher);
        let _one = self.loading[hasher.finish() as usize % LOADING].lock().await;
        let kept = self.kept(tenant, id);
        // Another request may have loaded the league meanwhile. If memory is ahead of the store, the store was put back to an earlier time.
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
        self.kept.put(tenant, loaded.clone());
        Ok(Some(loaded))
    }

    /// The head as it is now, or was at a moment since the call began.
    async fn head(&self, tenant: &TenantId, id: &LeagueId) -> Result<Option<Head>, Problem> {
        let heads = self.kept.heads(tenant, id);
        let ask = async { self.stored(self.store.head(tenant, id).await) };
        match heads {
            Some(heads) => heads.ask(ask).await,
            // Only leagues that are there have a place in memory.
            None => ask.await,
        }
    }

    fn kept(&self, tenant: &TenantId, id: &LeagueId) -> Option<Arc<Loaded>> {
        self.kept.get(tenant, id)
    }

    /// The leagues that are kept.
    pub(crate) fn known(&self) -> Vec<(TenantId, LeagueId)> {
        self.kept.known()
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
                all.bytes += found.as_ref().map_or(0, |found| found.body.len());
                if all.bytes > FACTS_MAX_BYTES {
                    let why = format!("The facts of this league have more than {} MiB: go on in a new league.", FACTS_MAX_BYTES >> 20);
                    return Err(Problem::unprocessable("league_too_long", why));
                }
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

    /// As [`LeagueService::act`], and what the persons and teams in the answer are called now; names are kept with no answer.
    pub(crate) async fn decide(
        &self,
        acting: &Acting,
        id: &LeagueId,
        asked: Option<Asked>,
        make: impl Fn(&Loaded, [u8; 16]) -> Result<Draft, Problem>,
    ) -> Result<Value, Problem> {
        let mut answer = self.act(acting, id, asked, make).await?;
        let loaded = self.league(&acting.tenant, id).await?;
        let names = self.names(&acting.tenant, &loaded).await?.mentioned(&answer["published"]);
        answer["names"] = names;
        Ok(answer)
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
            // With a new salt, every driver whose account is in the ledger would become another driver.
            let is_lost = loaded.salt.is_none() && loaded.hashes();
            if is_lost && draft.hashes() {
                return Err(salt_unknown());
            }
            let salt = Salt { is_new: loaded.salt.is_none() && !is_lost, is_known: !is_lost, salt };
            let mut prepared = self.prepare(acting, &loaded, draft, salt).await?;
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
        self.kept.put(tenant, Arc::new(loaded));
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

/// A league came without its texts, so it is not known how its accounts are hashed.
pub(crate) fn salt_unknown() -> Problem {
    let detail =
        "The league was brought here without its texts, so that its accounts cannot be recognised: bring the export with texts, then do this again.";
    Problem::conflict("salt_unknown", detail)
}

fn key_reused() -> Problem {
    Problem::unprocessable("key_reused", "Another request was made with this Idempotency-Key: choose a new one for each request.")
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
