//! The ledger in the store, after the season: checked, moved, changed by hand.

use serde_json::Value;

use crate::common::boxbox;
use crate::common::place::Place;
use crate::rest::Rest;
use crate::{LEAGUE, ran, run};

/// The store itself: verified, exported and imported elsewhere with the same digests, and a row that is changed by hand is found.
pub(crate) fn ledger_of(place: &Place, tables: &[Value]) {
    let data = place.data();
    let stores = place.engines().map(|engines| engines.store_args()).unwrap_or_default();
    let at: Vec<&str> = ["--data", data.to_str().unwrap()].into_iter().chain(stores.iter().map(String::as_str)).collect();
    assert!(ran(&[&["ledger", "verify"][..], &at].concat()).contains("as they were written"));
    let exported = boxbox(&[&["ledger", "export", LEAGUE][..], &at].concat()).output().unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let file = place.folder().join("gt.ndjson");
    std::fs::write(&file, &exported.stdout).unwrap();

    let other = Place::embedded();
    let (other_data, file) = (other.data(), file.to_str().unwrap().to_owned());
    let there = ["--data", other_data.to_str().unwrap()];
    let import = [&["ledger", "import", LEAGUE, &file][..], &there].concat();
    ran(&import);
    // Again, it is a continuation with nothing new.
    assert!(ran(&import).contains("0 of them new"));
    ran(&[&["ledger", "verify", LEAGUE][..], &there].concat());
    let again = boxbox(&[&["ledger", "export", LEAGUE][..], &there].concat()).output().unwrap();
    assert!(exported.stdout == again.stdout, "an import is exported as it was");
    let server = other.up();
    let rest = Rest { server: &server, league: LEAGUE };
    for table in tables {
        let id = table["table"]["championship"].as_str().unwrap();
        assert_eq!(&rest.get(&format!("/championships/{id}/table?why=1")), table);
        assert_eq!(rest.get(&format!("/championships/{id}/preview"))["digest"], table["digest"]);
    }
    assert!(server.terminate().success());
    by_hand(&other, &CHANGES);
}

/// A row of each table changed or removed, and what is said about it.
const CHANGES: [(&str, &str); 13] = [
    ("UPDATE league_docs SET body = replace(body, '5000000', '1000000') WHERE kind = 'penalty' AND id = 'slow-down'", "enalty"),
    ("DELETE FROM league_docs WHERE kind = 'penalty' AND id = 'out'", "enalty"),
    ("DROP TRIGGER league_ledger_update; UPDATE league_ledger SET body = replace(body, '5000000', '1000000') WHERE kind = 'penalty_given'", "act "),
    ("DROP TRIGGER league_ledger_delete; DELETE FROM league_ledger WHERE seq = (SELECT max(seq) FROM league_ledger)", "act "),
    ("DROP TRIGGER league_revisions_update; UPDATE league_revisions SET state = 'official'", "revision "),
    ("DROP TRIGGER league_revisions_update; UPDATE league_revisions SET difference = '[]' WHERE difference <> '[]'", "revision "),
    ("DROP TRIGGER league_revisions_update; UPDATE league_revisions SET at_us = at_us + 1 WHERE number = 2", "revision "),
    ("DROP TRIGGER league_facts_delete; DELETE FROM league_facts", "facts "),
    ("DROP TRIGGER league_texts_update; UPDATE league_texts SET text = 'Driver 99' WHERE text = 'Driver 3'", "text "),
    ("DROP TRIGGER league_texts_update; UPDATE league_texts SET owner = 'league' WHERE text = 'iracing/5003'", "text "),
    ("INSERT INTO league_texts SELECT tenant, league, zeroblob(32), owner, salt, text FROM league_texts WHERE text = 'Driver 3'", "text "),
    ("DELETE FROM league_heads", "act "),
    ("DELETE FROM league_heads; DROP TRIGGER league_ledger_delete; DELETE FROM league_ledger", "no act"),
];

/// A statement in the file of results.
pub(crate) fn sql(place: &Place, statement: &str) {
    use sqlx::Connection as _;
    let file = place.data().join("results.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut c = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut c).await.unwrap();
        c.close().await.unwrap();
    });
}

/// Each change by hand is found; without it all is well.
pub(crate) fn by_hand(place: &Place, changes: &[(&str, &str)]) {
    let file = place.data().join("results.db");
    let verify = || {
        let data = place.data();
        run(&["ledger", "verify", "--data", data.to_str().unwrap()])
    };
    // All of it is in the one file that is copied.
    sql(place, "PRAGMA wal_checkpoint(TRUNCATE)");
    let (well, said) = verify();
    assert!(well && !said.contains("0 leagues"), "{said}");
    let said_before = said;
    let before = std::fs::read(&file).unwrap();
    for (change, found) in changes {
        sql(place, change);
        let (well, said) = verify();
        assert!(!well && said.contains(found), "{change}: {said}");
        for beside in ["results.db-wal", "results.db-shm"] {
            drop(std::fs::remove_file(place.data().join(beside)));
        }
        std::fs::write(&file, &before).unwrap();
        assert_eq!(verify(), (true, said_before.clone()), "{change}: put back");
    }
}
