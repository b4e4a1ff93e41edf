//! The bytes of a recording, from a file, a gzipped file, or memory; they are always read from front to back.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use super::error::IbtError;
use super::limits::UNPACKED_MAX_BYTES;

/// Read-ahead of a file, bytes: some 200 records, so that system calls cost little.
const BUFFER_BYTES: usize = 256 * 1024;
/// The beginning of a gzip: its magic number and its only method.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// A recording that can be read from the start any number of times.
#[derive(Debug)]
pub(super) struct Origin {
    location: Location,
    packed: bool,
}

#[derive(Debug)]
enum Location {
    File(PathBuf),
    Memory(Bytes),
}

impl Origin {
    /// A file; its first bytes say whether it is packed.
    pub(super) fn file(path: PathBuf) -> Result<Self, IbtError> {
        let io = |cause| IbtError::Io { path: path.clone(), cause };
        let mut start = Vec::new();
        let file = File::open(&path).map_err(io)?;
        file.take(GZIP_MAGIC.len() as u64).read_to_end(&mut start).map_err(io)?;
        Ok(Self { packed: start == GZIP_MAGIC, location: Location::File(path) })
    }

    /// A recording in memory.
    pub(super) fn memory(bytes: Bytes) -> Self {
        Self { packed: bytes.starts_with(&GZIP_MAGIC), location: Location::Memory(bytes) }
    }

    /// Start reading at the first byte.
    pub(super) fn stream(&self) -> Result<Stream, IbtError> {
        let path = match &self.location {
            Location::File(path) => path.clone(),
            Location::Memory(_) => PathBuf::from("memory"),
        };
        let input = match (&self.location, self.packed) {
            (Location::File(path), packed) => {
                let file = File::open(path).map_err(|cause| IbtError::Io { path: path.clone(), cause })?;
                let file = BufReader::with_capacity(BUFFER_BYTES, file);
                if packed { Input::Packed(Box::new(MultiGzDecoder::new(file))) } else { Input::Plain(Box::new(file)) }
            }
            (Location::Memory(bytes), true) => Input::Packed(Box::new(MultiGzDecoder::new(Cursor::new(bytes.clone())))),
            (Location::Memory(bytes), false) => Input::Plain(Box::new(Cursor::new(bytes.clone()))),
        };
        Ok(Stream { input, path, at: 0, damage: None })
    }
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

enum Input {
    Plain(Box<dyn ReadSeek>),
    Packed(Box<dyn Read + Send>),
}

/// One reading of a recording.
pub(super) struct Stream {
    input: Input,
    path: PathBuf,
    at: u64,
    damage: Option<String>,
}

impl Stream {
    /// Bytes read or skipped so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The unpacker's message if it could not continue.
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Fill `buf` as far as the recording goes. Fewer bytes than asked for mean its end, damage or the limit.
    pub(super) fn fill(&mut self, buf: &mut [u8]) -> Result<usize, IbtError> {
        let room = UNPACKED_MAX_BYTES.saturating_sub(self.at);
        let wanted = buf.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < wanted && self.damage.is_none() {
            let read = match &mut self.input {
                Input::Plain(input) => input.read(&mut buf[done..wanted]),
                Input::Packed(input) => input.read(&mut buf[done..wanted]),
            };
            match read {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if self.is_damage(&e) => self.damage = Some(e.to_string()),
                Err(cause) => return Err(IbtError::Io { path: self.path.clone(), cause }),
            }
        }
        self.at += done as u64;
        Ok(done)
    }

    /// Skip to byte `to`; false if the recording is shorter.
    pub(super) fn skip_to(&mut self, to: u64) -> Result<bool, IbtError> {
        if let Input::Plain(input) = &mut self.input {
            let io = |cause| IbtError::Io { path: self.path.clone(), cause };
            let end = input.seek(SeekFrom::End(0)).map_err(io)?;
            self.at = input.seek(SeekFrom::Start(to.min(end))).map_err(io)?;
            return Ok(self.at == to);
        }
        let mut scratch = [0; 16 * 1024];
        while self.at < to {
            let step = usize::try_from(to - self.at).unwrap_or(usize::MAX).min(scratch.len());
            if self.fill(&mut scratch[..step])? < step {
                return Ok(false);
            }
        }
        Ok(self.at == to)
    }

    /// The unpacker reports a damaged or cut gzip with these kinds; anything else comes from the system.
    fn is_damage(&self, e: &io::Error) -> bool {
        matches!(self.input, Input::Packed(_)) && matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    }
}
