//! The old fold beside the new one: every call goes to both, and what they report and what they are must be equal.

use boxbox_race::stream::{self as new, Claim, Context, Fact, Reports, Start};
use boxbox_schemas::event::ArchivedEventFrame;
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::frame::ArchivedCarFrame;
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::CarNow;
use boxbox_schemas::slow::ArchivedSlowFrame;

/// Facts of one call by kind; within a kind the order counts. (No two kinds of facts meet in a session's book, but for a rewind,
/// which comes first.)
fn by_kind(facts: &[Fact]) -> Vec<&Fact> {
    let kind = |fact: &&Fact| match fact {
        Fact::Rewind { .. } => 0,
        Fact::Lap(_) => 1,
        Fact::Incident(_) => 2,
        Fact::Pit(_) => 3,
        Fact::Flags(_) => 4,
    };
    let mut facts: Vec<_> = facts.iter().collect();
    facts.sort_by_key(kind);
    facts
}

fn stored(old: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = vec![1];
    rmp_serde::encode::write_named(&mut bytes, old).unwrap();
    bytes
}

macro_rules! beside {
    ($Beside:ident, $New:ty, $Old:ty, { $($call:ident($($arg:ident: $Arg:ty),*);)* }) => {
        #[derive(Clone, Default, PartialEq, Debug)]
        pub struct $Beside {
            pub new: $New,
            pub old: $Old,
            calls: u32,
        }

        impl $Beside {
            pub fn new() -> Self {
                Self { new: <$New>::new(), old: <$Old>::new(), calls: 0 }
            }

            $(pub fn $call(&mut self, ctx: &Context, $($arg: $Arg,)* out: &mut Reports) {
                let (mut facts, before) = (vec![], out.facts.len());
                self.old.$call(ctx, $($arg,)* &mut facts);
                self.new.$call(ctx, $($arg,)* out);
                assert_eq!(by_kind(&out.facts[before..]), by_kind(&facts));
                if let Some(at) = facts.iter().position(|f| matches!(f, Fact::Rewind { .. })) {
                    assert_eq!(out.facts[before + at], facts[at], "a rewind is reported before what follows from it");
                }
                assert_eq!(self.new.now(ctx), self.old.now(ctx));
                self.calls += 1;
                let every = stringify!($call) != "on_frame" || self.calls % 8 == 0;
                if every && stringify!($call) != "on_start" {
                    self.compare();
                }
            })*

            pub fn compare(&self) {
                assert_eq!(Some(&self.new), <$New>::decode(&stored(&self.old)).unwrap().as_ref());
            }

            pub fn now(&self, ctx: &Context) -> Option<CarNow> {
                self.new.now(ctx)
            }

            pub fn encode(&mut self, out: &mut Reports) -> Result<Vec<u8>, String> {
                self.new.encode(out)
            }

            /// As it is stored: the new one in its own form, the old one in its.
            pub fn store_and_load(&self, bytes: &[u8]) -> Self {
                let old = rmp_serde::from_slice(&stored(&self.old)[1..]).unwrap();
                Self { new: <$New>::decode(bytes).unwrap().unwrap(), old, calls: self.calls }
            }

            /// Both from a state of version 1.
            pub fn of_version_1(bytes: &[u8]) -> Self {
                Self { new: <$New>::decode(bytes).unwrap().unwrap(), old: rmp_serde::from_slice(&bytes[1..]).unwrap(), calls: 0 }
            }
        }
    };
}

beside!(Beside, new::CarState, super::StreamRace, {
    on_meta(meta: &SessionMeta);
    on_frame(seq: u64, frame: &ArchivedCarFrame);
    on_slow(frame: &ArchivedSlowFrame);
    on_event(seq: u64, event: &ArchivedEventFrame);
    on_missing(first: u64, next: u64);
    on_end();
});

beside!(BesideOther, new::OtherCar, super::FieldRace, {
    on_meta(meta: &SessionMeta);
    on_start(start: Start);
    on_frame(seq: u64, frame: &ArchivedFieldFrame);
    on_rewind(tick: u32, us: i64, seq: u64);
    on_missing(first: u64, next: u64);
    on_end();
});

impl Beside {
    pub fn inherit(&mut self, from: &Self, out: &mut Reports) {
        self.new.inherit(&from.new, out);
        self.old.inherit(&from.old);
        self.compare();
    }

    pub fn entry(&self, driver: DriverId) -> EntryId {
        assert_eq!(self.new.entry(driver), self.old.entry(driver));
        self.new.entry(driver)
    }

    pub fn claim(&self) -> Option<Claim> {
        assert_eq!(self.new.claim(), self.old.car());
        self.new.claim()
    }

    pub fn start(&self) -> Start {
        assert_eq!(self.new.start(), self.old.start());
        self.new.start()
    }

    pub fn last_tick(&self) -> Option<u32> {
        assert_eq!((self.new.last_tick(), self.new.ignored()), (self.old.last_tick(), self.old.ignored()));
        self.new.last_tick()
    }

    pub fn ignored(&self) -> u64 {
        assert_eq!(self.new.ignored(), self.old.ignored());
        self.new.ignored()
    }
}

impl BesideOther {
    pub fn inherit(from: &Self, out: &mut Reports) -> Self {
        let both = Self { new: new::OtherCar::inherit(&from.new, out), old: super::FieldRace::inherit(&from.old), calls: 0 };
        both.compare();
        both
    }
}
