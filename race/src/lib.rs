//! The rules of racing, as code. Pure: no clock, no I/O, no async, no random numbers, no hash order.
//!
//! * [`stream`]: turns the frames of one stream into facts about its car and the cars that it sees (E2)
//! * [`session`]: joins the facts of all streams of a session: which entry a car belongs to (E3b), and which fact counts for each lap (E3a)
//! * [`timing`]: computes order, gaps, classification, stints and best laps from the chosen facts (E3c)
//! * [`league`]: what people decide about sessions and seasons, and the results and tables that follow
//! * [`scoring`]: penalties, points and championships: from cars as they were driven to the table of a season
//! * [`view`]: keeps the rows of one session for a program that shows it, and calls the functions of `timing` in one place
//!
//! Every result is a function of the records alone. So reprocessing a log, from its start or from any checkpoint, gives the same
//! results bit for bit (E11).

/// The version of the rules ([docs/RULES.md](../../docs/RULES.md)) in this crate. A change by which a stored session would have another result
/// raises it; `boxbox recompute` then computes old sessions again.
pub const RULES_VERSION: u32 = 4;

pub mod league;
pub mod scoring;
pub mod session;
pub mod stream;
pub mod timing;
pub mod view;
