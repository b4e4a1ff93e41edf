//! kill -9 in the middle of decisions: what was answered is there; what was not answered is there as a whole, or not at all; sent again under its
//! key, it is there once.

use std::collections::BTreeSet;
use std::time::Duration;

use boxbox_testkit::campaign::{rounds, seeded};
use serde_json::{Value, json};

use crate::common::place::Place;
use crate::common::{Server, free_port};
use crate::rest::Rest;
use crate::score::CARS;
use crate::{LEAGUE, begin, csv, race, ran, season, slug};

/// The event whose race is decided about.
const EVENT: usize = 1;

/// Penalties that were sent, by their number.
#[derive(Default)]
struct Sent {
    next: usize,
    answered: BTreeSet<String>,
    unanswered: Option<usize>,
}

fn id(number: usize) -> String {
    format!("p{number}")
}

/// Sends a penalty that changes the result of the race, and with it the table.
fn give(rest: &Rest<'_>, number: usize) -> Result<(u16, Value), ureq::Error> {
    let (car, seconds) = (number % CARS, 1 + number / CARS);
    let body = json!({ "penalty": id(number), "at": { "session": race(EVENT) }, "against": { "entry": format!("e{car}") },
        "sanction": { "kind": "time", "us": seconds * 1_000_000 }, "reason": "Too fast in the pits" });
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", &id(number) as &str)];
    rest.attempt("POST", "/penalties", &headers, body.to_string().as_bytes()).map(|(status, _, document)| (status, document))
}

impl Sent {
    /// One penalty after the other, until the process dies of a kill -9 some time from now.
    fn until_killed(&mut self, server: &Server, after: Duration) {
        let rest = Rest { server, league: LEAGUE };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(after);
                let killed = std::process::Command::new("kill").arg("-KILL").arg(server.pid().to_string()).status();
                assert!(killed.unwrap().success());
            });
            loop {
                let number = self.next;
                self.next += 1;
                match give(&rest, number) {
                    Ok((status, document)) => {
                        assert_eq!(status, 200, "{document}");
                        self.answered.insert(id(number));
                    }
                    Err(_) => break self.unanswered = Some(number),
                }
            }
        });
    }

    /// Nothing that was answered is missing, and what is there is there as a whole.
    fn assert_whole(&mut self, rest: &Rest<'_>) {
        let unanswered = self.unanswered.take().expect("a killed process leaves one request without an answer");
        let given = given(rest);
        let kept: BTreeSet<String> = given.iter().cloned().collect();
        assert!(self.answered.is_subset(&kept), "answered and not there: {:?}", self.answered.difference(&kept));
        let more: Vec<&String> = kept.difference(&self.answered).collect();
        assert!(more.iter().all(|more| **more == id(unanswered)), "there and never sent: {more:?}");
        consequences(rest, given.len());

        let (status, document) = give(rest, unanswered).unwrap();
        assert_eq!(status, 200, "the same request again: {document}");
        self.answered.insert(id(unanswered));
        assert_eq!(self::given(rest).len(), self.answered.len(), "a request that is sent again is done once");
        consequences(rest, self.answered.len());
    }
}

/// The penalties in the ledger.
fn given(rest: &Rest<'_>) -> Vec<String> {
    let penalties = rest.ledger().into_iter().filter(|act| act["kind"] == "penalty_given");
    penalties.map(|act| act["body"]["penalty"].as_str().unwrap().to_owned()).collect()
}

/// Each penalty has made a revision of the result; result and table are what follows from the ledger.
fn consequences(rest: &Rest<'_>, penalties: usize) {
    let revisions = rest.get(&format!("/sessions/{}/revisions?limit=500", race(EVENT)));
    assert_eq!(revisions["revisions"].as_array().unwrap().len(), 1 + penalties, "{revisions}");
    for (published, computed) in [
        ("/championships/drivers/table".to_owned(), "/championships/drivers/preview".to_owned()),
        (format!("/sessions/{}/result", race(EVENT)), format!("/sessions/{}/preview", race(EVENT))),
    ] {
        assert_eq!(rest.get(&published)["digest"], rest.get(&computed)["digest"], "{published}");
    }
    assert_eq!(rest.get("")["head"].as_u64(), Some(rest.ledger().len() as u64));
}

#[test]
fn a_killed_server_leaves_no_half_decision() {
    const TEST: &str = "a_killed_server_leaves_no_half_decision";
    let mut random = seeded(TEST);
    for place in Place::both(TEST) {
        let (quic, api, args) = (free_port().to_string(), free_port().to_string(), place.args());
        let start = || Server::start(&place.with(&args, &["up", "--quic-port", &quic, "--api-port", &api]));
        let mut server = start();
        {
            let rest = Rest { server: &server, league: LEAGUE };
            begin(&place, &rest);
            rest.acts(&json!({ "kind": "session_set", "session": race(EVENT), "event": slug(EVENT), "role": "feature" }));
            rest.file(&format!("/sessions/{}/facts", race(EVENT)), &csv(&season().driven[EVENT]));
            rest.publish(&json!({ "session": race(EVENT) }), "provisional");
            rest.publish(&json!({ "championship": "drivers" }), "provisional");
        }
        let mut sent = Sent::default();
        for _ in 0..rounds() {
            sent.until_killed(&server, Duration::from_millis(random.u64(20..1_000)));
            server.kill();
            server = start();
            sent.assert_whole(&Rest { server: &server, league: LEAGUE });
        }
        assert!(sent.answered.len() > rounds() as usize, "some were answered before a kill");
        assert!(server.terminate().success());
        let stores = place.engines().map(|engines| engines.store_args()).unwrap_or_default();
        let data = place.data();
        let verify = ["ledger", "verify", "--data", data.to_str().unwrap()].into_iter().chain(stores.iter().map(String::as_str));
        assert!(ran(&verify.collect::<Vec<_>>()).contains("as they were written"));
    }
}
