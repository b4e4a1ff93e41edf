//! Leagues over REST on the stores' reference: who may what, several servers on one store, bounds. A whole season is played in `boxbox/tests/season`.

use super::*;

pub(super) const READ: &[Ability] = &[Ability::Read];
pub(super) const STEWARD: &[Ability] = &[Ability::Read, Ability::Steward];
pub(super) const MANAGE: &[Ability] = &[Ability::Read, Ability::Manage];

impl Server {
    /// POST a body under a grant, or without one.
    pub(super) async fn post(&self, token: Option<&str>, path: &str, headers: &str, body: &str) -> Answer {
        let access = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let (host, length) = (self.addr, body.len());
        let head =
            format!("POST /api/v1/leagues/{path} HTTP/1.1\r\nHost: {host}\r\n{access}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        let exchange = async {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            // A server that refuses a body closes before it was sent to the end.
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let mut answer = vec![];
            let _ = stream.read_to_end(&mut answer).await;
            Answer::parse(&answer)
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer")
    }

    pub(super) async fn acts(&self, token: &str, acts: &Value) -> Answer {
        self.post(Some(token), "gt/acts", "", &acts.to_string()).await
    }

    pub(super) async fn league(&self, token: &str, path: &str) -> Answer {
        self.get_as(token, &format!("/api/v1/leagues/gt{path}")).await
    }
}

/// A league with a race of two cars that is published, and a table.
pub(super) fn made() -> Value {
    json!([
        { "kind": "league_set", "time_zone": "UTC", "name": "Grand Tour" },
        { "kind": "ruleset_added", "ruleset": "r", "preset": "f1-2010" },
        { "kind": "series_set", "series": "s" },
        { "kind": "season_set", "season": "s1", "series": "s", "starts": "2026-01-01", "rules": { "ruleset": "r", "version": 1 } },
        { "kind": "class_set", "season": "s1", "class": "c" },
        { "kind": "event_set", "season": "s1", "event": "e1", "index": 1, "date": "2026-02-01" },
        { "kind": "session_set", "session": "race", "event": "e1", "role": "feature" },
        { "kind": "championship_set", "season": "s1", "championship": "drivers", "subject": "driver" },
    ])
}

const ENTRIES: &str = "number,name,account\n1,Ann,100\n2,Bo,200\n";
const RESULT: &str = "account,laps,time\n100,10,900.0\n200,10,902.0\n";

pub(super) async fn begin(server: &Server, admin: &str) {
    assert_eq!(server.acts(admin, &made()).await.json()["head"], 8);
    let imported = server.post(Some(admin), "gt/seasons/s1/entries/import", "", ENTRIES).await.json();
    assert_eq!(imported["drivers"].as_array().map(Vec::len), Some(2));
    server.post(Some(admin), "gt/sessions/race/facts", "", RESULT).await.json();
    for scope in [json!({ "session": "race" }), json!({ "championship": "drivers" })] {
        server.post(Some(admin), "gt/publish", "", &json!({ "scope": scope, "state": "provisional" }).to_string()).await.json();
    }
}

pub(super) fn penalty(id: &str, state: &str) -> Value {
    json!({ "penalty": id, "at": { "session": "race" }, "against": { "entry": "car-1" }, "sanction": { "kind": "time", "us": 5_000_000 }, "state": state,
        "reason": "Cut the chicane" })
}

#[tokio::test]
async fn each_sees_and_decides_what_is_theirs() {
    let server = Server::start().await;
    let (driver, steward, admin) = (server.grant("club", READ), server.grant("club", STEWARD), server.grant("club", MANAGE));
    server.acts(&driver, &made()).await.problem(403, "no_steward_ability");
    server.acts(&steward, &made()).await.problem(403, "no_manage_ability");
    begin(&server, &admin).await;

    let leader = |table: &Value| table["names"]["persons"][table["table"]["lines"][0]["competitor"].as_str().unwrap()].clone();
    assert_eq!(leader(&server.league(&driver, "/championships/drivers/table").await.json()), "Ann");
    let give = async |token: &str, of: &Value| server.post(Some(token), "gt/penalties", "", &of.to_string()).await;
    give(&driver, &penalty("cut", "in_force")).await.problem(403, "no_steward_ability");
    give(&steward, &penalty("maybe", "proposed")).await.json();
    let given = give(&steward, &penalty("cut", "in_force")).await.json();
    assert_eq!(given["published"].as_array().map(Vec::len), Some(2), "result and table: {given}");
    assert_eq!(leader(&server.league(&driver, "/championships/drivers/table").await.json()), "Bo");
    let shown = async |token: &str| server.league(token, "/penalties").await.json()["penalties"].as_array().unwrap().len();
    assert_eq!((shown(&driver).await, shown(&steward).await), (1, 2), "what is only proposed is the stewards'");
    for path in ["/ledger", "/sessions/race/preview", "/championships/drivers/preview"] {
        server.league(&driver, path).await.problem(403, "no_steward_ability");
        server.league(&steward, path).await.json();
    }
    server.post(Some(&steward), "gt/publish", "", "{}").await.problem(403, "no_manage_ability");
    server.post(Some(&steward), "gt/seasons/s1/entries/import", "", ENTRIES).await.problem(403, "no_manage_ability");
    server.acts(&steward, &json!([penalty_act("other"), { "kind": "team_set", "team": "t" }])).await.problem(403, "no_manage_ability");
    let acts = server.league(&admin, "/ledger?limit=500").await.json();
    let actor = grant("club", MANAGE).id.to_string();
    assert!(acts["acts"].as_array().unwrap().iter().all(|act| act["actor"] == *actor), "an opaque id");

    // Another tenant has no such league, whatever it asks for, and can make its own.
    let other = server.grant("other", MANAGE);
    let (_, document) = crate::routes::described();
    let filled = |path: &String| {
        let of = [("league", "gt"), ("season", "s1"), ("session", "race"), ("championship", "drivers"), ("ruleset", "r"), ("version", "1")];
        of.iter().fold(path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
    };
    let gets = document.paths.paths.iter().filter(|(path, item)| path.contains("{league}") && item.get.is_some());
    let paths: Vec<String> = gets.map(|(path, _)| filled(path)).collect();
    assert!(paths.len() >= 12 && paths.iter().all(|path| !path.contains('{')), "{paths:?}");
    for path in paths {
        assert_eq!(server.get_as(&admin, &path).await.status, 200, "{path}");
        server.get_as(&other, &path).await.problem(404, "not_found");
    }
    assert_eq!(server.get_as(&other, "/api/v1/leagues").await.json()["leagues"], json!([]));
    assert_eq!(server.acts(&other, &made()).await.json()["head"], 8);

    // Who is erased has no name and no reasons any more; the result stays.
    let table = server.league(&driver, "/championships/drivers/table").await.json();
    let ann = table["table"]["lines"][1]["competitor"].clone();
    server.acts(&admin, &json!({ "kind": "person_erased", "person": ann })).await.json();
    let after = server.league(&driver, "/championships/drivers/table").await;
    assert!(!after.body.contains("Ann") && after.json()["digest"] == table["digest"]);
    assert!(!server.league(&steward, "/penalties").await.body.contains("chicane"));
}

fn penalty_act(id: &str) -> Value {
    let mut act = penalty(id, "in_force");
    act["kind"] = "penalty_given".into();
    act
}

#[tokio::test]
async fn a_web_page_decides_nothing_and_bodies_are_bounded() {
    let server = Server::start().await;
    let acts = made().to_string();
    server.post(None, "gt/acts", "Content-Type: text/plain\r\n", &acts).await.problem(403, "cross_site");
    server.post(None, "gt/acts", "X-Boxbox: 1\r\nOrigin: http://evil.example\r\n", &acts).await.problem(403, "cross_site");
    server.get("/api/v1/leagues/gt").await.problem(404, "not_found");
    server.post(None, "gt/acts", "X-Boxbox: 1\r\n", &acts).await.json();
    server.post(None, "gt/acts", "X-Boxbox: 1\r\n", "{").await.problem(422, "bad_json");
    server.post(None, "gt/acts", "X-Boxbox: 1\r\n", &format!("\"{}\"", "a".repeat(1 << 20))).await.problem(413, "body_too_large");
    server.post(None, "gt/seasons/s1/entries/import", "X-Boxbox: 1\r\n", &"a\n".repeat(1 << 20)).await.problem(413, "body_too_large");
    let many: Vec<Value> = (0..501).map(|n| json!({ "kind": "team_set", "team": format!("t{n}") })).collect();
    server.post(None, "gt/acts", "X-Boxbox: 1\r\n", &json!(many).to_string()).await.problem(422, "bad_acts");
    server.post(None, "gt/acts", "X-Boxbox: 1\r\n", r#"{"kind":"team_set","team":"t","name":"a\u0000"}"#).await.problem(422, "bad_text");
    server.post(None, "gt/acts", "X-Boxbox: 1\r\nIdempotency-Key: a b\r\n", "{}").await.problem(400, "bad_key");
    server.post(None, "none/publish", "X-Boxbox: 1\r\n", r#"{"scope":{"session":"x"},"state":"official"}"#).await.problem(404, "not_found");
    server.get("/api/v1/leagues/gt/sessions/race/result").await.problem(422, "not_published");
    server.get("/api/v1/leagues/gt/sessions/none/result").await.problem(404, "not_found");
    server.get("/api/v1/leagues/gt/championships/drivers/preview").await.json();
    server.get("/api/v1/leagues/gt/sessions/race/preview").await.problem(422, "no_facts");
    server.get("/api/v1/leagues/Gt").await.problem(400, "bad_path");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_on_one_store_lose_nothing_and_agree() {
    let one = Server::start().await;
    let two = Server::on(Config::default(), vec![], one.results.clone(), Arc::new(one.results.clone())).await;
    let send = async |server: &Server, act: Value| server.post(None, "gt/acts", "X-Boxbox: 1\r\n", &act.to_string()).await.json();
    send(&one, made()).await;
    let teams = async |server: &Server, of: &str| {
        for n in 0..20 {
            send(server, json!({ "kind": "team_set", "team": format!("{of}{n}"), "name": format!("Team {n}") })).await;
            let seen = server.get("/api/v1/leagues/gt").await.json();
            assert!(seen["teams"].as_array().unwrap().iter().any(|team| team["id"] == format!("{of}{n}")), "one's own write is seen at once");
        }
    };
    tokio::join!(teams(&one, "a"), teams(&two, "b"));
    let (first, second) = (one.get("/api/v1/leagues/gt").await.json(), two.get("/api/v1/leagues/gt").await.json());
    assert_eq!((first["head"].as_u64(), first["teams"].as_array().map(Vec::len)), (Some(48), Some(40)));
    assert_eq!(first, second);
}

/// The facts of a result that is published change: there is a new provisional revision, once.
#[tokio::test]
async fn published_results_follow_the_telemetry() {
    use crate::routes::leagues::watch::{Seen, look};

    let server = Server::start().await;
    let home = SessionInfo { closed: true, ..session("local", 1) };
    server.fill(&home, vec![lap(&home, 1)]).await;
    let send = async |path: &str, body: &Value| server.post(None, path, "X-Boxbox: 1\r\n", &body.to_string()).await.json();
    let mut acts = made();
    acts[6]["telemetry"] = json!([home.id]);
    send("gt/acts", &acts).await;
    server.post(None, "gt/sessions/race/facts", "X-Boxbox: 1\r\n", "").await.json();
    send("gt/publish", &json!({ "scope": { "session": "race" }, "state": "official" })).await;
    let revisions = async || server.get("/api/v1/leagues/gt/sessions/race/revisions").await.json()["revisions"].clone();

    let stores =
        Stores { sessions: Arc::new(server.results.clone()), leagues: Arc::new(server.results.clone()), archive: Arc::new(server.archive.clone()) };
    let (_keep, authority) = watch::channel(Arc::new(Authority::default()));
    let api = Api::bind(Config::default(), Some(stores), None, authority, vec![], None).await.unwrap();
    let app = api.app();
    // This API has just started: it was asked for no league.
    let mut seen = Seen::default();
    look(app, &mut seen).await;
    assert_eq!(revisions().await.as_array().map(Vec::len), Some(1), "nothing changed");
    let later = SessionInfo { updated_at_us: home.updated_at_us + 1, ..home.clone() };
    server.fill(&later, vec![lap(&home, 1), lap(&home, 2)]).await;
    look(app, &mut seen).await;
    look(app, &mut seen).await;
    let all = revisions().await;
    assert_eq!((all.as_array().map(Vec::len), &all[1]["state"]), (Some(2), &json!("provisional")), "{all}");
}
