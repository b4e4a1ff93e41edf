//! The form of acts.

use boxbox_race::league::{Act, Code, Sanction};

const PENALTY: &str = r#"{"kind":"penalty_given","penalty":"p1","at":{"session":"monza-race"},"against":{"entry":"car-7"},
    "sanction":{"kind":"time","us":5000000},"reason":"0000000000000000000000000000000000000000000000000000000000000001"}"#;

#[test]
fn an_act_is_read_and_written_canonically() {
    let act = Act::parse(PENALTY).unwrap();
    assert_eq!(act.kind(), "penalty_given");
    assert!(matches!(&act, Act::PenaltyGiven(given) if given.sanction == Sanction::Time { us: 5_000_000 }));
    let body = act.body();
    assert_eq!(Act::parse(&body).unwrap(), act);
    assert!(body.starts_with(r#"{"against":{"entry":"car-7"},"at""#), "{body}");
}

#[test]
fn an_unknown_field_is_refused() {
    for (with, without) in
        [(r#""us":5000000"#, r#""us":5000000,"points":1"#), (r#""penalty":"p1""#, r#""penalty":"p1","name":"Ann""#), (r#""p1""#, r#""P 1""#)]
    {
        let refusal = Act::parse(&PENALTY.replace(with, without)).unwrap_err();
        assert_eq!(refusal.code, Code::Malformed, "{refusal}");
    }
    let disqualified = PENALTY.replace(r#"{"kind":"time","us":5000000}"#, r#"{"kind":"disqualified","us":1}"#);
    assert!(Act::parse(&disqualified).is_err());
}
