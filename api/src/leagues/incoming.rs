//! Acts as people send them: with names and reasons as text, accounts as they are, and what the server knows left out. Made here into acts as
//! the ledger has them, and the texts that go beside it.

use boxbox_race::league::{
    AccountHash, Act, Against, CarKey, Code, DocKind, EntrySlug, Facts, League, LeagueSlug, PenaltySlug, PersonId, Refusal, RulesetSlug, SeasonSlug,
    SessionSet, SessionSlug, TextId,
};
use boxbox_race::scoring::{Ruleset, find_preset};
use boxbox_schemas::league::{Erasure, Text};
use boxbox_schemas::text::plain;
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
    if text.chars().count() > TEXT_MAX || !is_plain(text) || text.trim().is_empty() {
        let detail = format!("A name or reason has 1 to {TEXT_MAX} characters, and none that is not shown (control characters, marks of direction).");
        return Err(Problem::unprocessable("bad_text", detail));
    }
    let salt = random();
    let all = if owners.is_empty() { &[LEAGUE.to_owned()][..] } else { owners };
    draft.texts.extend(all.iter().map(|owner| Text::new(owner, salt, text)));
    Ok(TextId(Text::id(&salt, text).0))
}

/// Whether a text has only characters that are shown (`league.text`); a reason may have several lines.
fn is_plain(text: &str) -> bool {
    let one_line = text.replace("\r\n", " ").replace(['\n', '\t'], " ");
    *plain(&one_line) == *one_line
}

/// Whether all texts of a JSON value are plain, keys too.
fn all_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => is_plain(text),
        Value::Array(items) => items.iter().all(all_plain),
        Value::Object(fields) => fields.iter().all(|(key, value)| is_plain(key) && all_plain(value)),
        _ => true,
    }
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
    // As the acts before it make it: whom a text is about may be said in the same request.
    let mut league = loaded.league.clone();
    for (at, act) in acts.iter().enumerate() {
        if !all_plain(act) {
            let detail =
                format!("act {}: a text has characters that are not shown (control characters, marks of direction): leave them out.", at + 1);
            return Err(Problem::unprocessable("bad_text", detail));
        }
        let mut fields = act.as_object().cloned().ok_or_else(|| malformed(at, "act", "an act is an object with a field kind"))?;
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some((_, instead)) = OF_THE_SERVER.iter().find(|(of, _)| *of == kind) {
            return Err(Problem::unprocessable("made_by_server", format!("act {}: {kind} is written by the server: use {instead}", at + 1)));
        }
        complete(loaded, &league, (at, &kind), salt, &mut fields, &mut draft)?;
        match kind.as_str() {
            "person_added" => persons.extend(fields.get("person").cloned()),
            "penalty_given" => penalties.extend(fields.get("penalty").cloned()),
            _ => {}
        }
        let act = Act::parse(&Value::Object(fields).to_string()).map_err(|refusal| refused(&refusal, Some(at)))?;
        if league.check(&act).is_ok() {
            league.apply(league.head() + 1, &act);
        }
        draft.acts.push(act);
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
fn complete(
    loaded: &Loaded,
    league: &League,
    (at, kind): (usize, &str),
    salt: [u8; 16],
    fields: &mut Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), Problem> {
    match kind {
        "league_set" => drop(fields.entry("league").or_insert_with(|| loaded.id.as_str().into())),
        "person_added" => drop(fields.entry("person").or_insert_with(|| person_id().to_string().into())),
        "penalty_given" => {
            let number = loaded.head.seq as usize + 1 + at;
            fields.entry("penalty").or_insert_with(|| format!("pen-{number}").into());
        }
        "account_linked" => account(salt, fields, draft),
        "ruleset_added" => ruleset(loaded, at, fields, draft)?,
        "rebound" => rebound(league, fields),
        "person_erased" => {
            let person = fields.get("person").and_then(Value::as_str).and_then(|id| PersonId::new(id).ok());
            person.into_iter().for_each(|person| erase(league, person, draft));
        }
        _ => {}
    }
    if kind == "league_set" && LeagueSlug::new(loaded.id.as_str()).is_ok_and(|id| fields["league"] != id.as_str()) {
        return Err(malformed(at, "league", "it must be the league of the address"));
    }
    let owners: Vec<String> = owners(league, fields).iter().map(PersonId::to_string).collect();
    for field in ["name", "reason"] {
        if let Some(said) = fields.get(field).and_then(Value::as_str).map(str::to_owned) {
            if field == "name" && *plain(&said) != *said {
                return Err(Problem::unprocessable("bad_text", format!("act {}: a name is one line of characters that are shown.", at + 1)));
            }
            let id = text(draft, &owners, &said)?;
            fields.insert(field.into(), id.to_string().into());
        }
    }
    Ok(())
}

/// What is erased with a person (`league.erased`): all texts that are kept for one of the ids that mean the person, those of the same request too,
/// and why results and tables were published in which the person takes part.
fn erase(league: &League, person: PersonId, draft: &mut Draft) {
    let owners: Vec<String> = league.aliases(person).iter().map(PersonId::to_string).collect();
    let reasons = league.reasons_to_publish(person).into_iter().map(|reason| Erasure::Text(boxbox_schemas::league::Digest(reason.0)));
    draft.erased.extend(reasons);
    draft.texts.retain(|text| !owners.contains(&text.owner));
    draft.erased.extend(owners.into_iter().map(Erasure::Owner));
}

/// Whom a text of an act is about: it is erased with them.
fn owners(league: &League, fields: &Map<String, Value>) -> Vec<PersonId> {
    fn of<T: std::str::FromStr>(fields: &Map<String, Value>, field: &str) -> Option<T> {
        fields.get(field)?.as_str()?.parse().ok()
    }
    let (session, entry): (Option<SessionSlug>, Option<EntrySlug>) = (of(fields, "session"), of(fields, "entry"));
    // A merge is about both ids, an act about a penalty about whom that is against.
    let mut persons: Vec<PersonId> = ["person", "old", "new"].into_iter().filter_map(|field| of(fields, field)).collect();
    let given = of::<PenaltySlug>(fields, "penalty").and_then(|penalty| league.penalty(penalty)).map(|given| given.against);
    let told = fields.get("against").and_then(|against| serde_json::from_value(against.clone()).ok());
    match told.or(given) {
        Some(Against::Person(person)) => persons.push(person),
        Some(Against::Entry(entry)) => persons.extend(league.persons_of_entry(entry)),
        Some(Against::Team(team)) => persons.extend(league.drivers_of_team(team)),
        Some(Against::Manufacturer(_)) | None => {}
    }
    persons.extend(entry.into_iter().flat_map(|entry| league.persons_of_entry(entry)));
    if let (Some(session), Some(car)) = (session, of::<CarKey>(fields, "car")) {
        let to = fields.get("to").and_then(|to| to["entry"].as_str()).and_then(|entry| entry.parse().ok());
        persons.extend(league.persons_of_car(session, car));
        persons.extend(to.into_iter().flat_map(|entry: EntrySlug| league.persons_of_entry(entry)));
    }
    persons.sort();
    persons.dedup();
    persons
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
        let unknown = |why| malformed(at, "preset", &format!("{why}; `boxbox score --list-rules` names all"));
        fields.insert("document".into(), find_preset(preset.as_str().unwrap_or_default()).map_err(unknown)?.into());
    }
    if fields.get("document").is_some_and(Value::is_object) {
        let text = serde_json::to_string_pretty(&fields["document"]).unwrap_or_default();
        fields.insert("document".into(), text.into());
    }
    let document = fields.get("document").and_then(Value::as_str).unwrap_or_default();
    // Written with escapes they are not seen in the document as a text.
    if serde_json::from_str::<Value>(document).is_ok_and(|rules| !all_plain(&rules)) {
        return Err(malformed(at, "document", "a text in it has characters that are not shown: leave them out"));
    }
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
fn rebound(league: &League, fields: &mut Map<String, Value>) {
    let session = fields.get("session").and_then(Value::as_str).and_then(|id| SessionSlug::new(id).ok());
    let Some((session, to)) = session.zip(fields.get_mut("to")) else { return };
    let entry = to["entry"].as_str().and_then(|id| id.parse().ok());
    let event = league.session(session).map(|set| set.event);
    let season: Option<SeasonSlug> = league.season_of(session);
    if let (Some(entry), Some(event), Some(season), true) = (entry, event, season, to["details"].is_null())
        && let Some(details) = league.entry_at(season, entry, event)
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
