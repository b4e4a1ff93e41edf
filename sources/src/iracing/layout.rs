//! The layout of an .ibt file: header, variable headers, session text, and the position of the records.
//!
//! Numbers are little-endian and read in place (variables are packed without alignment). Offsets and lengths are
//! signed 32-bit numbers that may have any value, so each is checked against the others before it is used.

use super::error::{IbtError, Warning};
use super::limits::{RECORD_MAX_BYTES, SESSION_TEXT_MAX_BYTES, TICK_RATE_DEFAULT, VARIABLES_MAX};
use super::stream::{Origin, Stream};

/// Bytes of the header with the disk sub-header.
const HEADER_BYTES: usize = 144;
/// Bytes of one variable's header.
const VARIABLE_BYTES: usize = 144;
/// Known versions of the format; recordings of the last ten years have 2.
const VERSIONS: std::ops::RangeInclusive<i32> = 1..=2;
/// Buffers for records in the simulator's memory: 3 of 4 possible ones. A recording has 1; another number is damage that does not matter.
const BUFFERS: std::ops::RangeInclusive<i32> = 2..=4;
/// How files begin that are taken for recordings by mistake.
const OTHERS: [(&[u8], &str); 5] = [
    (b"MDMP", "the memory dump of a program that crashed"),
    (b"PAGEDU", "the memory dump of a system that crashed"),
    (b"PK\x03\x04", "a zip: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"YLPR", "a replay of the simulator (.rpy), which holds no telemetry"),
];

/// The header as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Version of the format.
    pub version: i32,
    /// Ticks per second, as declared; see [`Header::tick_rate`].
    pub declared_tick_rate: i32,
    /// Length of the session text, bytes.
    pub session_text_len: i32,
    /// Where the session text is.
    pub session_text_offset: i32,
    /// Variables, as declared.
    pub variable_count: i32,
    /// Where the variables' headers are.
    pub variable_offset: i32,
    /// Bytes of one record.
    pub record_len: i32,
    /// Where the records begin.
    pub record_offset: i32,
    /// When the recording began, Unix seconds.
    pub start_date_s: i64,
    /// Session time of the first record, s.
    pub start_time_s: f64,
    /// Session time of the last record, s; 0 if the simulator did not close the file.
    pub end_time_s: f64,
    /// Laps, as declared.
    pub lap_count: i32,
    /// Records, as declared; 0 if the simulator did not close the file.
    pub declared_records: i32,
}

impl Header {
    /// Ticks per second: as declared if that is possible, else [`TICK_RATE_DEFAULT`].
    pub fn tick_rate(&self) -> u32 {
        u32::try_from(self.declared_tick_rate).ok().filter(|r| (1..=1_000).contains(r)).unwrap_or(TICK_RATE_DEFAULT)
    }
}

/// A variable's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// One byte of text.
    Char,
    /// One byte, zero or not.
    Bool,
    /// 32-bit signed.
    Int,
    /// 32 bits.
    Bits,
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
}

impl ValueType {
    /// The type with this code.
    pub fn from_code(code: i32) -> Option<Self> {
        [ValueType::Char, ValueType::Bool, ValueType::Int, ValueType::Bits, ValueType::Float, ValueType::Double]
            .get(usize::try_from(code).ok()?)
            .copied()
    }

    /// Bytes of one value.
    pub const fn width(self) -> usize {
        match self {
            ValueType::Char | ValueType::Bool => 1,
            ValueType::Int | ValueType::Bits | ValueType::Float => 4,
            ValueType::Double => 8,
        }
    }

    /// The type's name.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::Char => "char",
            ValueType::Bool => "bool",
            ValueType::Int => "int",
            ValueType::Bits => "bitfield",
            ValueType::Float => "float",
            ValueType::Double => "double",
        }
    }
}

/// One value of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// One byte of text.
    Char(u8),
    /// Yes or no.
    Bool(bool),
    /// 32-bit signed.
    Int(i32),
    /// 32 bits.
    Bits(u32),
    /// 32-bit floating point; may be NaN.
    Float(f32),
    /// 64-bit floating point; may be NaN.
    Double(f64),
}

impl Value {
    /// The value as a number; every type fits without loss.
    pub fn as_f64(self) -> f64 {
        match self {
            Value::Char(v) => f64::from(v),
            Value::Bool(v) => f64::from(u8::from(v)),
            Value::Int(v) => f64::from(v),
            Value::Bits(v) => f64::from(v),
            Value::Float(v) => f64::from(v),
            Value::Double(v) => v,
        }
    }
}

/// A variable and its position, which is checked to lie within the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its unit, as the simulator writes it.
    pub unit: String,
    /// The simulator's description of it.
    pub description: String,
    /// Its type.
    pub value_type: ValueType,
    /// Where its first value is in the record.
    pub offset: usize,
    /// How many values it has.
    pub count: usize,
    /// Whether the values are samples in time within the tick.
    pub count_as_time: bool,
}

impl Variable {
    /// Value number `index` of this variable in `record`, the bytes of one record.
    pub fn value(&self, record: &[u8], index: usize) -> Option<Value> {
        if index >= self.count {
            return None;
        }
        read_value(self.value_type, record, self.offset.checked_add(index.checked_mul(self.value_type.width())?)?)
    }
}

/// The value of `value_type` at byte `at` of `record`, if it lies within.
pub(super) fn read_value(value_type: ValueType, record: &[u8], at: usize) -> Option<Value> {
    let bytes = record.get(at..at.checked_add(value_type.width())?)?;
    Some(match value_type {
        ValueType::Char => Value::Char(bytes[0]),
        ValueType::Bool => Value::Bool(bytes[0] != 0),
        ValueType::Int => Value::Int(i32::from_le_bytes(bytes.try_into().ok()?)),
        ValueType::Bits => Value::Bits(u32::from_le_bytes(bytes.try_into().ok()?)),
        ValueType::Float => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        ValueType::Double => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
    })
}

/// A checked layout.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) header: Header,
    pub(super) variables: Vec<Variable>,
    /// Bytes of one record, ≥ 1.
    pub(super) record_len: usize,
    /// Where the records begin.
    pub(super) data_start: u64,
    /// Where they must end, if other data follows them.
    pub(super) data_end: Option<u64>,
}

impl Layout {
    /// Read and check the layout of a recording; also its session text, which may be empty.
    pub(super) fn read(origin: &Origin, warnings: &mut Vec<Warning>) -> Result<(Self, Vec<u8>), IbtError> {
        let mut stream = origin.stream()?;
        let header = read_header(&mut stream)?;
        if i64::from(header.tick_rate()) != i64::from(header.declared_tick_rate) {
            warnings.push(Warning::TickRate { declared: header.declared_tick_rate, used: header.tick_rate() });
        }
        let record_len = in_range("bufLen", header.record_len, 1..=RECORD_MAX_BYTES)? as usize;
        let count = in_range("numVars", header.variable_count, 1..=VARIABLES_MAX)? as usize;
        let variables_start = in_range("varHeaderOffset", header.variable_offset, HEADER_BYTES as i32..=i32::MAX)? as u64;
        let data_start = in_range("varBuf[0].bufOffset", header.record_offset, HEADER_BYTES as i32..=i32::MAX)? as u64;
        let variables_end = variables_start + (count * VARIABLE_BYTES) as u64;
        if (variables_start..variables_end).contains(&data_start) {
            let allowed = format!("the variables' headers are there, up to {variables_end}");
            return Err(IbtError::Header { field: "varBuf[0].bufOffset", value: data_start as i64, allowed });
        }
        let variables = read_region(origin, "variable headers", variables_start, count * VARIABLE_BYTES)?;
        let variables = parse_variables(&variables, record_len, warnings);
        let text = read_text(origin, &header, variables_start..variables_end, data_start, warnings)?;
        let mut others = vec![variables_start];
        if !text.is_empty() {
            others.push(header.session_text_offset as u64);
        }
        let data_end = others.into_iter().filter(|start| *start > data_start).min();
        let mut stream = origin.stream()?;
        if !stream.skip_to(data_start)? {
            return Err(IbtError::Cut { part: "part before the records", needed: data_start, have: stream.at() });
        }
        Ok((Self { header, variables, record_len, data_start, data_end }, text))
    }
}

fn read_header(stream: &mut Stream) -> Result<Header, IbtError> {
    let mut b = [0; HEADER_BYTES];
    let have = stream.fill(&mut b)?;
    let not = |why: String| Err(IbtError::NotIbt { why });
    if have < 4 {
        return match stream.damage() {
            Some(cause) => not(format!("it is a gzip that cannot be unpacked ({cause})")),
            None if have == 0 => not("it is empty".into()),
            None => not(format!("it has only {have} bytes")),
        };
    }
    let int = |at: usize| b[at..at + 4].iter().rev().fold(0_u32, |v, byte| v << 8 | u32::from(*byte)) as i32;
    let long = |at: usize| i64::from(int(at + 4)) << 32 | i64::from(int(at) as u32);
    let version = int(0);
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| b.starts_with(magic)) {
        return not(format!("it is {what}"));
    }
    if !VERSIONS.contains(&version) {
        return not(format!("it begins with {:02x?}, which should be the format's version, {} to {}", &b[..4], VERSIONS.start(), VERSIONS.end()));
    }
    if have < HEADER_BYTES {
        return Err(IbtError::Cut { part: "header", needed: HEADER_BYTES as u64, have: have as u64 });
    }
    // A recording has one place for records. The simulator's memory has several that it fills in turn, and no count of records: what looks like
    // one there is a variable's name.
    let places = int(32);
    if BUFFERS.contains(&places) {
        return not(format!(
            "it has {places} buffers for records where a recording has 1, as a dump of the simulator's memory has; recordings are in the folder \
             `telemetry` of the simulator's documents"
        ));
    }
    Ok(Header {
        version,
        declared_tick_rate: int(8),
        session_text_len: int(16),
        session_text_offset: int(20),
        variable_count: int(24),
        variable_offset: int(28),
        record_len: int(36),
        record_offset: int(52),
        start_date_s: long(112),
        start_time_s: f64::from_bits(long(120) as u64),
        end_time_s: f64::from_bits(long(128) as u64),
        lap_count: int(136),
        declared_records: int(140),
    })
}

fn in_range(field: &'static str, value: i32, allowed: std::ops::RangeInclusive<i32>) -> Result<i32, IbtError> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(IbtError::Header { field, value: value.into(), allowed: format!("must be {} to {}", allowed.start(), allowed.end()) })
}

/// Read `len` bytes at `start`; `len` is bounded by the callers.
fn read_region(origin: &Origin, part: &'static str, start: u64, len: usize) -> Result<Vec<u8>, IbtError> {
    let needed = start + len as u64;
    let mut stream = origin.stream()?;
    let mut bytes = Vec::new();
    if stream.skip_to(start)? {
        fill_vec(&mut stream, &mut bytes, len)?;
    }
    if bytes.len() < len { Err(IbtError::Cut { part, needed, have: stream.at() }) } else { Ok(bytes) }
}

/// Append up to `len` bytes, allocating memory only as they arrive: a length in a header may be wrong.
fn fill_vec(stream: &mut Stream, bytes: &mut Vec<u8>, len: usize) -> Result<(), IbtError> {
    let mut chunk = [0; 16 * 1024];
    while bytes.len() < len {
        let step = (len - bytes.len()).min(chunk.len());
        let read = stream.fill(&mut chunk[..step])?;
        bytes.extend_from_slice(&chunk[..read]);
        if read < step {
            break;
        }
    }
    Ok(())
}

/// The session text, or nothing and a warning: a recording is readable without it.
fn read_text(
    origin: &Origin,
    header: &Header,
    variables: std::ops::Range<u64>,
    data_start: u64,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<u8>, IbtError> {
    let mut none = |why: String| {
        warnings.push(Warning::NoSessionText { why });
        Ok(Vec::new())
    };
    let (Ok(start), Ok(len)) = (u64::try_from(header.session_text_offset), usize::try_from(header.session_text_len)) else {
        return none(format!("its length {} and offset {} are impossible", header.session_text_len, header.session_text_offset));
    };
    if len == 0 {
        return none("its length is 0".into());
    }
    if len > SESSION_TEXT_MAX_BYTES {
        return none(format!("its length {len} is more than {SESSION_TEXT_MAX_BYTES}"));
    }
    let end = start + len as u64;
    if start < HEADER_BYTES as u64 || start < variables.end && variables.start < end {
        return none(format!("bytes {start} to {end} belong to the headers"));
    }
    // A length that reaches into the records is cut at their beginning.
    let len = if start < data_start { len.min((data_start - start) as usize) } else { len };
    let mut stream = origin.stream()?;
    let mut text = Vec::new();
    if stream.skip_to(start)? {
        fill_vec(&mut stream, &mut text, len)?;
    }
    // Text is recognised by a key that every session text has, so that records are not read as text if the offset is wrong.
    if text.starts_with(b"---") || text.windows(12).any(|w| w == b"WeekendInfo:") {
        Ok(text)
    } else {
        none(format!("bytes {start} to {end} are something else"))
    }
}

fn parse_variables(bytes: &[u8], record_len: usize, warnings: &mut Vec<Warning>) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for b in bytes.chunks_exact(VARIABLE_BYTES) {
        let int = |at: usize| i32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let name = text(&b[16..48]);
        let checked = checked_range(int(0), int(4), int(8), record_len).and_then(|range| {
            if name.is_empty() {
                Err("it has no name".into())
            } else if !names.insert(name.clone()) {
                Err("another one has that name".into())
            } else {
                Ok(range)
            }
        });
        match checked {
            Ok((value_type, offset, count)) => variables.push(Variable {
                name,
                unit: text(&b[112..144]),
                description: text(&b[48..112]),
                value_type,
                offset,
                count,
                count_as_time: b[12] != 0,
            }),
            Err(why) => warnings.push(Warning::Variable { name, why }),
        }
    }
    variables
}

fn checked_range(code: i32, offset: i32, count: i32, record_len: usize) -> Result<(ValueType, usize, usize), String> {
    let known = ValueType::from_code(code).ok_or_else(|| format!("its type {code} is not known"))?;
    let range = || {
        let (offset, count) = (usize::try_from(offset).ok()?, usize::try_from(count).ok().filter(|c| *c > 0)?);
        let end = offset.checked_add(count.checked_mul(known.width())?)?;
        (end <= record_len).then_some((known, offset, count))
    };
    range().ok_or_else(|| format!("its {count} values at {offset} do not fit into a record of {record_len} bytes"))
}

/// Text up to the first NUL; names are ASCII, so other bytes are only decoded safely.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (decoded, _, _) = encoding_rs::WINDOWS_1252.decode(&bytes[..end]);
    decoded.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
