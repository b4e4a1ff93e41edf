//! `boxbox league`: what a league decides, through the API of a running server.

mod import;
mod standings;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use boxbox_race::scoring::preset_document;
use boxbox_schemas::SessionId;
use serde_json::{Value, json};

use crate::cli::secret;
use crate::http::Api;
use crate::show::report::line;

pub use import::{Import, import};
pub use standings::{Shown, standings};

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

/// A session of an event.
pub struct Attach {
    pub league: String,
    pub event: String,
    pub session: String,
    pub role: String,
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
    let preset = rules.replace('-', "_");
    let ruleset = if preset_document(&preset).is_some() {
        json!({ "kind": "ruleset_added", "ruleset": "rules", "preset": preset })
    } else {
        let text =
            file(&PathBuf::from(&rules), RULES_MAX).with_context(|| format!("{rules:?} is no preset (`boxbox score --list-rules`) and no file"))?;
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
    let (status, _) = api.ask("GET", &path(&league, &[])?, "application/json", b"").await?;
    ensure!(status == 404, "there is a league {league} already, or the API refuses to say (HTTP {status}): change it with `boxbox league acts`");
    decide(api, &league, &Value::from(acts)).await?;
    line(&format!("league {league} with season {season}; next: boxbox league event {league} {season} EVENT --index 1 --date {starts}"));
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

/// `league sessions attach`
pub async fn attach(api: &Api, of: Attach) -> anyhow::Result<()> {
    let Attach { league, event, session, role, source } = of;
    let mut act = json!({ "kind": "session_set", "session": session, "event": event, "role": role });
    let mut body = vec![];
    let mut query = String::new();
    match source {
        Source::Telemetry(ids) => act["telemetry"] = json!(ids),
        Source::File { file: path, part } => {
            body = file(&path, FILE_MAX)?;
            ensure!(!body.is_empty(), "{} is empty", path.display());
            if let Some(part) = part {
                query = format!("?part={}", escaped(&part));
            }
        }
    }
    decide(api, &league, &act).await?;
    let facts = path(&league, &["sessions", &session, "facts"])?;
    told(&api.done("POST", &format!("{facts}{query}"), "application/octet-stream", &body).await?);
    line(&format!("next: boxbox league publish {league} --session {session}"));
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

/// What was done, for people.
fn told(answer: &Value) {
    let (first, head) = (answer["first"].as_u64().unwrap_or(0), answer["head"].as_u64().unwrap_or(0));
    line(&match head.checked_sub(first) {
        None => "nothing to change".to_owned(),
        Some(0) => format!("act {head} is written"),
        Some(_) => format!("acts {first} to {head} are written"),
    });
    for of in answer["published"].as_array().into_iter().flatten() {
        let difference: Vec<&str> = of["difference"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let difference = if difference.is_empty() { String::new() } else { format!(": {}", difference.join(", ")) };
        let text = |field: &str| of[field].as_str().unwrap_or_default().to_owned();
        line(&format!("{} {}: {} revision {}{difference}", text("of"), text("id"), text("state"), of["revision"]));
    }
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
fn escaped(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
