//! [`Script`]: the actions of one car's client, in order: the frames that it sends, and what happens to it.

use boxbox_schemas::event::{EndReason, EventCode};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::slow::SlowFrame;

use super::Race;
use super::car::{Car, seconds, us};
use super::frames::{Latch, TICK_HZ, View, begin_event, shown_us, tick_from, tick_us};

/// One action of a client, or an event that happens to it.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant, reason = "a frame is what nearly all of them are")]
pub enum Action {
    /// From here on another driver's client sends: the one with this index in [`Car::drivers`].
    Driver(usize),
    /// The client's metadata of the session changed.
    Meta(SessionMeta),
    /// A frame of the car.
    Frame(CarFrame),
    /// Tyres and weather, once a second.
    Slow(SlowFrame),
    /// Another car as this client sees it.
    Field(FieldFrame),
    /// An event: its code, its tick, its session time in µs.
    Event(EventCode, u32, i64),
    /// The connection is lost; further frames wait.
    Disconnect,
    /// The connection is back.
    Reconnect,
    /// The client was closed and is started again: what follows is a new run.
    Restart,
    /// The client reports that it leaves: tick, session time in µs, reason.
    End(u32, i64, EndReason),
}

impl Action {
    /// Session time at which it is due, µs; `None`: at once.
    pub fn at_us(&self) -> Option<i64> {
        match self {
            Action::Frame(f) => Some(f.sim_time_us),
            Action::Slow(f) => Some(f.sim_time_us),
            Action::Field(f) => Some(f.sim_time_us),
            _ => None,
        }
    }
}

/// The actions of one car's client; see [`Race::script`].
pub struct Script<'a> {
    race: &'a Race,
    car: &'a Car,
    index: usize,
    every: u32,
    field_every: Option<u32>,
    piece: usize,
    tick: u32,
    driver: usize,
    /// The drivers of all cars as the client told them last.
    told: Vec<usize>,
    connected: bool,
    latch: Latch,
    next: std::collections::VecDeque<Action>,
    ended: bool,
}

impl Race {
    /// What the client of car `car` does, sampling at `rate_hz`: 60 or a divisor of it. It begins with its metadata and ends
    /// with [`Action::End`].
    pub fn script(&self, car: usize, rate_hz: u32) -> Script<'_> {
        let begins_s = self.cars[car].client_from_s.unwrap_or(0.0).max(self.cars[car].pieces[0].from_s);
        let mut script = Script {
            race: self,
            car: &self.cars[car],
            index: car,
            every: (TICK_HZ / rate_hz.clamp(1, TICK_HZ)).max(1),
            field_every: None,
            piece: 0,
            tick: tick_from(us(self.cars[car].pieces[0].from_s)),
            driver: 0,
            told: vec![],
            connected: true,
            latch: Latch::default(),
            next: [].into(),
            ended: false,
        };
        let meta = script.describe(begins_s);
        script.next.push_back(meta);
        script.begin_at(begins_s);
        script
    }

    /// What the client of a driver who does not drive now sends, if it stays connected: frames without a car, in order of time.
    pub fn beside(&self, car: usize, driver: usize, rate_hz: u32) -> impl Iterator<Item = CarFrame> + '_ {
        let every = (TICK_HZ / rate_hz.clamp(1, TICK_HZ)).max(1);
        let (own, last) = (&self.cars[car], tick_from(self.cars[car].until_us));
        let ticks = (0..last).step_by(every as usize).filter(move |tick| own.driver_at(seconds(tick_us(*tick))) != driver);
        ticks.map(move |tick| View { race: self, car: own, piece: own.piece_at(seconds(tick_us(tick))) }.beside(tick))
    }

    /// All cars but `observer` as its client sees them at `rate_hz`, in order of time and slot.
    pub fn field(&self, observer: usize, rate_hz: u32) -> impl Iterator<Item = FieldFrame> + '_ {
        let every = (TICK_HZ / rate_hz.clamp(1, TICK_HZ)).max(1);
        let last = tick_from(self.cars[observer].until_us);
        (0..last).step_by(every as usize).flat_map(move |tick| self.others(observer, tick))
    }

    fn others(&self, observer: usize, tick: u32) -> impl Iterator<Item = FieldFrame> + '_ {
        let at = tick_us(tick);
        let seen =
            self.cars.iter().filter(move |c| !c.unseen && usize::from(c.slot) != observer && (us(c.pieces[0].from_s)..c.until_us).contains(&at));
        seen.filter_map(move |car| View { race: self, car, piece: car.piece_at(seconds(at)) }.field(&self.cars[observer], tick))
    }
}

impl Script<'_> {
    /// With frames of the other cars, too, at `rate_hz`.
    #[must_use]
    pub fn with_field(mut self, rate_hz: u32) -> Self {
        self.field_every = Some((TICK_HZ / rate_hz.clamp(1, TICK_HZ)).max(1));
        self
    }

    /// The session as the client describes it at `t`.
    fn describe(&mut self, t: f64) -> Action {
        self.told = self.race.drivers_at(t).collect();
        Action::Meta(self.race.meta_at(self.index, t))
    }

    /// Begin at `t`, with the driver of then.
    fn begin_at(&mut self, t: f64) {
        if self.car.client_from_s.is_some() {
            self.tick = tick_from(us(t));
            self.piece = self.car.pieces.iter().rposition(|p| p.from_s <= t).unwrap_or(0);
            self.driver = self.car.driver_at(t);
            if self.driver > 0 {
                self.next.push_front(Action::Driver(self.driver));
            }
        }
    }

    fn tick(&mut self) {
        let car = self.car;
        let at = tick_us(self.tick);
        if car.client_until_s.is_some_and(|until| at >= us(until)) {
            // It is lost, so it says nothing of its end.
            self.ended = true;
            return;
        }
        let piece = &car.pieces[self.piece];
        let piece_over = at >= us(piece.until_s);
        if at >= car.until_us || (piece_over && self.piece + 1 >= car.pieces.len()) {
            if !self.connected {
                self.next.push_back(Action::Reconnect);
            }
            let last = self.tick.saturating_sub(1);
            self.next.push_back(Action::End(last, shown_us(car, last), EndReason::FINISHED));
            self.ended = true;
            return;
        }
        if piece_over {
            self.piece += 1;
            let event = begin_event(car, &car.pieces[self.piece]);
            self.tick = tick_from(us(car.pieces[self.piece].from_s));
            self.next.extend(event.map(|(code, tick, us)| Action::Event(code, tick, us)));
            return;
        }
        let t = seconds(at);
        if self.away(t) {
            self.tick += 1;
            return;
        }
        let driver = car.driver_at(t);
        if driver != self.driver {
            self.driver = driver;
            self.latch = Latch::default();
            let meta = self.describe(t);
            self.next.extend([Action::Driver(driver), meta, Action::Event(EventCode::DRIVER_SWAP, self.tick, shown_us(car, self.tick))]);
        }
        let view = View { race: self.race, car, piece };
        let frame = view.frame(self.tick);
        if self.tick.is_multiple_of(self.every) {
            let frame = self.latch.send(frame);
            self.next.push_back(Action::Frame(frame));
        } else {
            self.latch.skip(&frame);
        }
        if self.tick.is_multiple_of(TICK_HZ) {
            self.next.push_back(Action::Slow(view.slow(self.tick)));
            if self.race.drivers_at(t).ne(self.told.iter().copied()) {
                // A simulator tells all clients of a session who drives each car.
                let meta = self.describe(t);
                self.next.push_back(meta);
            }
        }
        if self.field_every.is_some_and(|every| self.tick.is_multiple_of(every)) {
            self.next.extend(self.race.others(self.index, self.tick).map(Action::Field));
        }
        self.tick += 1;
    }

    /// Whether there is no client at `t`; says when its connection comes and goes.
    fn away(&mut self, t: f64) -> bool {
        let away = self.car.away.iter().find(|a| (a.from_s..a.until_s).contains(&t));
        let gone = away.is_some_and(|a| a.restart);
        let connected = away.is_none();
        if connected != self.connected {
            let restarted = self.car.away.iter().filter(|a| a.until_s <= t).max_by(|a, b| a.until_s.total_cmp(&b.until_s)).is_some_and(|a| a.restart);
            match (connected, gone) {
                (true, _) if restarted => {
                    self.latch = Latch::default();
                    let meta = self.describe(t);
                    self.next.extend([Action::Restart, meta]);
                }
                (true, _) => self.next.push_back(Action::Reconnect),
                (false, false) => self.next.push_back(Action::Disconnect),
                (false, true) => {}
            }
            self.connected = connected;
        }
        gone
    }
}

impl Iterator for Script<'_> {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        while self.next.is_empty() && !self.ended {
            self.tick();
        }
        self.next.pop_front()
    }
}
