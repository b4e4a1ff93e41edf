//! Excluding a driver from a session and reinstating them: what is written into the log, who may, and what a session shows of it.

use boxbox_schemas::event::{Exclusion, Judging};
use boxbox_schemas::record::Content;
use boxbox_schemas::results::{About, Conflict, Dispute};
use boxbox_schemas::stamp::LogRecord;

use super::*;

const MARK: (&str, &str) = ("X-Boxbox", "1");

impl Server {
    /// Who was excluded from a session or reinstated, in order.
    fn judged(&self, session: &SessionInfo) -> Vec<(Judging, Exclusion)> {
        let records = self.log.records(session.id.partition(3));
        let read = records.into_iter().map(|e| LogRecord::parse(e.record).unwrap()).filter(|r| r.stamp.session == session.id);
        read.map(|r| match r.record.content() {
            Ok(Content::Judged(frame)) => (Judging::from(&frame.code), frame.whom().unwrap()),
            other => panic!("{other:?}"),
        })
        .collect()
    }
}

#[tokio::test]
async fn who_may_manage_excludes_and_reinstates_through_the_log() {
    let server = Server::start().await;
    let (home, theirs) = (session("local", 1), session("league", 1));
    server.fill(&home, vec![]).await;
    server.fill(&theirs, vec![]).await;
    let path = |of: &SessionInfo, what: &str| format!("/api/v1/sessions/{}/{what}", of.id);
    let run = RunId([7; 16]);
    let first = server.ask("POST", &path(&home, "exclude?driver=max"), &[MARK]).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let body: Value = serde_json::from_str(&first.body).unwrap();
    let partition = home.id.partition(3);
    let expected = serde_json::json!({ "session": home.id.to_string(), "asked": "excluded", "driver": "max", "run": null, "in_session": true, "partition": partition, "offset": 0 });
    assert_eq!(body, expected);
    assert_eq!(server.ask("POST", &path(&home, &format!("exclude?driver=max&run={run}")), &[MARK]).await.status, 202);
    assert_eq!(server.ask("POST", &path(&home, "reinstate?driver=max"), &[MARK]).await.status, 202);
    let max = DriverId::new("max").unwrap();
    let whom = |run| Exclusion { driver: max, run };
    assert_eq!(server.judged(&home), [(Judging::EXCLUDED, whom(None)), (Judging::EXCLUDED, whom(Some(run))), (Judging::REINSTATED, whom(None))]);
    // Who may not.
    server.ask("POST", &path(&home, "exclude?driver=max"), &[]).await.problem(403, "cross_site");
    server.ask("POST", &path(&theirs, "exclude?driver=max"), &[MARK]).await.problem(404, "not_found");
    let bearer = |abilities: &[Ability]| format!("Bearer {}", server.grant("league", abilities));
    let (read, manage) = (bearer(&[Ability::Read]), bearer(&[Ability::Read, Ability::Manage]));
    server.ask("POST", &path(&theirs, "exclude?driver=max"), &[("Authorization", &read)]).await.problem(403, "no_manage_ability");
    assert_eq!(server.ask("POST", &path(&theirs, "exclude?driver=max"), &[("Authorization", &manage)]).await.status, 202);
    // Wrong questions.
    for wrong in ["exclude", "exclude?driver=", "exclude?driver=a%20b", "exclude?driver=max&run=7", "exclude?driver=max&who=me"] {
        server.ask("POST", &path(&home, wrong), &[MARK]).await.problem(400, "bad_query");
    }
    // Results that stand.
    let closed = SessionInfo { closed: true, ..session("local", 2) };
    let silent = SessionInfo { closed: true, provisional: true, ..session("local", 3) };
    let retired = SessionInfo { closed: true, retired: true, ..session("local", 4) };
    for info in [&closed, &silent, &retired] {
        server.fill(info, vec![]).await;
    }
    server.ask("POST", &path(&closed, "exclude?driver=max"), &[MARK]).await.problem(409, "session_closed");
    server.ask("POST", &path(&retired, "reinstate?driver=max"), &[MARK]).await.problem(409, "session_retired");
    assert_eq!(server.ask("POST", &path(&silent, "exclude?driver=max"), &[MARK]).await.status, 202);
    server.log.fail_next(1);
    server.ask("POST", &path(&home, "exclude?driver=max"), &[MARK]).await.problem(503, "log_unavailable");
}

#[tokio::test]
async fn a_session_shows_its_disputes() {
    let server = Server::start().await;
    let id = |name: &str| DriverId::new(name).unwrap();
    let by = || [id("max")].into_iter();
    let of = |about, what: &str, slot| Conflict::of(about, what, slot, by(), [id("eve"), id("lee")].into_iter()).unwrap();
    let entries = ["max", "lee"].map(|name| EntryId::new(name).unwrap()).to_vec();
    let info = SessionInfo {
        conflicts: vec![of(About::Description, "session_type", None), of(About::Slot, "user", Some(7))],
        disputes: vec![Dispute { seen_as: EntryId::new("u:11").unwrap(), entries }],
        excluded: vec![Exclusion { driver: id("max"), run: None }],
        ..session("local", 1)
    };
    server.fill(&info, vec![]).await;
    let answer = server.get(&format!("/api/v1/sessions/{}", info.id)).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["excluded"], serde_json::json!([{ "driver": "max", "run": null }]));
    let told = |about: &str, what: &str, slot: Option<u16>| serde_json::json!({ "about": about, "what": what, "slot": slot, "told_by": ["max"], "against": ["eve", "lee"], "claimed_for": [], "count": 1 });
    let car =
        serde_json::json!({ "about": "car", "what": "u:11", "slot": null, "told_by": [], "against": [], "claimed_for": ["max", "lee"], "count": 2 });
    assert_eq!(body["disputes"], serde_json::json!([told("description", "session_type", None), told("slot", "user", Some(7)), car]));
}

#[tokio::test]
async fn what_cannot_be_processed_is_refused_and_who_is_not_there_is_said() {
    let server = Server::start().await;
    let excluded = |n: usize| Exclusion { driver: DriverId::new(&format!("d{n}")).unwrap(), run: None };
    let full = SessionInfo { excluded: (0..256).map(excluded).collect(), ..session("local", 1) };
    let room = SessionInfo { excluded: (0..255).map(excluded).collect(), ..session("local", 2) };
    for info in [&full, &room] {
        server.fill(info, vec![]).await;
    }
    let path = |of: &SessionInfo, what: &str| format!("/api/v1/sessions/{}/{what}", of.id);
    server.ask("POST", &path(&full, "exclude?driver=max"), &[MARK]).await.problem(409, "too_many_exclusions");
    assert_eq!(server.judged(&full), []);
    // Again, and reinstating, are no more than there are.
    assert_eq!(server.ask("POST", &path(&full, "exclude?driver=d7"), &[MARK]).await.status, 202);
    assert_eq!(server.ask("POST", &path(&full, "reinstate?driver=d7"), &[MARK]).await.status, 202);
    for (who, there) in
        [("max", true), ("maks", false), (&*format!("max&run={}", RunId([7; 16])), true), (&*format!("max&run={}", RunId([8; 16])), false)]
    {
        let answer = server.ask("POST", &path(&room, &format!("exclude?driver={who}")), &[MARK]).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, body["in_session"].as_bool()), (202, Some(there)), "{who}");
    }
}
