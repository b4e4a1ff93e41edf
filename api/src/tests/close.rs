//! Closing a session and opening it again: what is written into the log, and who may.

use boxbox_schemas::event::Closing;
use boxbox_schemas::record::Content;
use boxbox_schemas::stamp::LogRecord;

use super::*;

const MARK: (&str, &str) = ("X-Boxbox", "1");

impl Server {
    /// What was written of a session, in order.
    fn closings(&self, session: &SessionInfo) -> Vec<Closing> {
        let records = self.log.records(session.id.partition(3));
        let read = records.into_iter().map(|e| LogRecord::parse(e.record).unwrap()).filter(|r| r.stamp.session == session.id);
        read.map(|r| match r.record.content() {
            Ok(Content::Closed(frame)) => Closing::from(&frame.reason),
            other => panic!("{other:?}"),
        })
        .collect()
    }
}

#[tokio::test]
async fn a_session_is_closed_and_opened_through_the_log() {
    let server = Server::start().await;
    let home = session("local", 1);
    server.fill(&home, vec![]).await;
    let path = format!("/api/v1/sessions/{}", home.id);
    let first = server.ask("POST", &format!("{path}/close"), &[MARK]).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let body: Value = serde_json::from_str(&first.body).unwrap();
    let expected = serde_json::json!({ "session": home.id.to_string(), "asked": "closed", "partition": home.id.partition(3), "offset": 0 });
    assert_eq!(body, expected);
    // Again: once more the same, which changes nothing.
    assert_eq!(server.ask("POST", &format!("{path}/close"), &[("Content-Type", "application/json")]).await.status, 202);
    assert_eq!(server.ask("POST", &format!("{path}/reopen"), &[MARK]).await.status, 202);
    assert_eq!(server.closings(&home), [Closing::ASKED, Closing::ASKED, Closing::REOPENED]);
    assert_eq!(server.get(&format!("{path}/close")).await.status, 405);
    server.ask("POST", &format!("/api/v1/sessions/{}/close", "0".repeat(32)), &[MARK]).await.problem(404, "not_found");

    let retired = SessionInfo { closed: true, retired: true, ..session("local", 2) };
    server.fill(&retired, vec![]).await;
    let path = format!("/api/v1/sessions/{}", retired.id);
    server.ask("POST", &format!("{path}/reopen"), &[MARK]).await.problem(409, "session_retired");
    assert!(server.closings(&retired).is_empty());
}

#[tokio::test]
async fn only_who_may_manage_closes_a_session() {
    let server = Server::start().await;
    let (home, theirs) = (session("local", 1), session("league", 1));
    server.fill(&home, vec![]).await;
    server.fill(&theirs, vec![]).await;
    let path = |of: &SessionInfo| format!("/api/v1/sessions/{}/close", of.id);
    // A form of another site: no grant, no header, its own origin.
    server.ask("POST", &path(&home), &[]).await.problem(403, "cross_site");
    server.ask("POST", &path(&home), &[MARK, ("Origin", "http://evil.example")]).await.problem(403, "cross_site");
    // Local people see their tenant only.
    server.ask("POST", &path(&theirs), &[MARK]).await.problem(404, "not_found");
    let bearer = |abilities: &[Ability]| format!("Bearer {}", server.grant("league", abilities));
    let (read, manage) = (bearer(&[Ability::Read]), bearer(&[Ability::Read, Ability::Manage]));
    server.ask("POST", &path(&theirs), &[("Authorization", &read)]).await.problem(403, "no_manage_ability");
    server.ask("POST", &path(&home), &[("Authorization", &manage)]).await.problem(404, "not_found");
    assert_eq!(server.ask("POST", &path(&theirs), &[("Authorization", &manage)]).await.status, 202);
    assert_eq!((server.closings(&home), server.closings(&theirs)), (vec![], vec![Closing::ASKED]));
}

#[tokio::test]
async fn a_log_that_fails_or_is_not_there_is_503() {
    let server = Server::start().await;
    let home = session("local", 1);
    server.fill(&home, vec![]).await;
    let path = format!("/api/v1/sessions/{}/close", home.id);
    server.log.fail_next(1);
    server.ask("POST", &path, &[MARK]).await.problem(503, "log_unavailable");
    assert_eq!(server.ask("POST", &path, &[MARK]).await.status, 202, "the next one is taken");
    server.log.close("gone for good");
    server.ask("POST", &path, &[MARK]).await.problem(503, "log_unavailable");

    let (_keep, authority) = watch::channel(Arc::new(Authority::default()));
    let api = Api::bind(
        Config::default(),
        Some(Stores {
            sessions: Arc::new(server.results.clone()),
            leagues: Arc::new(server.results.clone()),
            archive: Arc::new(MemoryArchive::new()),
        }),
        None,
        authority,
        vec![],
        None,
    )
    .await
    .unwrap();
    let alone = Server { addr: api.local_addr(), ..server };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(api.run(stop));
    alone.ask("POST", &path, &[MARK]).await.problem(503, "no_log");
}
