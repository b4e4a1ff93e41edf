//! The validator against records that fit, that do not, and that come in the wrong order.

use boxbox_schemas::event::{EventFrame, GapFrame};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::record::Content;
use boxbox_schemas::{RunId, Source};
use boxbox_testkit::frames;
use proptest::prelude::*;

use super::*;

const ALL: Abilities = Abilities { car: true, field: true, meta: true };

fn head() -> StreamHead {
    StreamHead { stream: 1, run: RunId([7; 16]), source: frames::source(5) }
}

fn prelude(kind: Kind, first_seq: u64, count: u16) -> Prelude {
    Prelude { count, ..frames::prelude(kind, head().run, head().source, first_seq) }
}

fn car(first: u64, frames: &[CarFrame]) -> Bytes {
    frames::sealed(prelude(Kind::CAR, first, 1), frames)
}

fn gap(first: u64, next: u64) -> Bytes {
    frames::sealed(prelude(Kind::GAP, first, 1), &[GapFrame { next, ..GapFrame::default() }])
}

/// A client that claims to have been acked far beyond any stream is refused by a name, and an honest client resumes where it likes.
#[test]
fn a_base_far_ahead_and_an_endless_gap_are_refused() {
    for base in [FIRST_BASE_MAX + 1, 1 << 40, (1 << 48) - 10] {
        let refusal = Validator::new(head(), ALL).validate(base, car(base, &[CarFrame::default()])).unwrap_err();
        assert_eq!((refusal.code, refusal.reason), (CloseCode::SEQUENCE, "base_far"));
        let refusal = Validator::new(head(), ALL).validate(0, gap(0, base)).unwrap_err();
        assert_eq!((refusal.code, refusal.reason), (CloseCode::FRAMING, "gap"));
    }
    for base in [0, 5_000_000, FIRST_BASE_MAX] {
        let mut validator = Validator::new(head(), ALL);
        assert_eq!(validator.validate(base, gap(base, base + FIRST_BASE_MAX)).unwrap().next, base + FIRST_BASE_MAX, "{base}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Good(u16),
    NotFinite(u16),
    Gap(u64),
    /// Begins this far off.
    Shifted(i64),
    BaseBeyond,
    BaseFalls,
    Damaged(prop::sample::Index),
    OtherRun,
    OtherSource,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u16..6).prop_map(Step::Good),
        3 => (1u16..6).prop_map(Step::NotFinite),
        2 => (1u64..50).prop_map(Step::Gap),
        1 => prop_oneof![-5i64..0, 1i64..5].prop_map(Step::Shifted),
        1 => Just(Step::BaseBeyond),
        1 => Just(Step::BaseFalls),
        1 => any::<prop::sample::Index>().prop_map(Step::Damaged),
        1 => Just(Step::OtherRun),
        1 => Just(Step::OtherSource),
    ]
}

proptest! {
    /// The model: contiguous from the first base; a refusal moves nothing, names what was expected, and the right
    /// record passes afterwards; a void takes the range of what it replaces.
    #[test]
    fn what_passes_is_contiguous_from_the_base(start in 10u64..1_000_000, steps in proptest::collection::vec(step(), 1..40)) {
        let mut validator = Validator::new(head(), ALL);
        prop_assert!(validator.validate(start, car(start, &[CarFrame::default()])).is_ok());
        let (mut at, base) = (start + 1, start);
        for step in steps {
            let one = [CarFrame::default()];
            let (sent_base, record, code) = match &step {
                Step::Good(n) => (base, car(at, &vec![one[0]; usize::from(*n)]), None),
                Step::NotFinite(n) => (base, car(at, &vec![CarFrame { yaw_rad: f32::NAN, ..one[0] }; usize::from(*n)]), None),
                Step::Gap(n) => (base, gap(at, at + n), None),
                Step::Shifted(by) => (base, car(at.saturating_add_signed(*by), &one), Some(CloseCode::SEQUENCE)),
                Step::BaseBeyond => (at + 1, car(at, &one), Some(CloseCode::SEQUENCE)),
                Step::BaseFalls => (base - 1, car(at, &one), Some(CloseCode::SEQUENCE)),
                Step::Damaged(place) => {
                    let mut bytes = car(at, &one).to_vec();
                    // Behind version and kind, so that only the checksum can tell.
                    let place = 10 + place.index(bytes.len() - 10);
                    bytes[place] ^= 1;
                    (base, bytes.into(), Some(CloseCode::CRC))
                }
                Step::OtherRun => (base, seal(&Prelude { run: RunId([8; 16]), ..prelude(Kind::EVENT, at, 1) }, &archive(&EventFrame::default())).unwrap(), Some(CloseCode::SCOPE)),
                Step::OtherSource => {
                    let source = Source { session_num: 2, ..head().source };
                    (base, seal(&Prelude { source, ..prelude(Kind::EVENT, at, 1) }, &archive(&EventFrame::default())).unwrap(), Some(CloseCode::SCOPE))
                }
            };
            match validator.validate(sent_base, record.clone()) {
                Err(refusal) => {
                    prop_assert_eq!(Some(refusal.code), code, "{:?}", step);
                    prop_assert_eq!(refusal.expected, at);
                }
                Ok(passed) => {
                    prop_assert_eq!(code, None, "{:?}", step);
                    prop_assert_eq!(passed.first, at);
                    let logged = Record::parse(passed.record.clone()).unwrap();
                    prop_assert_eq!(logged.prelude().first_seq, at);
                    prop_assert_eq!(logged.next_seq().unwrap(), passed.next);
                    let spoilt = matches!(step, Step::NotFinite(_));
                    prop_assert_eq!(passed.void, spoilt.then_some(Reject::NOT_FINITE));
                    prop_assert_eq!(logged.prelude().kind == Kind::VOID, spoilt);
                    if !spoilt { prop_assert_eq!(passed.record, record) }
                    at = passed.next;
                }
            }
            prop_assert_eq!(validator.expected(), Some(at));
        }
    }

    #[test]
    fn a_stream_starts_at_its_base_and_nowhere_else(base in 0u64..100, first in 0u64..100) {
        let passed = Validator::new(head(), ALL).validate(base, car(first, &[CarFrame::default()]));
        prop_assert_eq!(passed.is_ok(), base == first);
    }

    #[test]
    fn rubbish_is_refused_by_name(bytes in proptest::collection::vec(any::<u8>(), 0..400), base: u64) {
        let refused = Validator::new(head(), ALL).validate(base, bytes.into()).unwrap_err();
        prop_assert!(CloseCode::ALL.contains(&refused.code));
        prop_assert_eq!(refused.expected, base);
    }
}

#[test]
fn a_void_says_why_and_how_far() {
    let bad = CarFrame { speed_mps: 1e9, ..CarFrame::default() };
    let passed = Validator::new(head(), ALL).validate(40, car(40, &[CarFrame::default(), bad, CarFrame::default()])).unwrap();
    assert_eq!((passed.first, passed.next, passed.frames, passed.void), (40, 43, 3, Some(Reject::RANGE)));
    let record = Record::parse(passed.record).unwrap();
    let Content::Void(void) = record.content().unwrap() else { panic!("no void") };
    assert_eq!((void.next.to_native(), Reject::from(&void.reason)), (43, Reject::RANGE));
    assert_eq!((record.prelude().run, record.prelude().source), (head().run, head().source));
}

#[test]
fn a_grant_covers_kinds_by_ability() {
    let only = |car, field, meta| Abilities { car, field, meta };
    for (abilities, kind, covered) in [
        (only(true, false, false), Kind::CAR, true),
        (only(true, false, false), Kind::SLOW, true),
        (only(true, false, false), Kind::EVENT, true),
        (only(true, false, false), Kind::FIELD, false),
        (only(true, false, false), Kind::META, false),
        (only(false, true, false), Kind::FIELD, true),
        (only(false, true, false), Kind::CAR, false),
        (only(false, true, false), Kind::GAP, true),
        (only(false, false, true), Kind::META, true),
        (only(false, false, true), Kind::END, true),
    ] {
        assert_eq!(abilities.cover(kind), covered, "{abilities:?} {}", kind.name());
    }
    let passed = Validator::new(head(), only(false, true, true)).validate(0, car(0, &[CarFrame::default()])).unwrap();
    assert_eq!(passed.void, Some(Reject::ABILITY));
}

#[test]
fn server_kinds_and_unknown_kinds_become_voids() {
    for kind in [Kind::VOID, Kind::CLOSED, Kind(77)] {
        let payload = if kind == Kind::VOID { archive(&VoidFrame { next: 1, ..VoidFrame::default() }).to_vec() } else { vec![0; 16] };
        let passed = Validator::new(head(), ALL).validate(0, seal(&prelude(kind, 0, 1), &payload).unwrap()).unwrap();
        assert_eq!((passed.void, passed.next), (Some(Reject::KIND), 1), "{}", kind.0);
    }
}

#[test]
fn a_gap_that_goes_nowhere_is_no_record() {
    for next in [0, 5, u64::MAX] {
        let refused = Validator::new(head(), ALL).validate(5, gap(5, next)).unwrap_err();
        assert_eq!(refused.code, CloseCode::FRAMING);
    }
}
