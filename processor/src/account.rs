//! [`Accounts`]: what each driver has made a partition keep and work, so that one grant can neither fill it nor keep it busy (`limit.kept`,
//! `limit.work`, `limit.sessions`).
//!
//! Pure: the only clock is the time at which an edge received a record, so a log that is processed again gives the same answers. What has
//! changed is part of the step, so a restart changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::limits::{
    DRIVER_KEPT_BYTES_PER_S, DRIVER_KEPT_MAX_BYTES, DRIVER_SESSIONS_PER_DAY, DRIVER_WORK_MAX, FRAME_WORK, RECORD_WORK, SESSION_BYTES,
};
use boxbox_schemas::results::Account;
use boxbox_schemas::{DriverId, SessionId, TenantId};

/// A day, µs.
const DAY_US: i64 = 24 * 3_600 * 1_000_000;
/// By how much the clocks of edges may differ, µs.
const CLOCKS_DIFFER_US: i64 = 3_600 * 1_000_000;

/// The accounts of a partition's drivers. See the [module](self).
#[derive(Default)]
pub(crate) struct Accounts {
    accounts: BTreeMap<(TenantId, DriverId), Account>,
    changed: BTreeSet<(TenantId, DriverId)>,
}

/// The account of a driver whose record is processed.
pub(crate) struct Charged<'a> {
    accounts: &'a mut Accounts,
    key: (TenantId, DriverId),
    received_at_us: i64,
    /// The account as it is kept, if there is one; a record asks several times.
    known: Option<Account>,
}

impl Accounts {
    pub(crate) fn restore(stored: Vec<Account>) -> Self {
        Self { accounts: stored.into_iter().map(|account| ((account.tenant, account.driver), account)).collect(), changed: BTreeSet::new() }
    }

    /// The account of a driver of whom a record has come, received at `received_at_us`, Unix µs.
    pub(crate) fn of(&mut self, tenant: TenantId, driver: DriverId, received_at_us: i64) -> Charged<'_> {
        let key = (tenant, driver);
        let known = self.accounts.get(&key).cloned();
        Charged { accounts: self, key, received_at_us, known }
    }

    /// The accounts that have changed since the last call.
    pub(crate) fn drain(&mut self) -> Vec<Account> {
        std::mem::take(&mut self.changed).into_iter().filter_map(|key| self.accounts.get(&key)).cloned().collect()
    }
}

impl Charged<'_> {
    fn known(&self) -> Option<&Account> {
        self.known.as_ref()
    }

    fn change(&mut self, change: impl FnOnce(&mut Account)) {
        let (tenant, driver) = self.key;
        let account = self.known.get_or_insert_with(|| Account::new(tenant, driver));
        change(account);
        self.accounts.accounts.insert(self.key, account.clone());
        self.accounts.changed.insert(self.key);
    }

    /// The UTC day, counted from 1970. The day before counts as the last day that the driver was seen on, because edges' clocks differ; any
    /// other day is a new one, also one farther back, because a clock may have been wrong.
    fn day(&self) -> i64 {
        let day = self.received_at_us.div_euclid(DAY_US);
        self.known().map_or(day, |account| if account.day == day + 1 { account.day } else { day })
    }

    /// The driver opens one more session, which is counted. The error names the bound that does not allow it, and the session that the
    /// driver opened last.
    pub(crate) fn opens_session(&mut self, session: SessionId) -> Result<(), (&'static str, Option<SessionId>)> {
        let day = self.day();
        let last = self.known().and_then(|account| account.opened);
        let opened = self.known().filter(|account| account.day == day).map_or(0, |account| account.sessions);
        if opened >= DRIVER_SESSIONS_PER_DAY {
            return Err(("sessions", last));
        }
        if self.room() < SESSION_BYTES {
            return Err(("kept", last));
        }
        self.keep(SESSION_BYTES);
        self.change(|account| (account.day, account.sessions, account.opened) = (day, opened + 1, Some(session)));
        Ok(())
    }

    fn kept(&self) -> u64 {
        self.known().map_or(0, |account| {
            let elapsed_us = self.received_at_us.saturating_sub(account.kept_at_us).max(0) as u64;
            account.kept.saturating_sub((elapsed_us / 1_000).saturating_mul(DRIVER_KEPT_BYTES_PER_S) / 1_000)
        })
    }

    /// Bytes that the driver may add to what is kept.
    pub(crate) fn room(&self) -> u64 {
        DRIVER_KEPT_MAX_BYTES.saturating_sub(self.kept())
    }

    /// The driver has added so many bytes.
    pub(crate) fn keep(&mut self, bytes: u64) {
        if bytes > 0 {
            let (kept, at_us) = (self.kept() + bytes, self.received_at_us);
            self.change(|account| {
                // Clocks of edges differ a little, which gives nothing back twice; a clock that was far ahead was wrong.
                let slightly_ahead = (at_us..at_us.saturating_add(CLOCKS_DIFFER_US)).contains(&account.kept_at_us);
                account.kept_at_us = if slightly_ahead { account.kept_at_us } else { at_us };
                account.kept = kept;
            });
        }
    }

    /// Whether the driver may cause much work: half of what a driver may cause at once is left.
    pub(crate) fn may_work(&self) -> bool {
        self.known().is_none_or(|account| account.work <= DRIVER_WORK_MAX / 2)
    }

    /// A record of `frames` new frames took so many units of work. `false`: the driver has none left.
    pub(crate) fn work(&mut self, units: u64, frames: u64) -> bool {
        let before = self.known().map_or(0, |account| account.work);
        let after = (before + units).saturating_sub(RECORD_WORK + FRAME_WORK * frames.min(u64::from(u16::MAX)));
        if after != before {
            self.change(|account| account.work = after.min(DRIVER_WORK_MAX));
        }
        after <= DRIVER_WORK_MAX
    }
}
