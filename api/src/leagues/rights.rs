//! Who may do what in the leagues of a tenant. Decided here and nowhere else.
//!
//! | ability of the grant | what it may |
//! |---|---|
//! | `read` (a driver) | see entries and calendar, published results, published tables, which count published sessions only, and penalties that were ever more than proposed |
//! | `steward` | also penalties, overrides and bindings; the ledger; results before they are published |
//! | `manage` (an admin) | everything; so may people and programs of this machine, where no grant is needed |

use axum::http::StatusCode;
use boxbox_race::league::Act;
use boxbox_schemas::TenantId;

use crate::problem::Problem;

/// Who asks, and what they may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Acting {
    pub(crate) tenant: TenantId,
    /// In the ledger: the id of the grant, or `local`. Never a name.
    pub(crate) actor: String,
    pub(crate) stewards: bool,
    pub(crate) manages: bool,
}

impl Acting {
    /// Whether the caller sees what is not published.
    pub(crate) fn sees_all(&self) -> bool {
        self.stewards || self.manages
    }

    /// Refuses a caller who is neither steward nor admin.
    pub(crate) fn need_steward(&self) -> Result<(), Problem> {
        if self.sees_all() { Ok(()) } else { Err(no_ability("no_steward_ability", "stewards", "--steward")) }
    }

    /// Refuses a caller who is no admin.
    pub(crate) fn need_admin(&self) -> Result<(), Problem> {
        if self.manages { Ok(()) } else { Err(no_ability("no_manage_ability", "admins", "--manage")) }
    }
}

fn no_ability(code: &'static str, whom: &str, option: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, format!("This is for {whom} of the league: ask for a grant made with `grant create {option}`."))
}

/// Refuses acts that are not for the caller.
pub(crate) fn check_rights(acting: &Acting, acts: &[Act]) -> Result<(), Problem> {
    let of_stewards = |act: &Act| matches!(act, Act::PenaltyGiven(_) | Act::PenaltyChanged(_) | Act::Override(_) | Act::Rebound(_));
    if acts.iter().all(of_stewards) { acting.need_steward() } else { acting.need_admin() }
}
