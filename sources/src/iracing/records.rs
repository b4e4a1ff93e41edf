//! The records of a recording, one after the other, as they are in the file.

use super::error::{IbtError, Warning};
use super::layout::{Layout, Value, Variable};
use super::limits::UNPACKED_MAX_BYTES;
use super::stream::{Origin, Stream};

/// The bytes of one whole record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its bytes; [`Variable::value`] finds values in them.
    pub bytes: &'a [u8],
}

impl Record<'_> {
    /// The first value of `variable`.
    pub fn get(&self, variable: &Variable) -> Option<Value> {
        variable.value(self.bytes, 0)
    }
}

/// Reads records from the first to the last whole one. Their number is known only at the end: the header's
/// count is 0 or wrong where the simulator did not close the file.
pub struct Records {
    stream: Stream,
    buffer: Vec<u8>,
    start: u64,
    data_end: Option<u64>,
    declared: i64,
    read: u64,
    warnings: Option<Vec<Warning>>,
}

impl Records {
    pub(super) fn open(origin: &Origin, layout: &Layout) -> Result<Self, IbtError> {
        let mut stream = origin.stream()?;
        stream.skip_to(layout.data_start)?;
        Ok(Self {
            stream,
            buffer: vec![0; layout.record_len],
            start: layout.data_start,
            data_end: layout.data_end,
            declared: layout.header.declared_records.into(),
            read: 0,
            warnings: None,
        })
    }

    /// The next record, or `None` after the last whole one. Fails only if the system does.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend its buffer")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, IbtError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let more = self.next_into(&mut buffer);
        self.buffer = buffer;
        Ok(more?.then_some(Record { bytes: &self.buffer }))
    }

    /// Whole records read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Faults found at the end of the records; empty before the end.
    pub fn warnings(&self) -> &[Warning] {
        self.warnings.as_deref().unwrap_or_default()
    }

    /// Read the next record into `buffer`, which has the length of a record.
    pub(super) fn next_into(&mut self, buffer: &mut [u8]) -> Result<bool, IbtError> {
        if self.warnings.is_some() {
            return Ok(false);
        }
        let room = self.data_end.map_or(u64::MAX, |end| end.saturating_sub(self.stream.at()));
        let wanted = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let got = self.stream.fill(&mut buffer[..wanted])?;
        if got == buffer.len() {
            self.read += 1;
            return Ok(true);
        }
        self.warnings = Some(self.end(got as u64, buffer.len() as u64));
        Ok(false)
    }

    fn end(&self, left_over: u64, record_len: u64) -> Vec<Warning> {
        let records = self.read;
        let at = self.start + records * record_len;
        let mut warnings = Vec::new();
        if let Some(cause) = self.stream.damage() {
            warnings.push(Warning::CutGzip { at: self.stream.at(), records, cause: cause.to_owned() });
        } else if self.stream.at() >= UNPACKED_MAX_BYTES {
            warnings.push(Warning::UnpacksTooLarge { records });
        } else if left_over > 0 && self.data_end != Some(self.stream.at()) {
            warnings.push(Warning::CutRecord { at, records, left_over });
        }
        if self.declared != records as i64 {
            warnings.push(Warning::RecordCount { declared: self.declared, found: records });
        }
        if records == 0 {
            warnings.push(Warning::NoRecords);
        }
        warnings
    }
}
