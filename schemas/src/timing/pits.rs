//! Visits to the pit lane: of what several streams tell, each visit once (E3).

use crate::results::PitVisit;

/// Of visits as streams tell them, in any order, each visit of each entry once, by (entry, enter).
pub fn pit_visits(told: &[PitVisit]) -> Vec<PitVisit> {
    let _ = told;
    vec![]
}
