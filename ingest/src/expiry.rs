//! [`ExpiryClock`]: by which time grants expire at an edge; [`Graces`]: whose grants may still be used although they have.

use std::collections::HashMap;
use std::time::Duration;

use boxbox_schemas::GrantId;
use boxbox_schemas::grant::{Authority, GrantError, Verified};
use boxbox_schemas::wall::WallClock;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The time by which grants expire: that of watched clocks, so that a wall clock that jumps closes no connection. Who is connected when a grant
/// expires may use it a while longer, also on new connections: a race goes on to its end. No client begins with an expired grant.
#[derive(Clone, Debug)]
pub struct ExpiryClock {
    /// The clocks of this machine, looked at often.
    pub wall: watch::Receiver<WallClock>,
    /// How much longer.
    pub grace: Duration,
}

impl ExpiryClock {
    pub(crate) fn now_s(&self) -> i64 {
        self.wall.borrow().steady_us() / 1_000_000
    }

    pub(crate) fn grace_s(&self) -> i64 {
        i64::try_from(self.grace.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Grants that expired while they were in use, each with the end of its grace, Unix s.
#[derive(Debug, Default)]
pub(crate) struct Graces(Mutex<HashMap<GrantId, i64>>);

impl Graces {
    /// Whether a grant of an open connection holds at `now_s`, or holds for `grace_s` after its end.
    pub(crate) fn check(&self, authority: &Authority, verified: &Verified, now_s: i64, grace_s: i64) -> Result<(), GrantError> {
        match authority.check(verified, now_s) {
            Err(GrantError::Expired) if grace_s > 0 => {
                authority.check(verified, now_s.saturating_sub(grace_s))?;
                self.0.lock().insert(verified.grant.id, verified.grant.expires.saturating_add(grace_s));
                Ok(())
            }
            other => other,
        }
    }

    /// Verifies the grant of a new connection.
    pub(crate) fn verify(&self, authority: &Authority, token: &str, now_s: i64, grace_s: i64) -> Result<Verified, GrantError> {
        match authority.verify(token, now_s) {
            Err(GrantError::Expired) if grace_s > 0 => {
                let verified = authority.verify(token, now_s.saturating_sub(grace_s))?;
                let mut graces = self.0.lock();
                graces.retain(|_, until| *until > now_s);
                if graces.contains_key(&verified.grant.id) { Ok(verified) } else { Err(GrantError::Expired) }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxbox_schemas::grant::{Ability, Grant, SigningKey};
    use boxbox_schemas::{DriverId, TenantId};

    #[test]
    fn who_is_there_when_a_grant_expires_may_stay_and_come_back_and_nobody_else() {
        let key = SigningKey::generate().unwrap();
        let token = |id: u8| {
            let (tenant, driver) = (TenantId::new("league").unwrap(), DriverId::new("max").unwrap());
            key.sign(&Grant { id: GrantId([id; 16]), tenant, driver, abilities: [Ability::Car].into(), event: None, expires: 1_000 }).unwrap()
        };
        let (authority, graces) = (Authority::new([key.public()], []), Graces::default());
        let there = graces.verify(&authority, &token(1), 999, 60).unwrap();
        assert_eq!(graces.check(&authority, &there, 999, 60), Ok(()));
        assert_eq!(graces.verify(&authority, &token(1), 1_000, 60), Err(GrantError::Expired), "it was not seen in use yet");
        assert_eq!(graces.check(&authority, &there, 1_001, 60), Ok(()));
        assert!(graces.verify(&authority, &token(1), 1_059, 60).is_ok());
        assert_eq!(graces.verify(&authority, &token(2), 1_001, 60), Err(GrantError::Expired), "it was not in use");
        let revoked = Authority::new([key.public()], [GrantId([1; 16])]);
        assert_eq!(graces.check(&revoked, &there, 1_001, 60), Err(GrantError::Revoked));
        assert_eq!(graces.verify(&revoked, &token(1), 1_001, 60), Err(GrantError::Revoked));
        for after in [1_060, 5_000] {
            assert_eq!(graces.check(&authority, &there, after, 60), Err(GrantError::Expired));
            assert_eq!(graces.verify(&authority, &token(1), after, 60), Err(GrantError::Expired));
        }
        assert_eq!(graces.check(&authority, &there, 1_001, 0), Err(GrantError::Expired), "without a grace");
    }
}
