//! The page at `/`: that everybody gets it, that it has no data in it, and that it loads from its own address alone.

use std::net::Ipv4Addr;

use super::*;
use crate::page;

/// What a document refers to: the values of its `href` and `src`.
fn references(html: &str) -> Vec<&str> {
    let values = html.split(" href=\"").skip(1).chain(html.split(" src=\"").skip(1));
    values.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn everybody_gets_the_page_and_its_data_needs_a_grant_as_ever() {
    let server = Server::with(Config { listen: (Ipv4Addr::UNSPECIFIED, 0).into(), ..Config::default() }, vec![]).await;
    let home = session("local", 1);
    server.fill(&home, vec![lap(&home, 1)]).await;
    for path in page::PATHS {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!answer.body.contains(&home.id.to_string()), "{path}");
        // The guard lets it pass, and so what is put behind it by mistake: nothing but reading is.
        assert_eq!(server.ask("POST", path, &[]).await.status, 405, "{path}");
    }
    let data: Vec<&str> = references(include_str!("../page/index.html")).into_iter().filter(|to| to.contains("/sessions")).collect();
    assert_eq!(data, ["/api/v1/sessions"]);
    server.get(data[0]).await.problem(401, "grant_required");
    for not_quite in ["//", "/page", "/page.css/", "/./page.js", "/page.css/../api/v1/sessions"] {
        server.get(not_quite).await.problem(401, "grant_required");
    }
}

#[tokio::test]
async fn what_the_page_names_is_there_and_at_its_own_address() {
    let server = Server::start().await;
    let page = server.get("/").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let named = references(&page.body);
    assert!(named.len() >= 6, "{named:?}");
    for to in named.iter().filter(|to| !to.starts_with("data:")) {
        assert!(to.starts_with('/') && !to.starts_with("//"), "{to}");
        assert_eq!(server.get(to).await.status, 200, "{to}");
    }
    for path in page::PATHS {
        let text = server.get(path).await.body;
        assert!(!["http://", "https://", "@import", "url("].iter().any(|elsewhere| text.contains(elsewhere)), "{path} names another address");
    }
    // Texts that others chose (names of drivers and tracks) must not become markup.
    let script = server.get("/page.js").await.body;
    assert!(!["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("].iter().any(|way| script.contains(way)));
}
