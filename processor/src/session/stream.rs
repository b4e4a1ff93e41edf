//! One stream: its ledger and its race state, and how both are kept between steps.

use boxbox_schemas::StreamKey;
use boxbox_schemas::record::{Content, session_meta};
use boxbox_schemas::results::Ledger;
use boxbox_schemas::stamp::LogRecord;
use boxbox_store::{STREAM_RACE_MAX_BYTES, StreamState};
use serde::{Deserialize, Serialize};

use crate::admit::{Arrival, Meaning, Verdict};
use crate::partition::StateError;
use crate::race::{Context, Fact, StreamRace};

/// The version of stored race states that this build writes (F8: it reads the one before as well, once there is one).
const STATE_VERSION: u8 = 1;

/// A stream's state.
#[derive(Clone)]
pub(crate) struct Stream {
    ledger: Ledger,
    state: State,
}

/// What is stored of a stream beside its ledger.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// Its first own-car frame has come: whom it goes on from is decided.
    begun: bool,
    /// The slot of its car, of its last record.
    #[serde(default)]
    slot: u16,
    /// The race state; `None` once the race logic has panicked over it, or it has outgrown its bound (E5).
    race: Option<StreamRace>,
}

impl Stream {
    pub(crate) fn new(key: StreamKey) -> Self {
        Self { ledger: Ledger::new(key), state: State { begun: false, slot: 0, race: Some(StreamRace::new()) } }
    }

    pub(crate) fn restore(stored: &StreamState) -> Result<Self, StateError> {
        let of = stored.ledger.stream;
        let state = match stored.race.split_first() {
            Some((&STATE_VERSION, bytes)) => {
                rmp_serde::from_slice(bytes).map_err(|e| StateError::Stream { of: Box::new(of), detail: e.to_string() })?
            }
            version => {
                return Err(StateError::Stream {
                    of: Box::new(of),
                    detail: format!("it has version {:?}; this build reads {STATE_VERSION}", version.map(|(v, _)| v)),
                });
            }
        };
        Ok(Self { ledger: stored.ledger.clone(), state })
    }

    /// The stream as a store keeps it. A race state that has outgrown its bound is given up: it must not block its partition.
    pub(crate) fn save(&mut self) -> StreamState {
        let race = self.encode().unwrap_or_else(|detail| {
            let key = &self.ledger.stream;
            tracing::error!(session = %key.session, driver = %key.driver, run = %key.run, "the stream's race state cannot be kept ({detail}); it tells no more laps");
            self.halt();
            // Without a race state there is nothing left that could fail.
            self.encode().unwrap_or_default()
        });
        StreamState { ledger: self.ledger.clone(), race: race.into(), now: None, field: vec![] }
    }

    fn encode(&self) -> Result<Vec<u8>, String> {
        let mut bytes = vec![STATE_VERSION];
        self.state.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).map_err(|e| e.to_string())?;
        if bytes.len() <= STREAM_RACE_MAX_BYTES { Ok(bytes) } else { Err(format!("{} bytes, more than {STREAM_RACE_MAX_BYTES}", bytes.len())) }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Give the race state up, for good. The account goes on.
    pub(crate) fn halt(&mut self) {
        self.state.race = None;
    }

    pub(crate) fn halted(&self) -> bool {
        self.state.race.is_none()
    }

    pub(crate) fn last_tick(&self) -> Option<u32> {
        self.state.race.as_ref()?.last_tick()
    }

    /// The tick of the stream's first own-car frame, if this record brings it.
    pub(crate) fn begins_at(&self, record: &LogRecord, verdict: &Verdict) -> Option<u32> {
        if self.state.begun || verdict.new.is_empty() {
            return None;
        }
        let Ok(Content::Car(frames)) = record.record.content() else { return None };
        let skip = verdict.new.start - record.record.prelude().first_seq;
        frames.iter().nth(skip as usize)?.ok().map(|frame| frame.tick.to_native())
    }

    /// What the stream would tell if it ended here: what waits for the simulator's own time settles without it. The stream
    /// itself goes on waiting, should the session be opened again.
    pub(crate) fn settled(&self, out: &mut Vec<Fact>) {
        if let Some(race) = &self.state.race {
            race.clone().on_end(&context(&self.ledger.stream, self.state.slot), out);
        }
    }

    /// Pass what is new of the record to the race logic; `ancestor` is whom the stream goes on from.
    pub(crate) fn tell(&mut self, record: &LogRecord, arrival: &Arrival, verdict: &Verdict, ancestor: Option<&Stream>, out: &mut Vec<Fact>) {
        let Some(race) = &mut self.state.race else { return };
        let prelude = record.record.prelude();
        self.state.slot = prelude.slot;
        let context = context(&self.ledger.stream, prelude.slot);
        if let Some(from) = ancestor.and_then(|s| s.state.race.as_ref()) {
            *race = StreamRace::inherit(from);
        }
        if let Some(hole) = &verdict.hole {
            race.on_missing(&context, hole.start, hole.end, out);
        }
        let new = verdict.new.clone();
        if new.is_empty() {
            return;
        }
        match record.record.content() {
            _ if matches!(arrival.meaning, Meaning::Unreadable | Meaning::Gap | Meaning::Void(_)) => {
                race.on_missing(&context, new.start, new.end, out)
            }
            Ok(Content::Car(frames)) => {
                self.state.begun = true;
                let numbered = (prelude.first_seq..).zip(frames.iter());
                for (seq, frame) in numbered.skip((new.start - prelude.first_seq) as usize) {
                    // `Arrival::of` has read each of them.
                    if let Ok(frame) = frame {
                        #[cfg(test)]
                        super::tests::panic_if_asked(frame.tick.to_native());
                        race.on_frame(&context, seq, frame, out);
                    }
                }
            }
            Ok(Content::Meta(meta)) => race.on_meta(&context, &session_meta(meta), out),
            Ok(Content::Event(event)) => race.on_event(&context, new.start, event, out),
            Ok(Content::End(_)) => race.on_end(&context, out),
            // Slow and field frames have no race logic yet.
            _ => {}
        }
    }
}

fn context(key: &StreamKey, slot: u16) -> Context {
    Context { session: key.session, driver: key.driver, run: key.run, slot }
}
