//! Leagues: what people decide, and what it makes of what was driven (docs/RULES.md, chapter 21).
//!
//! ```text
//! session view, result file ─▶ Facts ─────────────────────┐
//!                                                          ├─ result ─▶ SessionResult ─ tables ─▶ Table
//! Act ─ check ─▶ ledger ─ apply ─▶ League ─ bindings ─▶ Act┘                 └──── publication, recompute ─▶ Revision
//!                                  └─▶ Doc
//! ```
//!
//! Pure: time, ids and salts come in with the act. Everything but the acts and the facts can be made again.

mod act;
mod binding;
mod canon;
mod doc;
mod facts;
mod fold;
mod ids;
mod refusal;
mod result;
mod revision;
mod rules;
mod table;
mod verify;

pub use act::*;
pub use binding::{Bindings, bindings, unclaimed};
pub use canon::canonical;
pub use doc::{Doc, DocKind};
pub use facts::{Car, Drove, Facts, ValidLap, facts_digest};
pub use fold::League;
pub use ids::{
    AccountHash, CarKey, ChampionshipSlug, ClassSlug, Date, Digest, EntrySlug, EventSlug, InvalidText, LeagueSlug, ManufacturerSlug, Number,
    PartName, PenaltySlug, PersonId, RulesetSlug, SeasonSlug, SeriesSlug, SessionSlug, SimSlug, TeamSlug, TextId, TimeZone, Told, UNCLAIMED_PREFIX,
};
pub use refusal::{Code, Refusal};
pub use result::{CarScore, Overridden, Row, RowDriver, SessionResult, Why, override_sees, result, results};
pub use revision::{Cause, Difference, Revision, Stored, difference_between, publication, recompute};
pub use table::{Cell, CellWhy, Line, Table, TableEvent, tables};
pub use verify::{Finding, StoredRevision, verify};
