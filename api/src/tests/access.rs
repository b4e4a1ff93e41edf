//! Who may read what.

use std::net::Ipv4Addr;

use super::*;

/// Listens on every address of this machine, which is none of loopback's.
async fn public() -> Server {
    Server::with(Config { listen: (Ipv4Addr::UNSPECIFIED, 0).into(), ..Config::default() }, vec![]).await
}

/// Every GET route of the document that shows data of a tenant, for `home`, which is filled so that each answers. So a route
/// that is added is tested here, or this test does not know how to ask it and says so.
async fn paths_of(server: &Server, home: &SessionInfo) -> Vec<String> {
    server.fill(home, vec![lap(home, 1), lap(home, 2)]).await;
    server.archive(home, 0, 300).await;
    let (_, document) = crate::routes::described();
    // Those of leagues are asked in `leagues.rs`.
    let own = |path: &&String| (path.contains("{session}") && !path.contains("{league}")) || path.contains("compare");
    let gets = document.paths.paths.iter().filter(|(_, item)| item.get.is_some()).map(|(path, _)| path);
    let paths: Vec<String> = gets.filter(own).map(|path| asked(path, home)).collect();
    assert!(paths.len() >= 15, "{paths:?}");
    paths
}

fn asked(path: &str, home: &SessionInfo) -> String {
    let query = if path.contains("compare") { format!("?a={}/max/1&b={}/max/2", home.id, home.id) } else { String::new() };
    let path = &["league", "season", "championship", "ruleset"]
        .iter()
        .fold(path.replace("{version}", "1"), |path, of| path.replace(&format!("{{{of}}}"), "gt"));
    let filled = path.replace("{session}", &home.id.to_string()).replace("{entry}", "max").replace("{number}", "1") + &query;
    assert!(!filled.contains('{'), "{path} has a parameter that this test does not know");
    filled
}

#[tokio::test]
async fn a_tenant_sees_its_own_and_nothing_else() {
    let server = Server::start().await;
    let (mine, theirs) = (session("local", 1), session("league", 1));
    let (my_paths, their_paths) = (paths_of(&server, &mine).await, paths_of(&server, &theirs).await);
    let league = server.grant("league", &[Ability::Read]);
    for path in &my_paths {
        assert_eq!(server.get(path).await.status, 200, "{path}");
        server.get_as(&league, path).await.problem(404, "not_found");
    }
    for path in &their_paths {
        assert_eq!(server.get_as(&league, path).await.status, 200, "{path}");
        server.get(path).await.problem(404, "not_found");
    }
    let ids = |list: Value| list["sessions"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(server.get("/api/v1/sessions").await.json()), [mine.id.to_string()]);
    assert_eq!(ids(server.get_as(&league, "/api/v1/sessions").await.json()), [theirs.id.to_string()]);
    // A cursor of another tenant's list opens nothing.
    let cursor = format!("/api/v1/sessions?cursor=99999999~{}", theirs.id);
    assert_eq!(ids(server.get(&cursor).await.json()), [mine.id.to_string()]);
}

#[tokio::test]
async fn away_from_loopback_every_request_needs_a_grant() {
    let server = public().await;
    let home = session("local", 1);
    let mut paths = paths_of(&server, &home).await;
    paths.extend(["/api/v1/sessions", "/api/health", "/metrics", "/nowhere"].map(str::to_owned));
    // And whatever else the document has, but for the probes.
    let (_, document) = crate::routes::described();
    for (path, item) in document.paths.paths.iter().filter(|(path, _)| !path.ends_with('z')) {
        let method = if item.get.is_some() { "GET" } else { "POST" };
        server.ask(method, &asked(path, &home), &[]).await.problem(401, "grant_required");
    }
    for path in &paths {
        let answer = server.get(path).await;
        answer.problem(401, "grant_required");
        assert_eq!(answer.header("www-authenticate"), Some("bearer realm=\"boxbox\""), "{path}");
    }
    server.ask("POST", "/api/v1/sessions", &[]).await.problem(401, "grant_required");
    let reader = server.grant("local", &[Ability::Read]);
    for path in &paths[..paths.len() - 1] {
        assert_eq!(server.get_as(&reader, path).await.status, 200, "{path}");
    }
    for open in ["/livez", "/readyz", "/api/v1/openapi.json", "/api/docs/", "/api/docs/swagger-ui.css"] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
    for not_quite in ["/livez/", "//livez", "/livez/../api/v1/sessions", "/LIVEZ", "/api/docsx", "/api/docs/../v1/sessions"] {
        server.get(not_quite).await.problem(401, "grant_required");
    }
}

#[tokio::test]
async fn a_grant_that_does_not_hold_is_refused_even_on_loopback() {
    let server = Server::start().await;
    let good = server.grant("league", &[Ability::Read]);
    server.get_as(&good, "/api/v1/sessions").await.json();
    server.get_as(&server.grant("league", &[Ability::Car, Ability::Meta]), "/api/v1/sessions").await.problem(403, "no_read_ability");
    let event = Grant { event: Some("cup".into()), ..grant("league", &[Ability::Read]) };
    server.get_as(&server.sign(&event), "/api/v1/sessions").await.problem(403, "event_only");
    let expired = Grant { expires: 1, ..grant("league", &[Ability::Read]) };
    server.get_as(&server.sign(&expired), "/api/v1/sessions").await.problem(401, "expired");
    let stranger = SigningKey::generate().unwrap().sign(&grant("league", &[Ability::Read])).unwrap();
    server.get_as(&stranger, "/api/v1/sessions").await.problem(401, "unknown_key");
    server.get_as("rubbish", "/api/v1/sessions").await.problem(401, "malformed");
    for header in ["", "Bearer", "Basic dXNlcjpwYXNz", &format!("Token {good}")] {
        let answer = server.ask("GET", "/api/v1/sessions", &[("Authorization", header)]).await;
        assert!(answer.status == 401, "{header}: {}", answer.body);
    }
    let twice = [("Authorization", &*format!("Bearer {good}")), ("Authorization", &*format!("Bearer {good}"))];
    server.ask("GET", "/api/v1/sessions", &twice).await.problem(401, "bearer_required");
    assert_eq!(server.ask("GET", "/api/v1/sessions", &[("authorization", &format!("bearer  {good}"))]).await.status, 200);

    server.authority.send_replace(Arc::new(Authority::new([server.key.public()], [GrantId([5; 16])])));
    server.get_as(&good, "/api/v1/sessions").await.problem(401, "revoked");
}

#[tokio::test]
async fn while_it_is_not_known_which_grants_hold_each_is_refused_for_now() {
    let server = Server::start().await;
    let good = server.grant("league", &[Ability::Read]);
    let known = server.authority.send_replace(Arc::new(Authority::unavailable()));
    let answer = server.get_as(&good, "/api/v1/sessions").await;
    answer.problem(503, "grants_unavailable");
    assert!(answer.header("retry-after").is_some(), "it says when to try again");
    server.get_as("rubbish", "/api/v1/sessions").await.problem(503, "grants_unavailable");
    server.authority.send_replace(known);
    assert_eq!(server.get_as(&good, "/api/v1/sessions").await.status, 200);
}

/// A web page of another name that was made to point here (DNS rebinding) gets nothing without a grant.
#[tokio::test]
async fn on_loopback_only_this_machines_names_are_answered() {
    let server = Server::start().await;
    let port = server.addr.port();
    for host in ["localhost".to_owned(), format!("localhost:{port}"), "127.0.0.1".to_owned(), format!("[::1]:{port}")] {
        assert_eq!(server.ask("GET", "/api/v1/sessions", &[("Host", &host)]).await.status, 200, "{host}");
    }
    for path in ["/api/v1/sessions", "/metrics", "/api/health"] {
        server.ask("GET", path, &[("Host", &format!("evil.example:{port}"))]).await.problem(403, "not_localhost");
        server.ask("GET", path, &[("Host", "localhost"), ("Host", "evil.example")]).await.problem(403, "not_localhost");
    }
    server.ask("GET", "http://evil.example/api/v1/sessions", &[("Host", "localhost")]).await.problem(403, "not_localhost");
    server.raw("GET /api/v1/sessions HTTP/1.0\r\n\r\n").await.problem(401, "grant_required");
    let reader = format!("Bearer {}", server.grant("local", &[Ability::Read]));
    assert_eq!(server.ask("GET", "/api/v1/sessions", &[("Host", "proxy.example"), ("Authorization", &reader)]).await.status, 200);
}

/// What browsers say when a page of another address makes them ask: an image, a frame, a link, a script's request, of another
/// site or of another program at this machine, and of a browser that says `Origin` only.
const BY_ANOTHER_PAGE: [&[(&str, &str)]; 6] = [
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-User", "?1")],
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Origin", "https://evil.example")],
    &[("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
    &[("Origin", "http://evil.example")],
];

#[tokio::test]
async fn on_loopback_no_page_of_another_address_is_answered() {
    let server = Server::start().await;
    let home = session("local", 1);
    let mut paths = paths_of(&server, &home).await;
    paths.extend(["/api/v1/sessions", "/api/health", "/metrics"].map(str::to_owned));
    let typed = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-User", "?1")];
    let here = format!("http://{}", server.addr);
    let by_the_reader = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Origin", &*here)];
    let granted = format!("Bearer {}", server.grant("local", &[Ability::Read]));
    for path in &paths {
        for allowed in [&typed[..], &by_the_reader] {
            assert_eq!(server.ask("GET", path, allowed).await.status, 200, "{path} {allowed:?}");
        }
        for headers in BY_ANOTHER_PAGE {
            server.ask("GET", path, headers).await.problem(403, "cross_site");
            let with_grant = [headers, &[("Authorization", &*granted)]].concat();
            assert_eq!(server.ask("GET", path, &with_grant).await.status, 200, "{path} {headers:?}: a grant is all that is asked for");
        }
    }
    for headers in BY_ANOTHER_PAGE {
        // What says nothing of anybody's data, so that a link to the reader works.
        for open in ["/livez", "/readyz", "/api/v1/openapi.json", "/api/docs/", "/api/docs/swagger-ui.css"] {
            assert_eq!(server.ask("GET", open, headers).await.status, 200, "{open} {headers:?}");
        }
        // Also a request that is marked, a browser's question whether it may, and one for nothing.
        let close = format!("/api/v1/sessions/{}/close", home.id);
        server.ask("POST", &close, &[headers, &[("X-Boxbox", "1")]].concat()).await.problem(403, "cross_site");
        let asked = server.ask("OPTIONS", "/api/v1/sessions", &[headers, &[("Access-Control-Request-Method", "GET")]].concat()).await;
        asked.problem(403, "cross_site");
        assert!(!asked.head.contains("access-control-allow"), "{}", asked.head);
        server.ask("GET", "/nowhere", headers).await.problem(403, "cross_site");
    }
    let scrape = server.get("/metrics").await.body;
    let refused = scrape.lines().find_map(|line| line.strip_prefix("boxbox_api_refused_total{reason=\"cross_site\"} "));
    assert!(refused.is_some_and(|n| n != "0"), "{scrape}");
}

#[tokio::test]
async fn away_from_loopback_a_grant_is_all_that_is_asked_for() {
    let server = public().await;
    let granted = format!("Bearer {}", server.grant("local", &[Ability::Read]));
    for headers in BY_ANOTHER_PAGE {
        server.ask("GET", "/api/v1/sessions", headers).await.problem(401, "grant_required");
        let with_grant = [headers, &[("Authorization", &*granted)]].concat();
        assert_eq!(server.ask("GET", "/api/v1/sessions", &with_grant).await.status, 200, "{headers:?}");
    }
}
