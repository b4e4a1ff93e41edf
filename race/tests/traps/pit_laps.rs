//! In and out laps.

use super::*;

fn with_pits(intervals: &[(f64, f64)], hz: u32) -> Vec<Reasons> {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, hz);
    for (from, to) in intervals {
        within(&mut frames, *from, *to, |f| put(f, CarBits::ON_PIT_ROAD));
    }
    fed(&practice(), &frames).laps().iter().map(|l| l.reasons).collect()
}

#[test]
fn in_laps_and_out_laps() {
    let (fly, into, out) = (Reasons(0), Reasons::IN_LAP, Reasons::OUT_LAP);
    for hz in [60, 20, 10, 4] {
        // Laps 40-100, 100-160, 160-220.
        assert_eq!(with_pits(&[], hz), [fly, fly, fly]);
        assert_eq!(with_pits(&[(95.0, 105.0)], hz), [into, out, fly], "a pit lane over the line");
        assert_eq!(with_pits(&[(105.0, 115.0)], hz), [fly, into, fly], "a pit lane behind the line: left in the lap it was entered in");
        assert_eq!(with_pits(&[(0.0, 45.0)], hz), [out, fly, fly], "joined in the pits");
        assert_eq!(with_pits(&[(95.0, 105.0), (155.0, 165.0)], hz), [into, into.with(out), out], "one lap between two stops");
        assert_eq!(with_pits(&[(95.0, 170.0)], hz), [into, out, out], "a lap of the pit lane");
    }
}

/// Entering and crossing the line between the same two frames: half-way between them is when the pits were entered.
#[test]
fn the_pits_entered_in_the_interval_of_the_line() {
    for (line_s, reasons) in [(100.2, [Reasons::IN_LAP, Reasons::OUT_LAP]), (99.8, [Reasons(0), Reasons::IN_LAP])] {
        // Frames at 99.75 and 100.25 s.
        let mut frames = steady(3_000.0 - (line_s - 60.0) * 50.0).frames(0.25, 170.0, 2);
        within(&mut frames, 100.0, 110.0, |f| put(f, CarBits::ON_PIT_ROAD));
        let rig = fed(&practice(), &frames);
        assert_eq!(rig.laps().iter().map(|l| l.reasons).collect::<Vec<_>>(), reasons, "line at {line_s} s");
    }
}

#[test]
fn the_pits_without_the_simulators_pit_road() {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, 20);
    frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::PIT_ROAD));
    within(&mut frames, 95.0, 105.0, |f| f.track_loc = TrackLoc::PIT_APPROACH);
    within(&mut frames, 101.0, 103.0, |f| f.track_loc = TrackLoc::PIT_STALL);
    let reasons: Vec<_> = fed(&practice(), &frames).laps().iter().map(|l| l.reasons).collect();
    assert_eq!(reasons, [Reasons::IN_LAP, Reasons::OUT_LAP, Reasons(0)]);
}
