//! Health and metrics.

use std::sync::atomic::{AtomicBool, Ordering};

use boxbox_schemas::metrics::{Described, Kind};

use super::*;

#[tokio::test]
async fn readiness_says_which_check_fails() {
    let well = Arc::new(AtomicBool::new(true));
    let edge = Check::new("edge", {
        let well = well.clone();
        move || if well.load(Ordering::Relaxed) { Ok(()) } else { Err("its log does not answer".into()) }
    });
    let advice = Check::advice("clock", || Err("somebody has to say that it is right".into()));
    let server = Server::with(Config::default(), vec![edge]).await;
    let advised = Server::with(Config::default(), vec![advice]).await;
    assert_eq!(advised.get("/readyz").await.json(), serde_json::json!({ "ready": true }), "it serves as well as ever");
    let health = advised.get("/api/health").await.json();
    let clock = health["checks"].as_array().unwrap().iter().find(|c| c["name"] == "clock").unwrap();
    assert_eq!((health["status"].as_str(), clock["ok"].as_bool()), (Some("degraded"), Some(false)), "and a person is told");
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
    let (length, body) = ((1 << 20) + 1, " ".repeat((1 << 20) + 1));
    let head = format!("POST /api/v1/leagues/gt3/acts HTTP/1.1\r\nHost: {}\r\nX-Boxbox: 1\r\nContent-Length: {length}\r\n", server.addr);
    assert_eq!(server.raw(&format!("{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}")).await.status, 413);
    let crowded = Server::with(Config { max_connections: 1, ..Config::default() }, vec![]).await;
    displaced_and_turned_away(&crowded).await;

    let scrape = server.get("/metrics").await;
    assert_eq!(scrape.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for Described { name, labels, kind, .. } in crate::ApiMetrics::NAMES {
        assert!(scrape.body.contains(&format!("# HELP {name} ")), "{name} has no help in\n{}", scrape.body);
        // Every counter is there with each value of its label, before anything is counted.
        let values = labels.first().filter(|_| *kind != Kind::Histogram).map_or(&[][..], |label| label.values);
        let series = values.iter().map(|value| format!("{name}{{{}=\"{value}\"}} ", labels[0].name)).chain([(*name).to_owned()]);
        for begins in series {
            let sample = scrape.body.lines().any(|l| l.starts_with(&begins) && l.rsplit(' ').next().is_some_and(|v| v.parse::<f64>().is_ok()));
            assert!(sample, "{begins} has no sample in\n{}", scrape.body);
        }
    }
    assert!(scrape.body.contains("boxbox_api_request_seconds_count{route=\"/api/v1/sessions\",method=\"GET\",class=\"2xx\"}"), "{}", scrape.body);
    let undeclared: Vec<&str> = scrape.body.lines().filter(|line| line.contains("\"other\"}")).collect();
    assert_eq!(undeclared, Vec::<&str>::new(), "a label has a value that it does not declare");
    for label in ["route=\"/api/v1/sessions\"", "route=\"none\"", "class=\"5xx\"", "kind=\"unavailable\"", "reason=\"malformed\""] {
        assert!(scrape.body.lines().any(|line| line.contains(label) && !line.ends_with(" 0")), "{label}");
    }
    assert!(!scrape.body.contains("secret-path"));
}

async fn broken_connection(server: &Server) {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"no HTTP at all\r\n\r\n").await.unwrap();
    let mut rest = vec![];
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

/// A process without stores (an edge alone) shows its health and metrics, and nothing that it does not have.
#[tokio::test]
async fn without_stores_health_and_metrics_are_all_there_is() {
    let (_keep, authority) = watch::channel(Arc::new(Authority::default()));
    let api = Api::bind(Config::default(), None, None, authority, vec![], Some(prometheus().into())).await.unwrap();
    let (address, stop) = (api.local_addr(), CancellationToken::new());
    let running = tokio::spawn(api.run(stop.clone()));
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/api/health", 200), ("/metrics", 200), ("/api/v1/sessions", 404), ("/api/docs/", 404)]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(Answer::parse(&answer).status, status, "{path}");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// The second connection takes the place of the first, and while that is answered no other takes it; long answers wait for each other.
async fn displaced_and_turned_away(server: &Server) {
    let _idle = TcpStream::connect(server.addr).await.unwrap();
    let slow = super::places::busy_with_one().await;
    assert_eq!(server.get("/livez").await.status, 200);
    let mut late = TcpStream::connect(slow.0.addr).await.unwrap();
    let mut nothing = vec![];
    let _ = tokio::time::timeout(PATIENCE, late.read_to_end(&mut nothing)).await.unwrap();
    assert!(nothing.is_empty());
    let slow = super::places::slow(Config { request_timeout: Duration::from_secs(3), ..Config::default() }, Duration::from_secs(6)).await;
    let all = futures::future::join_all((0..8).map(|_| slow.get("/api/v1/sessions"))).await;
    let told: Vec<(u16, &str)> = all.iter().map(|answer| (answer.status, &*answer.body)).collect();
    assert!(told.iter().any(|(_, body)| body.contains("\"busy\"")), "some wait longer than they may: {told:?}");
}
