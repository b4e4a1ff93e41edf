//! Acts as ledgers have them. A program must read every act that an earlier one wrote, and write it the same.

use std::collections::BTreeSet;

use boxbox_race::league::{Act, Digest, League};

use crate::world::F1;

const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An act of each kind, in an order in which they can follow each other; `RULES` and `HASH` stand for the ruleset and its hash.
const LEDGER: &str = r#"{"kind":"league_set","league":"l","time_zone":"Europe/Berlin"}
{"document":"RULES","hash":"HASH","kind":"ruleset_added","ruleset":"r","version":1}
{"kind":"series_set","series":"gt","sim":"iracing"}
{"kind":"season_set","rules":{"ruleset":"r","version":1},"season":"s","series":"gt","starts":"2026-01-01","unclaimed":"guests"}
{"cars":["Porsche 911 GT3 R"],"class":"gt3","kind":"class_set","scoring":"rules","season":"s"}
{"cancelled":false,"date":"2026-03-08","droppable":true,"event":"e1","index":10,"kind":"event_set","multiplier":"3/2","season":"s"}
{"kind":"ruleset_adopted","reason":"ZERO","from":{"event":"e1"},"ruleset":"r","season":"s","version":1}
{"kind":"ruleset_adopted","reason":"ZERO","from":"recompute_all","ruleset":"r","season":"s","version":1}
{"championship":"d","class_change":"points_stay","classes":["gt3"],"event_points":"sum","kind":"championship_set","points":{"heat":"none","sprint":"race"},"season":"s","subject":"driver"}
{"best_cars":{"cars":2,"per":"session"},"championship":"t","class_change":"restart","event_points":"best","kind":"championship_set","season":"s","subject":"team"}
{"event":"e1","kind":"session_set","planned_laps":20,"role":"feature","session":"e1-race","telemetry":["00112233445566778899aabbccddeeff"]}
{"kind":"person_added","name":"ZERO","person":"p-00000000000000000000000001"}
{"kind":"person_added","person":"p-00000000000000000000000002"}
{"account":"ZERO","from_event":"e1","kind":"account_linked","person":"p-00000000000000000000000001","sim":"iracing"}
{"kind":"person_merged","new":"p-00000000000000000000000001","old":"p-00000000000000000000000002","reason":"ZERO"}
{"kind":"person_erased","person":"p-00000000000000000000000002"}
{"kind":"team_set","name":"ZERO","team":"a"}
{"kind":"member_set","person":"p-00000000000000000000000001","role":"driver","team":"a","to_event":"e1"}
{"details":{"car":"Porsche 911 GT3 R","class":"gt3","manufacturer":"porsche","number":"007","persons":["p-00000000000000000000000001"],"status":"registered","team":"a"},"entry":"car-7","kind":"entry_set","season":"s"}
{"facts":"ZERO","kind":"facts_changed","session":"e1-race"}
{"car":"00000000000000000000000000000001","details":{"class":"gt3","persons":["p-00000000000000000000000001"],"status":"registered"},"entry":"car-7","kind":"bound","session":"e1-race"}
{"car":"00000000000000000000000000000001","kind":"rebound","reason":"ZERO","session":"e1-race","to":{"as":"unclaimed"}}
{"car":"00000000000000000000000000000001","kind":"rebound","reason":"ZERO","session":"e1-race","to":{"as":"entry","details":{"class":"gt3","status":"guest"},"entry":"car-7"}}
{"against":{"entry":"car-7"},"at":{"session":"e1-race"},"kind":"penalty_given","penalty":"p1","reason":"ZERO","sanction":{"kind":"time","us":5000000},"state":"in_force"}
{"against":{"person":"p-00000000000000000000000001"},"at":{"season":"s"},"kind":"penalty_given","penalty":"p2","reason":"ZERO","sanction":{"championship":"d","kind":"season_points","points":"5"},"state":"proposed"}
{"kind":"penalty_changed","penalty":"p1","reason":"ZERO","state":"rescinded"}
{"change":{"field":"line_us","new":1800000000,"old":null},"entry":"car-7","kind":"override","reason":"ZERO","session":"e1-race"}
{"change":{"championship":"d","field":"points","new":"33/2","old":"25"},"entry":"car-7","kind":"override","reason":"ZERO","session":"e1-race"}
{"body":"ZERO","digest":"ZERO","facts":"ZERO","kind":"published","revision":1,"rules":"ZERO","scope":{"session":"e1-race"},"seq":3,"state":"provisional"}"#;

#[test]
fn an_act_of_every_kind_is_read_and_written_the_same_and_can_follow_the_ones_before() {
    let rules = boxbox_race::scoring::Ruleset::parse(F1).unwrap();
    let document = F1.replace('"', "\\\"");
    let ledger = LEDGER.replace("RULES", &document).replace("HASH", &Digest(rules.hash()).to_string()).replace("ZERO", ZERO);
    let (mut league, mut kinds) = (League::default(), BTreeSet::new());
    for (seq, body) in (1..).zip(ledger.lines()) {
        let act = Act::parse(body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let sorted: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(act.body(), sorted.to_string(), "act {seq}");
        league.check(&act).unwrap_or_else(|e| panic!("{e}: {body}"));
        assert!(!league.apply(seq, &act).is_empty(), "{body}");
        kinds.insert(act.kind());
    }
    assert_eq!(kinds, Act::KINDS.iter().copied().collect());
    let docs: BTreeSet<_> = league.docs().iter().map(|doc| doc.kind).collect();
    assert_eq!(docs, boxbox_race::league::DocKind::ALL.iter().copied().collect());
}
