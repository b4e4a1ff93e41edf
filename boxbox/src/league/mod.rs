//! `boxbox league`: what a league decides, through the API of a running server.

mod event;
mod import;
mod penalties;
mod published;
mod result;
mod say;
mod standings;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use boxbox_schemas::SessionId;
use serde_json::{Value, json};

use crate::cli::secret;
use crate::http::Api;
use crate::score::rules_document;

pub use event::{Event, event};
pub use import::{Import, import};
pub use penalties::penalties;
pub use published::Which;
pub use result::result;
pub use standings::standings;

use say::{say, told};

/// Largest file of rules, bytes.
const RULES_MAX: u64 = 256 << 10;
/// Largest result file, bytes.
const FILE_MAX: u64 = 8 << 20;

/// A new league.
pub struct Init {
    pub league: String,
    pub name: Option<String>,
    pub time_zone: String,
    /// A preset or a file.
    pub rules: String,
    pub season: String,
    pub starts: String,
    pub classes: Vec<String>,
    pub teams: bool,
}

/// Where a session was driven.
pub enum Source {
    /// Sessions of the telemetry.
    Telemetry(Vec<SessionId>),
    /// A result file, and the session in it.
    File { file: PathBuf, part: Option<String> },
}

/// A session of an event. What is not said stays as it is.
pub struct Attach {
    pub league: String,
    pub event: String,
    pub session: String,
    pub role: Option<String>,
    /// The championships it counts for; none: as before.
    pub counts_for: Vec<String>,
    pub planned_laps: Option<u32>,
    pub source: Source,
}

/// What to publish.
pub struct Publish {
    pub league: String,
    pub session: Option<String>,
    pub championship: Option<String>,
    pub state: String,
    pub reason: Option<String>,
}

/// The path of something of a league. A slug holds nothing that a URL reads otherwise; anything else is refused here.
pub fn path(league: &str, parts: &[&str]) -> anyhow::Result<String> {
    let ok = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let wrong = std::iter::once(league).chain(parts.iter().copied()).find(|part| !ok(part));
    ensure!(wrong.is_none(), "{:?} is no id: 1 to 40 characters of a-z, 0-9 and '-'", wrong.unwrap_or_default());
    Ok([&["/api/v1/leagues", league], parts].concat().join("/"))
}

/// Give an act a name, if there is one.
pub fn with_name(act: &mut Value, name: Option<String>) {
    if let Some(name) = name {
        act["name"] = name.into();
    }
}

/// `league init`
pub async fn init(api: &Api, new: Init) -> anyhow::Result<()> {
    let Init { league, name, time_zone, rules, season, starts, classes, teams } = new;
    let ruleset = if !std::path::Path::new(&rules).is_file() {
        rules_document(&rules)?;
        json!({ "kind": "ruleset_added", "ruleset": "rules", "preset": rules.replace('-', "_") })
    } else {
        let text = file(&PathBuf::from(&rules), RULES_MAX)?;
        let text = String::from_utf8(text).with_context(|| format!("{rules} is no text in UTF-8"))?;
        json!({ "kind": "ruleset_added", "ruleset": "rules", "document": text })
    };
    let mut made = json!({ "kind": "league_set", "time_zone": time_zone });
    with_name(&mut made, name);
    let mut acts = vec![
        made,
        ruleset,
        json!({ "kind": "series_set", "series": "main" }),
        json!({ "kind": "season_set", "season": season, "series": "main", "starts": starts, "rules": { "ruleset": "rules", "version": 1 } }),
    ];
    acts.extend(classes.iter().map(|class| json!({ "kind": "class_set", "season": season, "class": class })));
    acts.push(json!({ "kind": "championship_set", "championship": "drivers", "season": season, "subject": "driver" }));
    if teams {
        acts.push(json!({ "kind": "championship_set", "championship": "teams", "season": season, "subject": "team" }));
    }
    // Done before it would change the rules of an existing league.
    let (status, body) = api.ask("GET", &path(&league, &[])?, "application/json", b"").await?;
    ensure!(status != 200, "there is a league {league} already: change it with `boxbox league acts`, or choose another id");
    ensure!(status == 404, "{}", api.refusal(status, &body));
    decide(api, &league, &Value::from(acts)).await?;
    say(&format!("league {league} with season {season}; next: boxbox league event {league} {season} EVENT --index 1 --date {starts}"));
    Ok(())
}

/// Send acts.
pub async fn decide(api: &Api, league: &str, acts: &Value) -> anyhow::Result<()> {
    told(&api.post(&path(league, &["acts"])?, acts).await?);
    Ok(())
}

/// `league acts`
pub async fn acts(api: &Api, league: &str, file: &std::path::Path) -> anyhow::Result<()> {
    let text = secret::read_text(file)?;
    let acts: Value = serde_json::from_str(&text).context("the file is no JSON")?;
    decide(api, league, &acts).await
}

/// Take a penalty back.
pub async fn rescind(api: &Api, league: &str, penalty: &str, reason: &str) -> anyhow::Result<()> {
    decide(api, league, &json!({ "kind": "penalty_changed", "penalty": penalty, "state": "rescinded", "reason": reason })).await
}

/// `league sessions attach`: the session and what was driven in it, in one step.
pub async fn attach(api: &Api, of: Attach) -> anyhow::Result<()> {
    let Attach { league, event, session, role, counts_for, planned_laps, source } = of;
    let mut query = vec![("event", event)];
    query.extend(role.map(|role| ("role", role)));
    query.extend((!counts_for.is_empty()).then(|| ("counts_for", counts_for.join(","))));
    query.extend(planned_laps.map(|laps| ("planned_laps", laps.to_string())));
    let mut body = vec![];
    match source {
        Source::Telemetry(ids) => query.push(("telemetry", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))),
        Source::File { file: path, part } => {
            body = file(&path, FILE_MAX)?;
            ensure!(!body.is_empty(), "{} is empty", path.display());
            query.extend(part.map(|part| ("part", part)));
        }
    }
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let to = format!("{}?{}", path(&league, &["sessions", &session, "attach"])?, query.join("&"));
    told(&api.done("POST", &to, "application/octet-stream", &body).await?);
    say(&format!("next: boxbox league publish {league} --session {session}"));
    Ok(())
}

/// `league publish`
pub async fn publish(api: &Api, of: Publish) -> anyhow::Result<()> {
    let Publish { league, session, championship, state, reason } = of;
    let scope = match (session, championship) {
        (Some(session), _) => json!({ "session": session }),
        (None, championship) => json!({ "championship": championship }),
    };
    let mut wanted = json!({ "scope": scope, "state": state });
    if let Some(reason) = reason {
        wanted["reason"] = reason.into();
    }
    told(&api.post(&path(&league, &["publish"])?, &wanted).await?);
    Ok(())
}

/// The bytes of a file, `most` at most.
fn file(path: &std::path::Path, most: u64) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = vec![];
    let opened = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    opened.take(most + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= most, "{} has more than {most} bytes", path.display());
    Ok(bytes)
}

/// A text as the value of a query.
pub fn escaped(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
