//! What the API answers: every route that reads a session, as text that does not depend on the order of fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::golden::sha256;

/// Answers by what was asked, in a word or two.
pub type Answers = BTreeMap<String, Answer>;

/// An answer of the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    status: u16,
    /// JSON with its fields in order of their names, or a picture as it is.
    body: String,
}

impl Answer {
    /// Its fingerprint.
    pub fn sha256(&self) -> String {
        sha256(format!("{}\n{}", self.status, self.body).as_bytes())
    }
}

/// Longest answer, bytes: a trace of ten minutes has some three million.
const ANSWER_MAX_BYTES: u64 = 64 << 20;

/// Everything that the API at `base` answers about the sessions of its tenant.
pub fn of(base: &str) -> Answers {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut asker = Asker { agent, base: format!("{base}/api/v1"), answers: Answers::new() };
    let all = asker.ask("sessions", "/sessions");
    let first = asker.ask("sessions.page1", "/sessions?limit=1");
    asker.next_page("sessions.page2", "/sessions?limit=1", &first);
    let mut ids: Vec<String> = all["sessions"].as_array().unwrap().iter().map(|s| text(&s["id"])).collect();
    // Oldest first, so that a session keeps its number when another follows.
    ids.reverse();
    for (n, id) in ids.iter().enumerate() {
        asker.session(n + 1, id);
    }
    asker.answers
}

struct Asker {
    agent: ureq::Agent,
    base: String,
    answers: Answers,
}

impl Asker {
    fn session(&mut self, n: usize, id: &str) {
        let info = self.ask(&format!("{n}/session"), &format!("/sessions/{id}"));
        for list in ["results", "entries", "stints", "pit-stops", "flags", "incidents", "ledger"] {
            let first = self.ask(&format!("{n}/{list}"), &format!("/sessions/{id}/{list}?limit=500").replace("results?limit=500", "results"));
            assert!(first["next_cursor"].is_null(), "{list}: more than one page");
        }
        for kind in ["stop", "drive_through", "tow"] {
            self.ask(&format!("{n}/pit-stops.{kind}"), &format!("/sessions/{id}/pit-stops?kind={kind}"));
        }
        self.order(n, id, info["sim_time_us"].as_i64().unwrap());

        let path = format!("/sessions/{id}/laps");
        let laps = self.ask(&format!("{n}/laps"), &format!("{path}?limit=500&loops=true"));
        assert!(laps["next_cursor"].is_null(), "more than one page of laps");
        let page = self.ask(&format!("{n}/laps.page1"), &format!("{path}?limit=3"));
        self.next_page(&format!("{n}/laps.page2"), &format!("{path}?limit=3"), &page);
        self.ask(&format!("{n}/laps.valid"), &format!("{path}?valid=true&from=2"));
        self.ask(&format!("{n}/laps.class"), &format!("{path}?class=GT4"));
        let laps = laps["laps"].as_array().unwrap();
        let lap = |at: usize| laps.get(at).map(|lap| (text(&lap["entry"]), lap["number"].as_u64().unwrap()));
        let (first, middle, last) = (lap(0), lap(laps.len() / 2), lap(laps.len().saturating_sub(1)));
        for (name, which) in [("first", &first), ("middle", &middle), ("last", &last)] {
            if let Some((entry, number)) = which {
                self.lap(&format!("{n}/{name}"), &format!("{path}/{entry}/{number}"));
            }
        }
        for (name, a, b) in [("compare1", &first, &middle), ("compare2", &middle, &last)] {
            if let (Some(a), Some(b)) = (a, b) {
                let pair = format!("a={id}/{}/{}&b={id}/{}/{}", a.0, a.1, b.0, b.1);
                self.ask(&format!("{n}/{name}"), &format!("/compare?{pair}&step_m=10"));
                self.ask(&format!("{n}/{name}.svg"), &format!("/compare.svg?{pair}"));
            }
        }
    }

    /// Now, and at moments that are spread over the session.
    fn order(&mut self, n: usize, id: &str, sim_time_us: i64) {
        self.ask(&format!("{n}/order"), &format!("/sessions/{id}/order"));
        for tenth in [1, 3, 5, 7, 9, 10] {
            let at_us = sim_time_us.max(0) / 10 * tenth;
            self.ask(&format!("{n}/order.{tenth}"), &format!("/sessions/{id}/order?at_us={at_us}"));
        }
    }

    fn lap(&mut self, name: &str, path: &str) {
        self.ask(&format!("{name}.lap"), path);
        self.ask(&format!("{name}.trace"), &format!("{path}/trace"));
        self.ask(&format!("{name}.trace.time"), &format!("{path}/trace?by=time&step_ms=250&channels=speed_mps,gear,lap_pct,fuel_l"));
        self.ask(&format!("{name}.trace.distance"), &format!("{path}/trace?by=distance&step_m=20"));
        self.ask(&format!("{name}.map.svg"), &format!("{path}/map.svg"));
    }

    fn next_page(&mut self, name: &str, path: &str, page: &Value) {
        if let Some(cursor) = page["next_cursor"].as_str() {
            self.ask(name, &format!("{path}&cursor={cursor}"));
        }
    }

    /// The answer as JSON; `null` if it is a picture. Whatever it is, it is noted under `name`.
    fn ask(&mut self, name: &str, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        let mut answer = self.agent.get(&url).call().unwrap_or_else(|e| panic!("{url}: {e}"));
        let status = answer.status().as_u16();
        assert!(status < 500, "{url}: {status}");
        let body = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string().unwrap();
        let json = serde_json::from_str(&body).ok();
        let known = self.answers.insert(name.to_owned(), Answer { status, body: json.as_ref().map_or(body, canonical) });
        assert!(known.is_none(), "{name} is asked twice");
        json.unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The document as JSON with its fields in order of their names, a line for each value.
fn canonical(value: &Value) -> String {
    fn write(value: &Value, indent: usize, out: &mut String) {
        let next = |first: bool, out: &mut String| {
            let _ = write!(out, "{}\n{:indent$}", if first { "" } else { "," }, "");
        };
        match value {
            Value::Object(fields) => {
                let fields: BTreeMap<&String, &Value> = fields.iter().collect();
                out.push('{');
                for (n, (name, value)) in fields.into_iter().enumerate() {
                    next(n == 0, out);
                    let _ = write!(out, "{}: ", Value::from(name.as_str()));
                    write(value, indent + 1, out);
                }
                out.push('}');
            }
            Value::Array(values) => {
                out.push('[');
                for (n, value) in values.iter().enumerate() {
                    next(n == 0, out);
                    write(value, indent + 1, out);
                }
                out.push(']');
            }
            plain => {
                let _ = write!(out, "{plain}");
            }
        }
    }
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

/// Write the answers into the folder that BOXBOX_FROZEN_JSON names, if it does.
pub fn keep(profile: &str, race: &str, answers: &Answers) {
    let Some(folder) = std::env::var_os("BOXBOX_FROZEN_JSON").map(PathBuf::from) else { return };
    for (name, answer) in answers {
        let problem = if answer.status == 200 { String::new() } else { format!(".{}", answer.status) };
        let extension = if name.ends_with(".svg") && answer.status == 200 { "" } else { ".json" };
        let path = folder.join(profile).join(race).join(format!("{name}{problem}{extension}"));
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, &answer.body).unwrap();
    }
}
