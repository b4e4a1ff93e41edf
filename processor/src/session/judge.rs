//! What the clients of a session tell against each other, what follows from it for laps, and whom a person excludes from it.
//!
//! What decides about laps (the length of the lap, which claims to teams count) is decided with the record that changes it, because
//! revisions must not depend on where steps end (E11). What is only shown is merged once for each step.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use boxbox_race::session::{Lengths, Named, Told, merged, newest};
use boxbox_schemas::event::{Exclusion, Judging};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{CONFLICTS_MAX, Conflict, EXCLUSIONS_MAX, RefusedClaim};
use boxbox_schemas::{DriverId, EntryId};

use super::Session;
use super::contradictions::Contradictions;
use super::stream::{Stream, StreamId};
use super::whose::{Agreed, Whose};
use crate::counts::Counts;

/// A claim to a team is refused by clients that have streamed this long beyond it and still tell otherwise, µs.
const STANDS_US: i64 = 10_000_000;
/// So many descriptions that are asked about a claim are a unit of work.
const ASKED_PER_WORK: u64 = 8;

impl Session {
    /// Process a `judged` record, received at `at_us`, Unix µs (E9e, `session.exclude`). A session that was closed on purpose, or is retired,
    /// does not change; the API says so to who asks.
    ///
    /// The error is the reason to quarantine the record.
    pub(crate) fn judge(&mut self, code: Judging, whom: Exclusion, at_us: i64, counts: &mut Counts) -> Result<(), String> {
        self.records += 1;
        let (closed, provisional) = (self.info.closed, self.info.provisional);
        if self.info.retired || closed && !provisional {
            tracing::warn!(session = %self.info.id, driver = %whom.driver, code = code.name(), "the session is closed on purpose, so no driver is excluded or reinstated");
            return Ok(());
        }
        let at = self.info.excluded.binary_search(&whom);
        match (code, at) {
            (Judging::EXCLUDED, Ok(_)) | (Judging::REINSTATED, Err(_)) => return Ok(()),
            (Judging::EXCLUDED, Err(_)) if self.info.excluded.len() == EXCLUSIONS_MAX => {
                return Err(format!("the session has {EXCLUSIONS_MAX} exclusions already"));
            }
            (Judging::EXCLUDED, Err(at)) => self.info.excluded.insert(at, whom),
            (Judging::REINSTATED, Ok(at)) => _ = self.info.excluded.remove(at),
            (Judging(code), _) => return Err(format!("it is of code {code}, which this version does not know")),
        }
        self.info.updated_at_us = self.info.updated_at_us.max(at_us);
        if closed {
            // Silence was not the end: as if it came a moment later.
            self.open_again(counts);
        }
        counts.applied(self.book.silence(self.info.silenced(), None));
        self.assign_owners(&self.claims.cars(), counts);
        (self.merge_due, self.judge_due, self.description_changed) = (true, true, true);
        self.decide_now(counts);
        counts.judging(code);
        if closed {
            let outcome = self.close(counts);
            self.info.provisional = provisional;
            return outcome;
        }
        Ok(())
    }

    /// A record of the stream was processed: what follows of descriptions and claims for laps. Returns units of work.
    pub(super) fn decide(&mut self, id: StreamId, counts: &mut Counts) -> u64 {
        let decides = |still: &Range<i64>| self.newest_of(id.0).is_some_and(|told| !still.contains(&told.until_us));
        if self.judge_due || self.contradictions.undecided.get(&id.0).is_some_and(decides) { self.decide_now(counts) } else { 0 }
    }

    fn decide_now(&mut self, counts: &mut Counts) -> u64 {
        if self.info.closed {
            // A result that was closed stands still; this is done when it is opened again.
            return 0;
        }
        self.judge_due = false;
        let told = self.told();
        let (lengths, named) = (self.lengths_of(&told), Named::told(told.iter().copied()));
        let contested = self.contested_claims(&told);
        let (of_length, of_names) = (self.book.set_lengths(lengths), self.book.set_named(named));
        counts.applied(of_length);
        counts.applied(of_names);
        let Contested { refused, conflicts, undecided, asked } = contested;
        self.merge_due |= conflicts != self.contradictions.claims;
        (self.contradictions.claims, self.contradictions.undecided) = (conflicts, undecided);
        let mut work = of_length.work + of_names.work + asked / ASKED_PER_WORK;
        if refused != self.info.refused {
            let before = std::mem::replace(&mut self.info.refused, refused);
            let changed: BTreeSet<&RefusedClaim> = before.iter().filter(|claim| !self.info.refused.contains(claim)).collect();
            let changed: BTreeSet<RefusedClaim> =
                changed.into_iter().chain(self.info.refused.iter().filter(|claim| !before.contains(claim))).copied().collect();
            let cars: BTreeSet<EntryId> = changed.iter().map(|claim| claim.entry).collect();
            let applied = self.book.silence(self.info.silenced(), Some(cars.clone()));
            counts.applied(applied);
            work += applied.work + self.assign_owners(&cars, counts);
            self.description_changed = true;
        }
        work
    }

    /// After the streams have been restored: what is not stored, because it follows from them.
    pub(super) fn restore_contradictions(&mut self) {
        let Contested { conflicts, undecided, .. } = self.contested_claims(&self.told());
        (self.contradictions.claims, self.contradictions.undecided) = (conflicts, undecided);
        self.judge_due = self.info.closed;
    }

    /// `session.description`: merge what the clients tell. Once for each step: many clients describe a session at its start.
    pub(super) fn merge_descriptions(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        if std::mem::take(&mut self.merge_due) || self.contradictions.described_open {
            let told = self.told();
            // Without any, a session that a version before has stored keeps its description.
            if let Some(merged) = merged(told.iter().copied()) {
                self.info.meta_from = told.first().map(|lowest| (lowest.driver, lowest.run, lowest.described.rev));
                (self.contradictions.described, self.contradictions.described_open) = (merged.conflicts, merged.open);
                self.info.meta = Some(merged.meta);
            }
        }
        if self.info.closed {
            return;
        }
        let Contradictions { described, claims, .. } = &self.contradictions;
        let mut conflicts: Vec<Conflict> = described.iter().chain(claims).cloned().chain(self.book.conflicts()).collect();
        conflicts.sort_unstable();
        conflicts.truncate(CONFLICTS_MAX);
        self.info.conflicts = conflicts;
    }

    /// The length of the lap.
    pub(super) fn lengths(&self) -> Lengths {
        self.lengths_of(&self.told())
    }

    fn lengths_of(&self, told: &[Told<'_>]) -> Lengths {
        // A version before has stored one description of all.
        let stored = || Lengths::all(self.info.meta.as_ref().and_then(SessionMeta::known_length_m).unwrap_or(0.0));
        Lengths::told(told.iter().copied()).unwrap_or_else(stored)
    }

    /// In which slots clients say that there are cars.
    pub(super) fn named(&self) -> Named {
        Named::told(self.told().into_iter())
    }

    /// What the clients tell of the session whose reports count, by driver and run.
    fn told(&self) -> Vec<Told<'_>> {
        self.streams.iter().filter_map(|(id, stream)| self.told_by(*id, stream)).collect()
    }

    fn told_by<'a>(&self, (driver, run): StreamId, stream: &'a Stream) -> Option<Told<'a>> {
        let excluded = self.info.excluded.iter().any(|e| e.covers(driver, run));
        let described = stream.described().filter(|_| !excluded)?;
        Some(Told { driver, run, described, until_us: stream.until_us().unwrap_or(i64::MIN) })
    }

    /// A driver's newest description.
    fn newest_of(&self, driver: DriverId) -> Option<Told<'_>> {
        let told = self.of_driver(driver).filter_map(|(id, stream)| self.told_by(*id, stream));
        told.max_by_key(|told| (told.described.at_us, told.run))
    }

    /// `entry.claim`: what becomes of the claims to teams and persons; `told`: what clients tell.
    fn contested_claims(&self, told: &[Told<'_>]) -> Contested {
        let mut judged = Contested::default();
        let newest = newest(told.iter().copied());
        let agreed = Agreed::of(&newest);
        for (claim, stream) in self.claims.claimed() {
            let Some(slot) = self.streams.get(&stream).map(Stream::slot) else { continue };
            let Some(whose) = Whose::of(claim.entry) else { continue };
            judged.asked += newest.len() as u64;
            // Most claims are not contradicted.
            if !agreed.on(whose, slot) {
                judged.claim(claim, whose, slot, &newest);
            }
        }
        judged
    }
}

/// What becomes of claims to teams and persons.
#[derive(Default)]
struct Contested {
    refused: Vec<RefusedClaim>,
    conflicts: Vec<Conflict>,
    /// See [`Contradictions`].
    undecided: BTreeMap<DriverId, Range<i64>>,
    /// How many descriptions were asked.
    asked: u64,
}

impl Contested {
    /// A driver, whose car is in `slot`, claims a car; `newest`: what each driver tells.
    fn claim(&mut self, claim: RefusedClaim, whose: Whose, slot: u16, newest: &[Told<'_>]) {
        let RefusedClaim { driver, entry } = claim;
        let others = || newest.iter().filter(|told| told.driver != driver);
        let words = || others().filter_map(|told| Some((told, whose.agrees(&told.described.meta, slot)?)));
        if words().all(|(_, agrees)| agrees) {
            return;
        }
        let own = newest.iter().find(|told| told.driver == driver);
        let since_us = own.and_then(|told| told.described.at_us).unwrap_or(i64::MIN).saturating_add(STANDS_US);
        let (mut with, mut against): (Vec<DriverId>, Vec<DriverId>) = (vec![], vec![]);
        for (told, agrees) in words() {
            let stands = told.until_us >= since_us;
            let still = if stands { since_us..i64::MAX } else { i64::MIN..since_us };
            let known = self.undecided.entry(told.driver).or_insert(i64::MIN..i64::MAX);
            *known = known.start.max(still.start)..known.end.min(still.end);
            if stands {
                if agrees { &mut with } else { &mut against }.push(told.driver);
            }
        }
        // Two at least, and more than those who agree, the driver among them.
        if against.len() >= 2 && against.len() > with.len() + 1 {
            self.refused.push(claim);
            self.conflicts.extend(Conflict::of(whose.about(), entry.as_str(), Some(slot), std::iter::once(driver), against.into_iter()));
        }
    }
}
