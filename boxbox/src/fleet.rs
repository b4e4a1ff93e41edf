//! The clients of a synthetic race: one connection with its own grant for each car, all driven by one clock.

use std::iter::Peekable;
use std::time::{Duration, Instant};

use boxbox_client::{Batch, Stream};
use boxbox_schemas::Source;
use boxbox_schemas::connect::ConnectString;
use boxbox_sources::synth::{Action, Race, Script};

use crate::sender::Sender;

/// Unacked bytes beyond which session time stops: far below what the clients hold in memory.
const AHEAD_BYTES: u64 = 8 << 20;
/// Frames in a record, so that a race faster than real time does not send more records.
const FRAMES_PER_RECORD: u16 = 25;
/// How long the server may take to ack the last frames.
const FINISH_WITHIN: Duration = Duration::from_secs(60);

/// How the cars of a race send.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// Session time per real time.
    pub speed: f64,
    /// Frames a second of session time.
    pub car_hz: u32,
    /// Frames a second of session time of all other cars, sent by every client; 0: none.
    pub field_hz: u32,
}

/// The clients of all cars of a race.
pub struct Fleet<'r> {
    race: &'r Race,
    source: Source,
    speed: f64,
    clients: Vec<CarClient<'r>>,
    clock: Option<Instant>,
    now_us: f64,
    sent: u64,
}

/// The client of one car.
struct CarClient<'r> {
    connects: Vec<ConnectString>,
    sender: Sender,
    /// Earlier senders of this car, kept until all that they sent is acked.
    before: Vec<Sender>,
    stream: Stream,
    slot: u16,
    script: Peekable<Script<'r>>,
}

impl<'r> Fleet<'r> {
    /// Start one client for each car. `connects` holds for each car one connect string for each of its drivers.
    pub async fn start(race: &'r Race, source: Source, rates: Rates, connects: Vec<Vec<ConnectString>>) -> anyhow::Result<Self> {
        let mut clients = vec![];
        for (index, (car, connects)) in race.cars().iter().zip(connects).enumerate() {
            let first = connects.first().ok_or_else(|| anyhow::anyhow!("car {} has no grant", car.number))?;
            let sender = start(first.clone()).await?;
            let stream = sender.client().open(source, car.slot)?;
            let script = race.script(index, rates.car_hz);
            let script = if rates.field_hz > 0 { script.with_field(rates.field_hz) } else { script };
            clients.push(CarClient { connects, sender, before: vec![], stream, slot: car.slot, script: script.peekable() });
        }
        Ok(Self { race, source, speed: rates.speed, clients, clock: None, now_us: 0.0, sent: 0 })
    }

    /// Send all that is due; `false` when there is nothing left to send.
    pub async fn advance(&mut self) -> anyhow::Result<bool> {
        let now = Instant::now();
        let passed = now - self.clock.replace(now).unwrap_or(now);
        if self.outstanding_bytes() < AHEAD_BYTES {
            self.now_us += passed.as_secs_f64() * 1e6 * self.speed;
        }
        let mut left = false;
        for client in &mut self.clients {
            self.sent += client.advance(self.source, self.now_us as i64).await?;
            client.sender.check()?;
            left |= client.script.peek().is_some();
        }
        Ok(left)
    }

    /// Send what waits for more to be sent with.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.clients.iter().try_for_each(|client| Ok(client.stream.flush()?))
    }

    /// Wait until everything is acked.
    pub async fn finish(&self) -> anyhow::Result<()> {
        for sender in self.senders() {
            sender.finish(FINISH_WITHIN).await?;
        }
        Ok(())
    }

    /// Session time now, µs.
    pub fn now_us(&self) -> i64 {
        (self.now_us as i64).min(self.race.until_us())
    }
    /// Frames given to the clients so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }
    /// Frames that the server has acked.
    pub fn acked(&self) -> u64 {
        self.senders().map(|s| s.client().stats().acked_frames).sum()
    }
    /// Bytes that are not acked.
    pub fn outstanding_bytes(&self) -> u64 {
        self.senders().map(|s| s.client().stats().outstanding_bytes).sum()
    }

    fn senders(&self) -> impl Iterator<Item = &Sender> {
        self.clients.iter().flat_map(|client| client.before.iter().chain([&client.sender]))
    }
}

async fn start(connect: ConnectString) -> anyhow::Result<Sender> {
    Sender::start(connect, None, Batch { max_frames: FRAMES_PER_RECORD, ..Batch::default() }).await
}

impl CarClient<'_> {
    /// Do what is due at session time `now_us`. Returns how many frames were sent.
    async fn advance(&mut self, source: Source, now_us: i64) -> anyhow::Result<u64> {
        let mut sent = 0;
        while let Some(action) = self.script.next_if(|action| action.at_us().is_none_or(|at| at <= now_us)) {
            sent += u64::from(action.at_us().is_some());
            match action {
                Action::Meta(meta) => self.stream.meta(&meta)?,
                Action::Frame(frame) => self.stream.car(&frame)?,
                Action::Slow(frame) => self.stream.slow(&frame)?,
                Action::Field(frame) => self.stream.field(&frame)?,
                Action::Event(code, tick, us) => self.stream.event(code, tick, us)?,
                Action::End(tick, us, why) => self.stream.end(tick, us, why)?,
                // The client reconnects at `Action::Reconnect`, and keeps what is unacked until then.
                Action::Disconnect => {}
                Action::Reconnect => self.sender.client().reconnect(self.connects[0].clone()),
                Action::Restart => self.take_over(source, 0).await?,
                Action::Driver(driver) => self.take_over(source, driver).await?,
            }
        }
        Ok(sent)
    }

    /// Another client sends from here on: a new run, with the grant of the car's driver number `driver`.
    async fn take_over(&mut self, source: Source, driver: usize) -> anyhow::Result<()> {
        let connect = self.connects.get(driver).ok_or_else(|| anyhow::anyhow!("the car in slot {} has no grant for driver {driver}", self.slot))?;
        let sender = start(connect.clone()).await?;
        self.stream.flush()?;
        self.stream = sender.client().open(source, self.slot)?;
        self.before.push(std::mem::replace(&mut self.sender, sender));
        Ok(())
    }
}
