//! Reads .ibt recordings (iRacing's telemetry files) and replays them as frames.
//!
//! [`IbtFile::open`] checks a file's layout and session text, [`IbtFile::replay`] yields what a live client would have
//! sent: sessions, car frames, slow frames, rewinds. Files are read from front to back and never held whole: memory is
//! two records and a buffer, whatever the size. Plain and gzipped files are told apart by content.
//!
//! Nothing in a file is trusted. What cannot be read at all is an [`IbtError`]; what is damaged, missing or in an
//! unexpected unit is left out, counted in [`ReadStats`] and named by a [`Warning`], and the rest is read.

mod car;
mod clock;
mod column;
mod error;
mod layout;
mod meta;
mod records;
mod replay;
mod slow;
mod stats;
mod stream;
mod survey;
mod yaml;

use std::path::PathBuf;
use std::sync::Arc;

use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::{Sim, Source};
use bytes::Bytes;

pub use error::{IbtError, Warning};
pub use layout::{Header, Kind, Value, Variable};
pub use meta::{ListedSession, SessionText};
pub use records::{Record, Records};
pub use replay::{Item, Replay, ReplayOptions};
pub use stats::{AbsentCount, ReadStats};

use column::Columns;
use layout::Layout;
use stream::Origin;
use survey::Survey;

/// Most bytes read out of a file, unpacked: 37 hours of recording. A bound for gzips that unpack without end.
pub const UNPACKED_MAX_BYTES: u64 = 8 << 30;
/// Longest session text taken, bytes. A full grid with results of every session is about 300 kB.
pub const SESSION_TEXT_MAX_BYTES: usize = 8 << 20;
/// Most variables. Recordings of 2025 have about 330.
pub const VARIABLES_MAX: i32 = 4_096;
/// Longest record, bytes. Recordings of 2025 have about 1,100.
pub const RECORD_MAX_BYTES: i32 = 1 << 20;
/// Most sessions one recording may go through; a weekend has about 4.
pub const SESSIONS_MAX: usize = 64;
/// Ticks per second where the file does not say; every recording known so far has it.
pub const TICK_RATE_DEFAULT: u32 = 60;

/// A recording whose layout and session text have been read and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IbtFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    origin: Origin,
    layout: Layout,
    text: SessionText,
    columns: Columns,
    survey: Survey,
    warnings: Vec<Warning>,
}

impl IbtFile {
    /// Open a recording, .ibt or .ibt.gz. Reads as far as it takes to know the track's length.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, IbtError> {
        Self::read(Origin::file(path.into())?)
    }

    /// Take a recording from memory, plain or gzipped.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, IbtError> {
        Self::read(Origin::memory(bytes.into()))
    }

    fn read(origin: Origin) -> Result<Self, IbtError> {
        let mut warnings = Vec::new();
        let (layout, text_bytes) = Layout::read(&origin, &mut warnings)?;
        let text = SessionText::parse(&text_bytes, &mut warnings);
        let mut columns = Columns::bind(&layout.variables, text.electric(), &mut warnings);
        let survey = Survey::read(&origin, &layout, &text_bytes, &text, &mut columns, &mut warnings)?;
        Ok(Self { inner: Arc::new(Inner { origin, layout, text, columns, survey, warnings }) })
    }

    /// The file's header.
    pub fn header(&self) -> &Header {
        &self.inner.layout.header
    }

    /// Every variable whose place in the record is sound, in the file's order.
    pub fn variables(&self) -> &[Variable] {
        &self.inner.layout.variables
    }

    /// The variable of that name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables().iter().find(|v| v.name == name)
    }

    /// What the session text says.
    pub fn session_text(&self) -> &SessionText {
        &self.inner.text
    }

    /// What is wrong with the layout or the session text; [`ReadStats::warnings`] has what is wrong with the records.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// Length of the lap, m, as exactly as the file gives it: LapDist / LapDistPct, else the session text's. 0 unknown.
    pub fn track_length_m(&self) -> f64 {
        self.inner.survey.lap_length_m.unwrap_or_else(|| self.inner.text.track_length_m())
    }

    /// The slot of the recording's own car (iRacing: CarIdx).
    pub fn slot(&self) -> u16 {
        self.inner.text.own_slot().or(self.inner.survey.slot).unwrap_or(0)
    }

    /// The lobby's id. Where the simulator gives none, an id made of the file's content, so that the same recording
    /// is the same session each time (F6).
    pub fn lobby_id(&self) -> u128 {
        match self.inner.text.sub_session_id() {
            0 => self.inner.survey.content_id,
            id => u128::from(id),
        }
    }

    /// The source of session `session_num` of this recording.
    pub fn source(&self, session_num: u32) -> Source {
        Source { sim: Sim::IRACING, id: self.lobby_id(), session_num }
    }

    /// What the recording knows of session `session_num`.
    pub fn meta(&self, session_num: u32) -> SessionMeta {
        self.inner.text.meta(session_num, self.slot(), self.track_length_m())
    }

    /// The records as they stand in the file, from the first.
    pub fn records(&self) -> Result<Records, IbtError> {
        Records::open(&self.inner.origin, &self.inner.layout)
    }

    /// The recording as a client would have sent it.
    pub fn replay(&self, options: ReplayOptions) -> Result<Replay, IbtError> {
        Replay::new(self.clone(), options)
    }
}
