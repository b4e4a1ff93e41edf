//! Writes .ibt files: any variables in any order and packing, any session text, any order of the file's parts.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) const HEADER_BYTES: usize = 144;

/// A value of one variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum V {
    Char(u8),
    Bool(bool),
    Int(i32),
    Bits(u32),
    F32(f32),
    F64(f64),
}

impl V {
    pub(crate) fn code(self) -> i32 {
        match self {
            V::Char(_) => 0,
            V::Bool(_) => 1,
            V::Int(_) => 2,
            V::Bits(_) => 3,
            V::F32(_) => 4,
            V::F64(_) => 5,
        }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            V::Char(v) => vec![v],
            V::Bool(v) => vec![v.into()],
            V::Int(v) => v.to_le_bytes().into(),
            V::Bits(v) => v.to_le_bytes().into(),
            V::F32(v) => v.to_le_bytes().into(),
            V::F64(v) => v.to_le_bytes().into(),
        }
    }
}

/// One variable as its header will say it.
#[derive(Debug, Clone)]
pub(crate) struct Var {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) description: String,
    pub(crate) kind: i32,
    pub(crate) offset: i32,
    pub(crate) count: i32,
    pub(crate) count_as_time: bool,
}

/// The parts after the header, in the order they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Vars,
    Text,
    Data,
}

/// A file to be written.
#[derive(Debug, Clone)]
pub(crate) struct Ibt {
    pub(crate) vars: Vec<Var>,
    pub(crate) record_len: usize,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) text: Vec<u8>,
    pub(crate) order: [Part; 3],
    /// Unused bytes before each part.
    pub(crate) gaps: [usize; 3],
    pub(crate) tick_rate: i32,
    /// What the header says; `None` for the truth.
    pub(crate) declared_records: Option<i32>,
}

impl Ibt {
    /// Variables packed one after the other; `rows` give the values in the same order.
    pub(crate) fn table(columns: &[(&str, &str)], rows: &[Vec<V>]) -> Self {
        let first = rows.first().expect("a table has rows");
        let mut offset = 0;
        let mut vars = Vec::new();
        for ((name, unit), value) in columns.iter().zip(first) {
            vars.push(Var {
                name: name.to_string(),
                unit: unit.to_string(),
                description: format!("about {name}"),
                kind: value.code(),
                offset: offset as i32,
                count: 1,
                count_as_time: false,
            });
            offset += value.bytes().len();
        }
        let records = rows.iter().map(|row| row.iter().flat_map(|v| v.bytes()).collect()).collect();
        Self {
            vars,
            record_len: offset,
            records,
            text: Vec::new(),
            order: [Part::Vars, Part::Text, Part::Data],
            gaps: [0; 3],
            tick_rate: 60,
            declared_records: None,
        }
    }

    pub(crate) fn with_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.text = text.into();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER_BYTES];
        let (mut vars_at, mut text_at, mut data_at) = (0, 0, 0);
        for (part, gap) in self.order.iter().zip(self.gaps) {
            out.resize(out.len() + gap, 0xAA);
            match part {
                Part::Vars => {
                    vars_at = out.len();
                    self.vars.iter().for_each(|v| out.extend(v.header()));
                }
                Part::Text => {
                    text_at = out.len();
                    out.extend(&self.text);
                }
                Part::Data => {
                    data_at = out.len();
                    self.records.iter().for_each(|r| out.extend(r));
                }
            }
        }
        let declared = self.declared_records.unwrap_or(self.records.len() as i32);
        let mut put = |at: usize, v: i32| out[at..at + 4].copy_from_slice(&v.to_le_bytes());
        for (at, v) in [
            (0, 2),
            (4, 1),
            (8, self.tick_rate),
            (16, self.text.len() as i32),
            (20, text_at as i32),
            (24, self.vars.len() as i32),
            (28, vars_at as i32),
            (32, 1),
            (36, self.record_len as i32),
            (52, data_at as i32),
            (112, 1_670_320_068),
            (136, 1),
            (140, declared),
        ] {
            put(at, v);
        }
        out
    }

    pub(crate) fn gz(&self) -> Vec<u8> {
        gz(&self.bytes())
    }
}

impl Var {
    fn header(&self) -> Vec<u8> {
        let mut b = vec![0; 144];
        b[0..4].copy_from_slice(&self.kind.to_le_bytes());
        b[4..8].copy_from_slice(&self.offset.to_le_bytes());
        b[8..12].copy_from_slice(&self.count.to_le_bytes());
        b[12] = self.count_as_time.into();
        for (at, text) in [(16, &self.name), (48, &self.description), (112, &self.unit)] {
            b[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        b
    }
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory takes everything");
    out.finish().expect("memory takes everything")
}

/// A session text as iRacing writes it, shortened.
pub(crate) const TEXT: &str = "---
WeekendInfo:
 TrackName: testring
 TrackID: 777
 TrackLength: 3.85 km
 TrackDisplayName: Test Ring
 TrackConfigName: Grand Prix
 TrackPitSpeedLimit: 64.37 kph
 SubSessionID: 51234567
 Category: Road
 TeamRacing: 1
 WeekendOptions:
  StandingStart: 0
  IncidentLimit: unlimited

SessionInfo:
 CurrentSessionNum: 0
 Sessions:
 - SessionNum: 0
   SessionLaps: unlimited
   SessionTime: 7200.0000 sec
   SessionType: Practice
   ResultsPositions:
 - SessionNum: 1
   SessionLaps: 2
   SessionTime: 480.0000 sec
   SessionType: Lone Qualify
 - SessionNum: 2
   SessionLaps: 25
   SessionTime: unlimited
   SessionType: Race

DriverInfo:
 DriverCarIdx: 12
 DriverCarIsElectric: 0
 DriverCarFuelKgPerLtr: 0.750
 DriverCarFuelMaxLtr: 104.000
 DriverCarMaxFuelPct: 0.500
 Drivers:
 - CarIdx: 0
   UserName: Pace Car
   UserID: -1
   CarIsPaceCar: 1
 - CarIdx: 12
   UserName: Jos\u{e9} \"Pepe\": #1 - O'Brien
   UserID: 123456
   TeamID: 9876
   TeamName: 'Quoted' & @Team: \"x\"
   CarNumber: \"007\"
   CarClassID: 84
   CarClassShortName: GT3
   CarScreenName: Test GT3
   CarIsPaceCar: 0
   CarIsAI: 0
   IsSpectator: 0
 - CarIdx: 3
   UserName: [AI] {Bot}
   UserID: 5
   CarIsAI: 1

SplitTimeInfo:
 Sectors:
 - SectorNum: 0
   SectorStartPct: 0.000000
 - SectorNum: 1
   SectorStartPct: 0.260837
 - SectorNum: 2
   SectorStartPct: 0.505260
 - SectorNum: 3
   SectorStartPct: 0.662425
...
";
