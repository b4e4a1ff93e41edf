//! Health and metrics.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[tokio::test]
async fn readiness_says_which_check_fails() {
    let well = Arc::new(AtomicBool::new(true));
    let edge = Check::new("edge", {
        let well = well.clone();
        move || if well.load(Ordering::Relaxed) { Ok(()) } else { Err("its log does not answer".into()) }
    });
    let server = Server::with(Config::default(), vec![edge]).await;
    assert_eq!(server.get("/livez").await.json(), serde_json::json!({ "live": true }));
    assert_eq!(server.get("/readyz").await.json(), serde_json::json!({ "ready": true }));
    let health = server.get("/api/health").await.json();
    assert_eq!((health["status"].as_str(), health["version"].as_str()), (Some("ok"), Some(env!("CARGO_PKG_VERSION"))));

    well.store(false, Ordering::Relaxed);
    server.results.set_available(false);
    let problem = server.get("/readyz").await.problem(503, "not_ready");
    assert_eq!(problem["failed"], serde_json::json!(["results", "edge"]));
    assert!(problem["detail"].as_str().unwrap().contains("results, edge"), "{problem}");
    let health = server.get("/api/health").await.json();
    assert_eq!(health["status"], "degraded");
    let edge = health["checks"].as_array().unwrap().iter().find(|c| c["name"] == "edge").unwrap();
    assert_eq!(edge, &serde_json::json!({ "name": "edge", "ok": false, "detail": "its log does not answer" }));
    assert_eq!(server.get("/livez").await.status, 200, "a store's outage restarts nobody");
}

/// Every field of the metrics' struct is in a scrape after traffic, with its help text, under labels of ours only.
#[tokio::test]
async fn a_scrape_shows_every_metric() {
    let server = Server::start().await;
    server.get("/api/v1/sessions").await;
    server.get("/secret-path-of-a-client").await;
    server.get_as("rubbish", "/api/v1/sessions").await;
    server.results.set_available(false);
    server.get("/api/v1/sessions").await;
    server.results.set_available(true);
    broken_connection(&server).await;

    let scrape = server.get("/metrics").await;
    assert_eq!(scrape.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let fields: Vec<(String, String)> = include_str!("../metrics.rs")
        .lines()
        .filter_map(|line| line.trim().split_once(": ").filter(|(name, _)| !name.contains(' ')).map(|(n, k)| (n.to_owned(), k.to_owned())))
        .collect();
    assert_eq!(fields.len(), 8, "{fields:?}");
    for (name, kind) in fields {
        let full = if kind.starts_with("counter") { format!("boxbox_api_{name}_total") } else { format!("boxbox_api_{name}") };
        assert!(scrape.body.contains(&format!("# HELP {full} ")), "{full} has no help in\n{}", scrape.body);
        let sample = scrape.body.lines().any(|l| l.starts_with(&full) && l.rsplit(' ').next().is_some_and(|v| v.parse::<f64>().is_ok()));
        assert!(sample, "{full} has no sample in\n{}", scrape.body);
    }
    for label in ["route=\"/api/v1/sessions\"", "route=\"none\"", "class=\"5xx\"", "kind=\"unavailable\"", "reason=\"malformed\""] {
        assert!(scrape.body.contains(label), "{label}");
    }
    assert!(!scrape.body.contains("secret-path"));
}

async fn broken_connection(server: &Server) {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"no HTTP at all\r\n\r\n").await.unwrap();
    let mut rest = vec![];
    tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}
