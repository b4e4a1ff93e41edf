//! Acts as people send them: with names and reasons as text, accounts as they are, and what the server knows left out. Made here into acts as
//! the ledger has them, and the texts that go beside it.

use boxbox_race::league::{
    AccountHash, Act, Against, Code, DocKind, EventSlug, Facts, LeagueSlug, PersonId, Refusal, RulesetSlug, SeasonSlug, SessionSet, SessionSlug,
    TextId,
};
use boxbox_race::scoring::{Ruleset, preset_document};
use boxbox_schemas::league::{Erasure, Text};
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::loaded::Loaded;
use super::{ACTS_MAX, facts};
use crate::problem::Problem;

/// Kinds of acts that follow from other requests.
const OF_THE_SERVER: [(&str, &str); 3] =
    [("published", "POST …/publish"), ("facts_changed", "POST …/sessions/{session}/facts"), ("bound", "POST …/publish, which binds cars")];
/// Longest name or reason, characters.
const TEXT_MAX: usize = 2_000;
/// Owner of the texts that are no person's.
const LEAGUE: &str = Text::LEAGUE_OWNER;

/// 16 random bytes.
pub(crate) fn random() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

/// A new id of a person.
pub(crate) fn person_id() -> PersonId {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bits = u128::from_le_bytes(random());
    let mut text = String::from("p-");
    for _ in 0..26 {
        text.push(char::from(DIGITS[(bits % 32) as usize]));
        bits /= 32;
    }
    PersonId::new(&text).unwrap_or_else(|_| unreachable!("'p-' and 26 of these digits are the id of a person"))
}

/// A text to keep beside the ledger for each of `owners`, and its id.
pub(crate) fn text(draft: &mut Draft, owners: &[String], text: &str) -> Result<TextId, Problem> {
    if text.chars().count() > TEXT_MAX || text.contains('\0') || text.trim().is_empty() {
        return Err(Problem::unprocessable("bad_text", format!("A name or reason has 1 to {TEXT_MAX} characters, and no NUL.")));
    }
    let salt = random();
    let all = if owners.is_empty() { &[LEAGUE.to_owned()][..] } else { owners };
    draft.texts.extend(all.iter().map(|owner| Text::new(owner, salt, text)));
    Ok(TextId(Text::id(&salt, text).0))
}

/// The problem of an act that cannot be. `at`: which of several.
pub(crate) fn refused(refusal: &Refusal, at: Option<usize>) -> Problem {
    let at = at.map_or(String::new(), |at| format!("act {}: ", at + 1));
    let detail = format!("{at}{}: {}", refusal.field, refusal.message);
    match refusal.code {
        Code::Exists | Code::Contradicts | Code::State => Problem::conflict(refusal.code.as_str(), detail),
        Code::Malformed | Code::Unknown | Code::ReasonNeeded | Code::OutOfBounds => Problem::unprocessable(refusal.code.as_str(), detail),
    }
}

/// Reads one act, or a list of acts.
pub(crate) fn read_acts(loaded: &Loaded, salt: [u8; 16], body: &Value) -> Result<Draft, Problem> {
    let one = std::slice::from_ref(body);
    let acts = body.as_array().map_or(one, Vec::as_slice);
    if acts.is_empty() || acts.len() > ACTS_MAX {
        return Err(Problem::unprocessable("bad_acts", format!("Send one act, or a list of 1 to {ACTS_MAX}.")));
    }
    let mut draft = Draft::default();
    let (mut persons, mut penalties) = (vec![], vec![]);
    for (at, act) in acts.iter().enumerate() {
        let mut fields = act.as_object().cloned().ok_or_else(|| malformed(at, "act", "an act is an object with a field kind"))?;
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some((_, instead)) = OF_THE_SERVER.iter().find(|(of, _)| *of == kind) {
            return Err(Problem::unprocessable("made_by_server", format!("act {}: {kind} is written by the server: use {instead}", at + 1)));
        }
        complete(loaded, (at, &kind), salt, &mut fields, &mut draft)?;
        match kind.as_str() {
            "person_added" => persons.extend(fields.get("person").cloned()),
            "penalty_given" => penalties.extend(fields.get("penalty").cloned()),
            _ => {}
        }
        draft.acts.push(Act::parse(&Value::Object(fields).to_string()).map_err(|refusal| refused(&refusal, Some(at)))?);
    }
    for (name, made) in [("persons", persons), ("penalties", penalties)] {
        if !made.is_empty() {
            draft.answer.insert(name.into(), made.into());
        }
    }
    Ok(draft)
}

fn malformed(at: usize, field: &str, message: &str) -> Problem {
    refused(&Refusal::new(Code::Malformed, field, message), Some(at))
}

/// Fills in what the server knows, and puts ids in the place of texts and accounts.
fn complete(loaded: &Loaded, (at, kind): (usize, &str), salt: [u8; 16], fields: &mut Map<String, Value>, draft: &mut Draft) -> Result<(), Problem> {
    match kind {
        "league_set" => drop(fields.entry("league").or_insert_with(|| loaded.id.as_str().into())),
        "person_added" => drop(fields.entry("person").or_insert_with(|| person_id().to_string().into())),
        "penalty_given" => {
            let number = loaded.head.seq as usize + 1 + at;
            fields.entry("penalty").or_insert_with(|| format!("pen-{number}").into());
        }
        "account_linked" => account(salt, fields, draft),
        "ruleset_added" => ruleset(loaded, at, fields, draft)?,
        "rebound" => rebound(loaded, fields),
        "person_erased" => {
            let person = fields.get("person").and_then(Value::as_str).and_then(|id| PersonId::new(id).ok());
            let aliases = person.map(|person| loaded.league.aliases(person)).unwrap_or_default();
            draft.erased.extend(aliases.into_iter().map(|person| Erasure::Owner(person.to_string())));
        }
        _ => {}
    }
    if kind == "league_set" && LeagueSlug::new(loaded.id.as_str()).is_ok_and(|id| fields["league"] != id.as_str()) {
        return Err(malformed(at, "league", "it must be the league of the address"));
    }
    let owners = owners(loaded, fields);
    for field in ["name", "reason"] {
        if let Some(said) = fields.get(field).and_then(Value::as_str).map(str::to_owned) {
            let id = text(draft, &owners, &said)?;
            fields.insert(field.into(), id.to_string().into());
        }
    }
    Ok(())
}

/// Whom a text of an act is about: it is erased with them.
fn owners(loaded: &Loaded, fields: &Map<String, Value>) -> Vec<String> {
    if let Some(person) = fields.get("person").and_then(Value::as_str) {
        return vec![person.to_owned()];
    }
    let against = fields.get("against").and_then(|against| serde_json::from_value(against.clone()).ok());
    let entry = match against {
        Some(Against::Person(person)) => return vec![person.to_string()],
        Some(Against::Entry(entry)) => Some(entry.to_string()),
        _ => fields.get("entry").and_then(Value::as_str).map(str::to_owned),
    };
    let Some(entry) = entry else { return vec![] };
    let ends = format!("/{entry}");
    let of = loaded.docs_of(DocKind::Entry).filter(|(id, _)| id.ends_with(&ends)).flat_map(|(_, body)| persons_of(body));
    let mut persons: Vec<String> = of.collect();
    persons.sort();
    persons.dedup();
    persons
}

/// All persons of the intervals of an entry.
fn persons_of(body: &Value) -> Vec<String> {
    let intervals = body["intervals"].as_array().into_iter().flatten();
    let persons = intervals.flat_map(|interval| interval[1]["persons"].as_array().into_iter().flatten());
    persons.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The account itself is personal: the ledger has its hash, and the text, of which that is the id, goes beside it.
fn account(salt: [u8; 16], fields: &mut Map<String, Value>, draft: &mut Draft) {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (sim, account, person) = (text("sim"), text("account"), text("person"));
    if account.is_empty() || AccountHash::new(&account).is_ok() {
        return;
    }
    fields.insert("account".into(), AccountHash::of(&salt, &sim, &account).to_string().into());
    draft.texts.push(Text::new(if person.is_empty() { LEAGUE.into() } else { person }, salt, format!("{sim}/{account}")));
}

/// `{"kind":"ruleset_added","ruleset":"f1","preset":"f1_2010"}`, or with a `document` as text or as an object.
fn ruleset(loaded: &Loaded, at: usize, fields: &mut Map<String, Value>, draft: &Draft) -> Result<(), Problem> {
    if let Some(preset) = fields.remove("preset") {
        let name = preset.as_str().unwrap_or_default().replace('-', "_");
        let unknown = || malformed(at, "preset", "there is no such preset: `boxbox score --list-rules` names them");
        fields.insert("document".into(), preset_document(&name).ok_or_else(unknown)?.into());
    }
    if fields.get("document").is_some_and(Value::is_object) {
        let text = serde_json::to_string_pretty(&fields["document"]).unwrap_or_default();
        fields.insert("document".into(), text.into());
    }
    let document = fields.get("document").and_then(Value::as_str).unwrap_or_default();
    let rules = Ruleset::parse(document).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|e| format!("line {}, column {}: {} {}", e.line, e.column, e.field, e.message)).collect();
        malformed(at, "document", &lines.join("; "))
    })?;
    if !fields.contains_key("hash") {
        fields.insert("hash".into(), boxbox_race::league::Digest(rules.hash()).to_string().into());
    }
    let slug = fields.get("ruleset").and_then(Value::as_str).and_then(|slug| RulesetSlug::new(slug).ok());
    if let (Some(slug), false) = (slug, fields.contains_key("version")) {
        let stored = loaded.docs_of(DocKind::Ruleset).filter(|(id, _)| id.split_once('/').is_some_and(|(of, _)| of == slug.as_str())).count();
        let here = draft.acts.iter().filter(|act| matches!(act, Act::RulesetAdded(added) if added.ruleset == slug)).count();
        fields.insert("version".into(), (stored + here + 1).into());
    }
    Ok(())
}

/// `"to": {"as": "entry", "entry": "x"}`: the details are those of the entry at the event.
fn rebound(loaded: &Loaded, fields: &mut Map<String, Value>) {
    let session = fields.get("session").and_then(Value::as_str).and_then(|id| SessionSlug::new(id).ok());
    let Some((session, to)) = session.zip(fields.get_mut("to")) else { return };
    let entry = to["entry"].as_str().and_then(|id| id.parse().ok());
    let event = loaded.doc(DocKind::Session, session.as_str()).and_then(|doc| doc["event"].as_str()).and_then(|id| EventSlug::new(id).ok());
    let season: Option<SeasonSlug> = loaded.league.season_of(session);
    if let (Some(entry), Some(event), Some(season), true) = (entry, event, season, to["details"].is_null())
        && let Some(details) = loaded.league.entry_at(season, entry, event)
    {
        to["details"] = json!(details);
    }
}

/// The act that a session was last set by.
pub(crate) fn session_set(loaded: &Loaded, session: SessionSlug) -> Option<SessionSet> {
    let mut fields = loaded.doc(DocKind::Session, session.as_str())?.as_object().cloned()?;
    fields.remove("facts");
    serde_json::from_value(Value::Object(fields)).ok()
}

/// Facts of a result file for a session: the act that names the file, if it is another one than before, and the facts.
pub(crate) fn from_file(loaded: &Loaded, session: SessionSlug, bytes: &[u8], facts: Facts) -> Result<Draft, Problem> {
    let mut set = session_set(loaded, session).ok_or_else(|| Problem::not_found("There is no such session in this league."))?;
    let mut draft = Draft::default();
    let digest = Some(facts::file_digest(bytes));
    if set.file != digest {
        set.file = digest;
        draft.acts.push(set.into());
    }
    draft.facts.push((session, facts));
    Ok(draft)
}
