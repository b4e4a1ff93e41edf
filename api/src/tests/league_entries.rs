//! Entries from CSV: nothing is lost, and the same file again changes nothing (`league.import`).

use std::collections::BTreeSet;

use super::leagues::{MANAGE, begin, made};
use super::*;

async fn import(server: &Server, token: &str, csv: &str) -> Answer {
    server.post(Some(token), "gt/seasons/s1/entries/import", "", csv).await
}

async fn head(server: &Server, token: &str) -> u64 {
    server.league(token, "").await.json()["head"].as_u64().unwrap()
}

/// The persons of each entry, with their names.
async fn persons(server: &Server, token: &str) -> Vec<(String, Vec<(String, Value)>)> {
    let page = server.league(token, "/seasons/s1/entries").await.json();
    let named = |id: &Value| (id.as_str().unwrap().to_owned(), page["names"]["persons"][id.as_str().unwrap()].clone());
    let one = |entry: &Value| {
        let of = entry["intervals"][0][1]["persons"].as_array().unwrap().iter().map(named).collect();
        (entry["entry"].as_str().unwrap().to_owned(), of)
    };
    page["entries"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn teams_of_different_names_are_different_teams() {
    let server = Server::start().await;
    let admin = server.grant("club", MANAGE);
    server.acts(&admin, &made()).await.json();
    let long = ["The very long name of a racing team of the north", "The very long name of a racing team of the south"];
    let names = ["日本", "日産", "Rödel", "R del", "Radel", "Red Racing", "Красные", "+", long[0], long[1]];
    let lines: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("{at},Driver {at},{name},{at}")).collect();
    let file = |lines: &[String]| format!("number,name,team,account\n{}\n", lines.join("\n"));
    import(&server, &admin, &file(&lines)).await.json();
    let teams = async || {
        let teams = server.league(&admin, "").await.json()["teams"].clone();
        teams.as_array().unwrap().iter().map(|team| (team["id"].as_str().unwrap().to_owned(), team["name"].clone())).collect::<Vec<_>>()
    };
    let first = teams().await;
    let called: BTreeSet<&str> = first.iter().map(|(_, name)| name.as_str().unwrap()).collect();
    assert_eq!(called, BTreeSet::from(names), "each has its team");
    assert!(first.contains(&("red-racing".into(), "Red Racing".into())) && first.contains(&("r-del".into(), "R del".into())), "{first:?}");
    let page = server.league(&admin, "/seasons/s1/entries").await.json();
    for (at, name) in names.iter().enumerate() {
        let entry = page["entries"].as_array().unwrap().iter().find(|entry| entry["entry"] == format!("car-{at}")).unwrap();
        let team = entry["intervals"][0][1]["team"].as_str().unwrap();
        assert_eq!(page["names"]["teams"][team], *name);
    }
    let before = head(&server, &admin).await;
    let mut turned = lines.clone();
    turned.reverse();
    for again in [&lines, &turned] {
        import(&server, &admin, &file(again)).await.json();
        assert_eq!(head(&server, &admin).await, before, "the same file, in any order, changes nothing");
    }
    assert_eq!(teams().await, first);
}

#[tokio::test]
async fn a_file_without_accounts_changes_nothing_the_second_time() {
    let server = Server::start().await;
    let admin = server.grant("club", MANAGE);
    server.acts(&admin, &made()).await.json();
    for file in ["number,name\n1,Ann\n2,Bo\n", "number,name\n7,Cy\n7,Di\n8,Ann\n", "number\n20\n21\n", "number,name\n30,Ed\n30,Ed\n"] {
        import(&server, &admin, file).await.json();
        let (now, who) = (head(&server, &admin).await, persons(&server, &admin).await);
        import(&server, &admin, file).await.json();
        assert_eq!((head(&server, &admin).await, persons(&server, &admin).await), (now, who), "{file}");
    }
    // Accounts that come later are those of the persons who are entered.
    let who = persons(&server, &admin).await;
    import(&server, &admin, "number,name,account\n1,Ann,100\n2,Bo,200\n").await.json();
    assert_eq!(persons(&server, &admin).await, who);
    let now = head(&server, &admin).await;
    import(&server, &admin, "number,name\n1,ANN\n2,Bo\n").await.json();
    assert_eq!(head(&server, &admin).await, now, "a line without an account means the person of that name");
    let problem = import(&server, &admin, "number,name\n2,Bo\n1,Zoe\n").await.problem(422, "bad_csv");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("line 3") && detail.contains("Ann"), "who drives with an account is not replaced: {detail}");
    assert_eq!((head(&server, &admin).await, persons(&server, &admin).await), (now, who));
}

#[tokio::test]
async fn faults_of_a_file_are_told_with_their_line() {
    let server = Server::start().await;
    let admin = server.grant("club", MANAGE);
    begin(&server, &admin).await;
    let now = head(&server, &admin).await;
    for (file, says) in [
        ("number,name,account\n3,\"Cy,300\n4,Di,400\n", "line 2"),
        ("number,name,account\n3,Cy,300\n4,\"Di,400", "line 3"),
        ("number,name,account\n3,\"C\ny\",300\n", "line 2"),
        ("number,name,account\n3,\u{1b}[2JCy,300\n", "line 2"),
        ("number,name,account\n3,\u{202e}yC,300\n", "line 2"),
        ("number,name,account,team\n3,Cy,300,A\n3,Di,400,B\n", "line 3"),
        ("number,name,account\n7a,Cy,300\n7A,Di,400\n", "line 3"),
        ("number,colour\n3,red\n", "the columns are entry, number"),
    ] {
        let problem = import(&server, &admin, file).await.problem(422, "bad_csv");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{file:?}: {problem}");
    }
    assert_eq!(head(&server, &admin).await, now, "nothing was written");
}

/// A league that was brought here without its texts: who hashes accounts anew would make other drivers of all.
#[tokio::test]
async fn accounts_are_not_hashed_anew_where_the_salt_is_lost() {
    use boxbox_schemas::league::{Erasure, Write};
    use boxbox_store::Leagues as _;

    let one = Server::start().await;
    let send = async |server: &Server, path: &str, body: &str| server.post(None, path, "X-Boxbox: 1\r\n", body).await;
    send(&one, "gt/acts", &made().to_string()).await.json();
    send(&one, "gt/seasons/s1/entries/import", "number,name,account\n1,Ann,100\n").await.json();
    let now = one.get("/api/v1/leagues/gt").await.json()["head"].as_u64().unwrap();
    let (tenant, league) = ("local".parse::<TenantId>().unwrap(), "gt".parse().unwrap());
    let lost = Write { erased: vec![Erasure::Owner("league-salt".into())], ..Write::of(tenant, league, now, vec![]) };
    drop(one.results.write(&lost).await.unwrap());

    let two = Server::on(Config::default(), vec![], one.results.clone(), Arc::new(one.results.clone())).await;
    for (path, body) in [
        ("gt/seasons/s1/entries/import", "number,name,account\n1,Ann,100\n2,Bo,200\n"),
        ("gt/sessions/race/facts", "account,laps,time\n100,10,900.0\n"),
        ("gt/sessions/race/attach", "account,laps,time\n100,10,900.0\n"),
    ] {
        send(&two, path, body).await.problem(409, "salt_unknown");
    }
    send(&two, "gt/acts", r#"{"kind":"team_set","team":"t"}"#).await.json();
    send(&two, "gt/seasons/s1/entries/import", "number,name,account\n1,Ann,100\n2,Bo,200\n").await.problem(409, "salt_unknown");
}
