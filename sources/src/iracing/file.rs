//! An open recording: [`IbtFile`].

use std::path::PathBuf;
use std::sync::Arc;

use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::{Sim, Source};
use bytes::Bytes;

use super::columns::Columns;
use super::error::{IbtError, Warning};
use super::layout::{Header, Layout, Variable};
use super::meta::SessionText;
use super::records::Records;
use super::stream::Origin;
use super::survey::Survey;

/// A recording whose layout and session text have been read and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IbtFile {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) origin: Origin,
    pub(super) layout: Layout,
    pub(super) text: SessionText,
    pub(super) columns: Columns,
    pub(super) survey: Survey,
    pub(super) warnings: Vec<Warning>,
}

impl IbtFile {
    /// Open a recording, .ibt or .ibt.gz. Reads until the track's length is known.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, IbtError> {
        Self::read(Origin::file(path.into())?)
    }

    /// Read a recording from memory, plain or gzipped.
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

    /// Every variable whose position in the record is valid, in the file's order.
    pub fn variables(&self) -> &[Variable] {
        &self.inner.layout.variables
    }

    /// The variable of that name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables().iter().find(|v| v.name == name)
    }

    /// The content of the session text.
    pub fn session_text(&self) -> &SessionText {
        &self.inner.text
    }

    /// Faults of the layout and of the session text; [`super::ReadStats::warnings`] has those of the records.
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

    /// The lobby's id. If the simulator gives none, an id computed from the file's content, so that the same recording
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

    /// The metadata of session `session_num`.
    pub fn meta(&self, session_num: u32) -> SessionMeta {
        self.inner.text.meta(session_num, self.slot(), self.track_length_m()).plain()
    }

    /// The records as they are in the file, from the first.
    pub fn records(&self) -> Result<Records, IbtError> {
        Records::open(&self.inner.origin, &self.inner.layout)
    }
}
