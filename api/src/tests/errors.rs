//! What the API answers when it cannot: always a problem document, never more than its reader should know.

use async_trait::async_trait;
use boxbox_schemas::results::{AnyRow, CarNow, RowKind};
use boxbox_store::{BestLaps, LapFilter, SessionCursor, StoreError};

use super::*;

#[tokio::test]
async fn every_wrong_question_has_its_problem() {
    let server = Server::start().await;
    let home = session("local", 1);
    server.fill(&home, vec![lap(&home, 1)]).await;
    let (id, nobody) = (home.id, "0".repeat(32));
    let long = "x".repeat(41);
    let cases = [
        ("/nowhere".to_owned(), 404, "not_found"),
        ("/api/v1/sessions/".to_owned(), 404, "not_found"),
        ("/api/v1/sessions?limit=0".to_owned(), 400, "bad_limit"),
        ("/api/v1/sessions?limit=501".to_owned(), 400, "bad_limit"),
        ("/api/v1/sessions?limit=-1".to_owned(), 400, "bad_query"),
        ("/api/v1/sessions?limit=1&limit=2".to_owned(), 400, "bad_query"),
        ("/api/v1/sessions?limt=1".to_owned(), 400, "bad_query"),
        ("/api/v1/sessions?cursor=x".to_owned(), 400, "bad_cursor"),
        ("/api/v1/sessions?cursor=%ff%00".to_owned(), 400, "bad_cursor"),
        ("/api/v1/sessions/xyz".to_owned(), 400, "bad_path"),
        (format!("/api/v1/sessions/{nobody}"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/laps"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/laps/max/1"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/laps/max/1/trace"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/incidents"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/ledger"), 404, "not_found"),
        (format!("/api/v1/sessions/{id}/laps?cursor=1"), 400, "bad_cursor"),
        (format!("/api/v1/sessions/{id}/laps?limit=501"), 400, "bad_limit"),
        (format!("/api/v1/sessions/{id}/laps/max/one"), 400, "bad_path"),
        (format!("/api/v1/sessions/{id}/laps/max/-1"), 400, "bad_path"),
        (format!("/api/v1/sessions/{id}/laps/{long}/1"), 400, "bad_path"),
        (format!("/api/v1/sessions/{id}/laps/a%2Fb/1"), 400, "bad_path"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?channels=sped"), 400, "bad_channel"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?limit=36001"), 400, "bad_limit"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?by=lap"), 400, "bad_query"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?by=distance&step_m=0.1"), 400, "bad_step"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?by=distance&step_m=NaN"), 400, "bad_step"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?by=distance&step_ms=5"), 400, "bad_step"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?step_m=5"), 400, "bad_step"),
        (format!("/api/v1/sessions/{id}/laps/max/1/trace?step_ms=0"), 400, "bad_step"),
        (format!("/api/v1/sessions/{id}/order?at_us=-1"), 400, "bad_moment"),
        (format!("/api/v1/sessions/{id}/order?at_us=9999999999999999"), 400, "bad_moment"),
        (format!("/api/v1/sessions/{id}/pit-stops?kind=tyre"), 400, "bad_query"),
        (format!("/api/v1/sessions/{id}/laps?entry=%20"), 400, "bad_query"),
        (format!("/api/v1/sessions/{id}/laps?class={}", "x".repeat(129)), 400, "bad_class"),
        (format!("/api/v1/sessions/{nobody}/laps?class=GT4"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/stints"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/flags"), 404, "not_found"),
        (format!("/api/v1/sessions/{nobody}/pit-stops"), 404, "not_found"),
    ];
    for (path, status, code) in cases {
        let answer = server.get(&path).await;
        println!("{path}");
        answer.problem(status, code);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(
            !answer.body.contains("xyz") && !answer.body.contains("Deserialize"),
            "what came is not repeated, nor what is inside: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let server = Server::start().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = server.ask(method, "/api/v1/sessions", &[]).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("get,head"), "{method}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let with_body = format!("POST /api/v1/sessions HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", server.addr);
    server.raw(&with_body).await.problem(413, "no_body");
}

#[tokio::test]
async fn a_store_that_is_down_is_503_with_when_to_come_back() {
    let server = Server::start().await;
    let home = session("local", 1);
    server.fill(&home, vec![lap(&home, 1)]).await;
    server.results.set_available(false);
    let id = home.id;
    for path in
        ["".to_owned(), format!("/{id}"), format!("/{id}/laps"), format!("/{id}/laps/max/1"), format!("/{id}/incidents"), format!("/{id}/ledger")]
    {
        let answer = server.get(&format!("/api/v1/sessions{path}")).await;
        answer.problem(503, "store_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    server.results.set_available(true);
    server.archive.set_available(false);
    server.get(&format!("/api/v1/sessions/{id}/laps/max/1")).await.json();
    server.get(&format!("/api/v1/sessions/{id}/laps/max/1/trace")).await.problem(503, "store_unavailable");
    server.archive.set_available(true);
    server.get(&format!("/api/v1/sessions/{id}/laps/max/1/trace")).await.json();
}

#[tokio::test]
async fn faults_of_ours_are_500_and_say_nothing_of_the_inside() {
    let config = Config { request_timeout: Duration::from_millis(300), ..Config::default() };
    let server = Server::on(config, vec![], MemoryResults::new(), Arc::new(Awkward)).await;
    let id = session("local", 1).id;
    for path in [format!("/{id}/laps"), format!("/{id}")] {
        let answer = server.get(&format!("/api/v1/sessions{path}")).await;
        answer.problem(500, "internal");
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
    let late = server.get("/api/v1/sessions").await;
    late.problem(503, "timeout");
    assert_eq!(late.header("retry-after"), Some("1"));
    server.get("/livez").await.json();
}

/// A store that hangs, panics or holds rubbish.
struct Awkward;

#[async_trait]
impl Sessions for Awkward {
    async fn sessions(&self, _: &TenantId, _: Option<SessionCursor>, _: u32) -> Result<Vec<SessionInfo>, StoreError> {
        std::future::pending().await
    }
    async fn session(&self, _: &TenantId, _: &SessionId) -> Result<Option<SessionInfo>, StoreError> {
        panic!("a secret of the store's, on purpose")
    }
    async fn laps_at(&self, _: &TenantId, _: &SessionId, _: i64) -> Result<Vec<Lap>, StoreError> {
        std::future::pending().await
    }
    async fn best_laps(&self, _: &TenantId, _: &SessionId, _: BestLaps) -> Result<Vec<Lap>, StoreError> {
        std::future::pending().await
    }
    async fn cars(&self, _: &TenantId, _: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        std::future::pending().await
    }
    async fn laps(&self, _: &TenantId, _: &SessionId, _: &LapFilter, _: Option<(EntryId, u32)>, _: u32) -> Result<Vec<Lap>, StoreError> {
        Err(StoreError::Unreadable("secret: /var/lib/secret.db".into()))
    }
    async fn lap(&self, _: &TenantId, _: &SessionId, _: &EntryId, _: u32) -> Result<Option<Lap>, StoreError> {
        std::future::pending().await
    }
    async fn rows(&self, _: &TenantId, _: &SessionId, _: RowKind) -> Result<Vec<AnyRow>, StoreError> {
        std::future::pending().await
    }
    async fn ledgers(&self, _: &TenantId, _: &SessionId) -> Result<Vec<Ledger>, StoreError> {
        std::future::pending().await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }
}
